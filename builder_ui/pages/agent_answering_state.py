"""State of how an agent answers: what people approve, and how long an answer takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from builder_ui.rows import NamedItem
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.answering import Approves, OnTimeout
from graph_runtime.contract.errors import InputInvalid, NotFound

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

EVERYBODY: Final = "everybody"
APPROVES: Final[tuple[str, ...]] = get_args(Approves)
TIMEOUTS: Final[tuple[str, ...]] = ("hand_off", "send", "discard")
DELAYS: Final = ("least", "most", "per_character", "limit")
assert set(TIMEOUTS) == set(get_args(OnTimeout))


class AgentManner(Session):
    """What the two forms begin with; numbers as they are written."""

    approves: str = "nothing"
    queue: str = EVERYBODY
    queues: list[NamedItem] = []
    wait: str = ""
    on_timeout: str = "hand_off"
    instead: str = ""
    has_delay: bool = False
    delays: dict[str, str] = {}

    def _agent_id(self) -> str:
        return str(self.router.url.path).rstrip("/").rsplit("/", 1)[-1]

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        try:
            await self._read(who)
        except NotFound:
            return  # the page says so
        may_see = "conversation.answer" in who.scopes
        self.queues = [NamedItem(q.id, q.name) for q in await services().queues.list(who)] if may_see else []

    async def _read(self, who: Principal) -> None:
        answering = await services().agent_answering.get(who, self._agent_id())
        approval, delay = answering.approval, answering.delay
        self.approves, self.on_timeout, self.instead = approval.approves, approval.on_timeout, approval.instead
        self.queue = approval.queue_id or EVERYBODY
        self.wait = str(approval.wait_minutes or "")
        self.has_delay = delay.is_on
        self.delays = {name: f"{getattr(delay, name):g}" for name in DELAYS}

    @handler
    async def choose_approves(self, who: Principal, approves: str) -> None:
        """What is approved; kept by Save."""
        self.approves = approves if approves in APPROVES else "nothing"

    @handler
    async def save_approval(self, who: Principal, form: dict[str, Any]) -> None:
        """Keep what is approved, by whom, and what the time does."""
        wait = text_of(form, "wait", limit=10)
        queue = str(form.get("queue") or EVERYBODY)
        await services().agent_answering.change(
            who, self._agent_id(),
            approval={
                "approves": self.approves, "wait_minutes": int(_number(wait, "wait")) if wait else None,
                "on_timeout": str(form.get("on_timeout") or self.on_timeout),
                "queue_id": "" if queue == EVERYBODY else queue, "instead": text_of(form, "instead", limit=2000),
            },
        )  # fmt: skip
        await self._read(who)
        self._tell("answering.saved")

    @handler
    async def switch_delay(self, who: Principal, is_on: bool) -> None:
        """Whether answers take their time; kept by Save."""
        self.has_delay = bool(is_on)

    @handler
    async def save_delay(self, who: Principal, form: dict[str, Any]) -> None:
        """Keep how long answers take."""
        numbers = {name: _number(str(form.get(name, self.delays.get(name, "0"))), name) for name in DELAYS}
        await services().agent_answering.change(
            who, self._agent_id(), delay={"is_on": self.has_delay, **numbers}
        )  # fmt: skip
        await self._read(who)
        self._tell("answering.saved")


def _number(text: str, field: str) -> float:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        raise InputInvalid("Write a number here.", field=field) from None
