"""What an agent is to say and a member approves first: sent as it is, changed, or not at all; or the time decides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from graph_runtime.contract.errors import BuilderError, Conflict, InputInvalid, NotFound, TooLarge
from graph_runtime.contract.messages import Text, dump_part
from graph_runtime.engine.checkpoint import clean
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.conversation_list import contact_name
from graph_runtime.services.hand_offs import ANSWER, MAX_TEXT, acting_member, is_chief
from graph_runtime.services.principal import Principal
from graph_runtime.storage import approvals as rows
from graph_runtime.storage import audit
from graph_runtime.storage.database import Row
from graph_runtime.telemetry.metrics import APPROVAL_WAIT, APPROVALS

if TYPE_CHECKING:
    from graph_runtime.services.conversation_side import ConversationSide

Decision = Literal["send", "edit", "replace", "reject"]
DECISIONS: Final[tuple[str, ...]] = get_args(Decision)
BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class ToApprove:
    """A message that waits for somebody's word. `due_at`: when the time decides; None: never. `instead`: what the agent
    is set to offer for saying in its place."""

    id: str
    conversation_id: str
    who: str
    agent_id: str
    agent_name: str
    channel: str
    queue_name: str
    text: str
    parts: list[dict[str, Any]]
    node_id: str
    due_at: datetime | None
    on_timeout: str
    instead: str
    created_at: datetime

    @classmethod
    def of(cls, row: Row) -> ToApprove:
        """From storage's row."""
        known = {f: row[f] for f in cls.__slots__ if f in row}
        return cls(
            **known | {"instead": row["instead"] or ""}, who=contact_name(row["contact"]), channel=row["channel_kind"]
        )  # fmt: skip


# Inside the class below `list` is a method.
Pending = list[ToApprove]
HeldRows = list[Row]


class Approvals:
    """Whoever may answer clients decides about what is in their queues; an administrator about all."""

    def __init__(self, side: ConversationSide, clock: Clock = system_clock) -> None:
        self._side = side
        self._database = side.database
        self._rows = rows.ApprovalRows(side.database)
        self._clock = clock

    async def list(self, principal: Principal, *, limit: int = 50) -> Pending:
        """What waits for this member, longest waiting first; of each conversation the first. Raises: AccessDenied."""
        principal.require("conversation.read", ANSWER)
        async with self._database.workspace(principal.workspace_id) as connection:
            found = await rows.waiting(
                connection, principal.member_id, is_any=is_chief(principal), limit=min(max(limit, 1), 200)
            )
        return [ToApprove.of(row) for row in found]

    async def of_conversation(self, principal: Principal, conversation_id: str) -> HeldRows:
        """All that was held there and what became of it, in order. Raises: AccessDenied."""
        principal.require("conversation.read")
        if not is_uuid(conversation_id):
            return []
        async with self._database.workspace(principal.workspace_id) as connection:
            return await rows.of_conversation(connection, conversation_id)

    async def decide(self, principal: Principal, held_id: str, how: str, text: str = "") -> None:
        """`how`: "send" it as it is, "edit" its text first, "replace" it by another message, "reject" it: nothing is said.

        Raises: AccessDenied, NotFound, InputInvalid, TooLarge, Conflict: "decided" (`holder` did), "not_first",
        "not_in_queue".
        """
        member_id = acting_member(principal)
        if how not in DECISIONS:
            raise InputInvalid(f"A decision is one of {', '.join(DECISIONS)}.", field="decision")
        held = await self._find(principal, held_id)
        said = clean(text).strip()
        if how in ("edit", "replace"):
            if not said:
                raise InputInvalid("Write what is to be sent.", field="text")
            if len(said) > MAX_TEXT:
                raise TooLarge(f"At most {MAX_TEXT} characters fit into one message.", limit=MAX_TEXT)
        if how == "edit" and said == held["text"]:
            how = "send"
        parts = with_text(held["parts"], said) if how == "edit" else [dump_part(Text(text=said))]
        decided = await self._rows.decide(
            principal.workspace_id, held_id, member_id, how, (parts, said), is_any=is_chief(principal)
        )
        if decided.problem:
            raise _refused(decided.problem, decided.holder, held_id)
        APPROVALS.labels(how).inc()
        APPROVAL_WAIT.observe(max((self._clock() - held["created_at"]).total_seconds(), 0.0))
        conversation_id = str(decided.conversation_id)
        self._tell(principal.workspace_id, conversation_id, decided.seq, is_pushed=decided.is_pushed)
        about = {"conversation": conversation_id, "message": held_id}
        async with self._database.workspace(principal.workspace_id) as connection:
            await audit.append(connection, principal.actor, f"approval.{_PAST[how]}", about, self._clock())

    async def time_out(self, now: datetime | None = None) -> int:
        """For the worker: let the time decide where it is over; about how many it did. `now` None: the database's clock."""
        done = 0
        for workspace_id, held_id in await self._rows.due(now, BATCH):
            timed_out = await self._rows.time_out(workspace_id, held_id, now)
            if not timed_out.outcome:
                continue
            done += 1
            APPROVALS.labels(f"time_{timed_out.outcome}").inc()
            conversation_id = str(timed_out.conversation_id)
            self._tell(workspace_id, conversation_id, timed_out.seq, is_pushed=timed_out.is_pushed)
        return done

    async def _find(self, principal: Principal, held_id: str) -> Row:
        row = None
        if is_uuid(held_id):
            async with self._database.workspace(principal.workspace_id) as connection:
                row = await rows.one(connection, held_id)
        if row is None:
            raise _none(held_id)
        return row

    def _tell(self, workspace_id: str, conversation_id: str, seq: int, *, is_pushed: bool) -> None:
        if is_pushed:
            self._side.store.sends.tell()
        self._side.live.publish(conversation_id, {"type": "seq", "seq": seq})
        self._side.live.changed(workspace_id, conversation_id)
        self._side.store.news.tell(workspace_id, conversation_id, seq)


_PAST: Final = {"send": "sent", "edit": "edited", "replace": "replaced", "reject": "rejected"}


def with_text(parts: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """A message whose words were changed; its buttons, pictures and files stay.

    Several texts become one, in the place of the first; a message without any gets one at its beginning.
    """
    found: list[dict[str, Any]] = []
    is_said = False
    for part in parts:
        field = next((f for f in ("text", "caption") if part.get(f)), None)
        if field is None:
            found.append(part)
        elif not is_said:
            found.append(part | {field: text})
            is_said = True
        elif part["kind"] != "text":
            found.append(part | {field: ""})
    return found if is_said else [dump_part(Text(text=text)), *found]


def _none(held_id: str) -> NotFound:
    return NotFound("There is no such message to approve here.", approval_id=held_id)


def _refused(problem: str, holder: str, held_id: str) -> BuilderError:
    if problem == "none":
        return _none(held_id)
    words = {
        "decided": f"{holder} has already decided about this message."
        if holder
        else "This message is not waiting any more: its time was over, or the conversation went on without it.",
        "not_first": "An earlier message of this conversation waits too. Decide about that one first.",
        "not_in_queue": "This message waits in a queue that you do not answer. Ask an administrator to add you.",
    }
    return Conflict(words[problem], reason=problem, holder=holder)
