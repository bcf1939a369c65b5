"""Where conversations wait for people: queues and who answers them, who is here, and ready replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graph_runtime.contract.errors import Conflict, InputInvalid, NotFound
from graph_runtime.contract.flow import LANGUAGES
from graph_runtime.engine.checkpoint import clean
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.hand_offs import ANSWER
from graph_runtime.services.principal import Principal
from graph_runtime.storage import audit
from graph_runtime.storage import queues as rows
from graph_runtime.storage.database import Database

MANAGE: Final = "agent.edit"
MAX_REPLY: Final = 4000


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue. No `member_ids`: everybody answers it. `goal_seconds`: to be accepted within; `waiting`: how many now."""

    id: str
    name: str
    number: str
    goal_seconds: int
    member_ids: list[str]
    waiting: int


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A member who may answer. `talks`: how many conversations they have now."""

    id: str
    name: str
    role: str
    is_online: bool
    talks: int


@dataclass(frozen=True, slots=True)
class CannedReply:
    """A ready reply; `texts`: language → text, at least one."""

    id: str
    shortcut: str
    texts: dict[str, str]


class Queues:
    """Read by whoever answers or draws flows; changed by whoever draws flows. Ready replies are everybody's who answers."""

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        self._database = database
        self._clock = clock

    async def save(
        self,
        principal: Principal,
        queue_id: str | None,
        *,
        name: str,
        number: str = "",
        goal_seconds: int = 120,
        member_ids: Sequence[str] = (),
    ) -> str:
        """Make a queue (`queue_id` None) or change one; its id. Raises: AccessDenied, NotFound, InputInvalid, Conflict."""
        principal.require(MANAGE)
        name = clean(name).strip()
        if not 1 <= len(name) <= 100:
            raise InputInvalid("A queue has a name of 1 to 100 characters.", field="name")
        if len(number) > 200:
            raise InputInvalid("A number has at most 200 characters.", field="number")
        if not 10 <= goal_seconds <= 86_400:
            raise InputInvalid("The goal lies between 10 seconds and a day.", field="goal_seconds")
        values: dict[str, Any] = {
            "name": name, "number": clean(number).strip(), "goal_seconds": goal_seconds, "member_ids": [*member_ids][:500]
        }  # fmt: skip
        try:
            async with self._database.workspace(principal.workspace_id) as connection:
                saved = await rows.save(connection, queue_id, values) if queue_id is None or is_uuid(queue_id) else None
                if saved is None:
                    raise _no_queue()
                await audit.append(connection, principal.actor, "queue.saved", {"queue": saved}, self._clock())
        except rows.NameTaken:
            raise Conflict("There is a queue of this name already.", reason="name_taken", field="name") from None
        return saved

    async def delete(self, principal: Principal, queue_id: str) -> None:
        """What waits in it is then everybody's. Raises: AccessDenied, NotFound."""
        principal.require(MANAGE)
        async with self._database.workspace(principal.workspace_id) as connection:
            if not is_uuid(queue_id) or not await rows.delete(connection, queue_id):
                raise _no_queue()
            await audit.append(connection, principal.actor, "queue.deleted", {"queue": queue_id}, self._clock())

    async def people(self, principal: Principal) -> list[PersonRow]:
        """Who may answer, by name. Raises: AccessDenied."""
        principal.require(ANSWER)
        async with self._database.workspace(principal.workspace_id) as connection:
            return [PersonRow(**row) for row in await rows.people(connection)]

    async def be(self, principal: Principal, is_online: bool | None) -> None:
        """Say whether one answers now; None: one is only seen. Raises: AccessDenied."""
        principal.require(ANSWER)
        if principal.member_id is not None:
            async with self._database.workspace(principal.workspace_id) as connection:
                await rows.set_presence(connection, principal.member_id, is_online)

    async def replies(self, principal: Principal) -> list[CannedReply]:
        """By shortcut. Raises: AccessDenied."""
        principal.require(ANSWER)
        async with self._database.workspace(principal.workspace_id) as connection:
            return [CannedReply(**row) for row in await rows.replies(connection)]

    async def save_reply(
        self, principal: Principal, reply_id: str | None, shortcut: str, texts: Mapping[str, str]
    ) -> str:
        """Make a ready reply (`reply_id` None) or change one; its id. Raises: AccessDenied, InputInvalid, Conflict, NotFound."""
        principal.require(ANSWER)
        name = clean(shortcut).strip().removeprefix("/")
        if not name or len(name) > 40 or not all(c.isalnum() or c in "_-" for c in name):
            raise InputInvalid("A shortcut has 1 to 40 letters, digits, “-” or “_”.", field="shortcut")
        kept = {code: said for code in LANGUAGES if (said := clean(texts.get(code, "")).strip())}
        if not kept or any(len(said) > MAX_REPLY for said in kept.values()):
            raise InputInvalid(
                f"Write the reply in at least one language, at most {MAX_REPLY} characters.", field="texts"
            )
        try:
            async with self._database.workspace(principal.workspace_id) as connection:
                known = reply_id is None or is_uuid(reply_id)
                saved = await rows.save_reply(connection, reply_id, name, kept) if known else None
        except rows.NameTaken:
            raise Conflict(
                "There is a ready reply with this shortcut.", reason="name_taken", field="shortcut"
            ) from None
        if saved is None:
            raise _no_reply()
        return saved

    async def delete_reply(self, principal: Principal, reply_id: str) -> None:
        """Raises: AccessDenied, NotFound."""
        principal.require(ANSWER)
        async with self._database.workspace(principal.workspace_id) as connection:
            if not is_uuid(reply_id) or not await rows.delete_reply(connection, reply_id):
                raise _no_reply()

    async def list(self, principal: Principal) -> list[QueueRow]:
        """By name. Raises: AccessDenied."""
        if ANSWER not in principal.scopes:
            principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return [QueueRow(**row) for row in await rows.listed(connection)]


def _no_queue() -> NotFound:
    return NotFound("There is no such queue. It may have been deleted; reload the page.")


def _no_reply() -> NotFound:
    return NotFound("There is no such ready reply. It may have been deleted; reload the page.")
