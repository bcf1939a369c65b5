"""People take conversations over from agents, answer, and give them back; the agent is silent meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from graph_runtime.contract.errors import BuilderError, Conflict, InputInvalid, NotFound, TooLarge
from graph_runtime.contract.messages import Media, Text, dump_part
from graph_runtime.contract.people import PRIORITIES
from graph_runtime.engine.checkpoint import clean, decode
from graph_runtime.engine.turn import HIDDEN
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid, no_conversation
from graph_runtime.services.conversation_list import contact_name
from graph_runtime.services.principal import Principal
from graph_runtime.storage import audit, files
from graph_runtime.storage import hand_offs as rows
from graph_runtime.storage.database import Row
from graph_runtime.telemetry.metrics import HAND_OFF_WAIT, HAND_OFFS, OPERATOR_MESSAGES

if TYPE_CHECKING:
    from graph_runtime.services.conversation_side import ConversationSide

ANSWER: Final = "conversation.answer"
View = Literal["waiting", "approve", "mine", "all"]
VIEWS: Final[tuple[str, ...]] = get_args(View)
MAX_TEXT: Final = 8000
MAX_NOTE: Final = 4000
MAX_FILES: Final = 10


@dataclass(frozen=True, slots=True)
class InboxRow:
    """A conversation as people who answer see it. `state`: "" the agent has it, "waiting", "accepted".

    `waited`: seconds until it was accepted, or until now; `is_late`: longer than the queue's goal. `unread`: the
    contact's messages after the last that the asking member has read, where they have the conversation. `holds`: what
    the agent said waits for approval; of what is to be approved `held_text` since `held_since`.
    """

    conversation_id: str
    hand_off_id: str | None
    state: str
    who: str
    agent_id: str
    agent_name: str
    contact_id: str
    channel: str
    language: str
    status: str
    preview: str
    summary: str
    priority: str
    queue_id: str | None
    queue_name: str
    member_id: str | None
    member_name: str
    return_by: str
    message_seq: int
    unread: int
    waited: float
    is_late: bool
    requested_at: datetime | None
    updated_at: datetime
    holds: bool = False
    held_text: str = ""
    held_since: datetime | None = None

    @classmethod
    def of(cls, row: Row) -> InboxRow:
        """From storage's row."""
        until = row["accepted_at"] or row["at"]
        waited = (until - row["requested_at"]).total_seconds() if row["requested_at"] else 0.0
        known = {f: row[f] for f in cls.__slots__ if f in row and f != "priority"}
        return cls(
            **known, conversation_id=row["id"], who=contact_name(row["contact"]), channel=row["channel_kind"],
            priority=PRIORITIES[row["priority"]], waited=round(waited, 1),
            is_late=row["state"] == "waiting" and waited > row["goal_seconds"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything beside an open conversation. `variables`: of the contact and of the main flow, secrets hidden.

    `labels`: what the flow's author calls its variables; `past`: its hand-offs, newest first; `sendings`: seq → state.
    """

    row: InboxRow
    contact: dict[str, Any]
    variables: dict[str, Any]
    notes: list[Row]
    past: list[Row]
    sendings: dict[int, str]
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replied:
    """A member's message that is in the transcript. `is_new` False: it was there before."""

    seq: int
    is_new: bool


# Inside the class below `list` is a method.
Parts = list[dict[str, Any]]


class HandOffs:
    """Whoever may answer clients sees and takes what waits in their queues; an administrator all."""

    def __init__(self, side: ConversationSide, clock: Clock = system_clock) -> None:
        self._side = side
        self._database = side.database
        self._rows = rows.HandOffRows(side.database)
        self._clock = clock

    async def list(
        self,
        principal: Principal,
        view: str = "waiting",
        *,
        queue_id: str | None = None,
        agent_id: str | None = None,
        search: str = "",
        limit: int = 50,
    ) -> list[InboxRow]:
        """What waits (most urgent first) for a person or for approval, what is the member's own, or every open
        conversation (newest first).

        Raises: AccessDenied, InputInvalid.
        """
        principal.require("conversation.read", ANSWER)
        if view not in VIEWS:
            raise InputInvalid(f"A view is one of {', '.join(VIEWS)}.", field="view")
        pattern = clean(search).strip()[:200].replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
        filters = {
            "me": principal.member_id, "any": is_chief(principal), "queue": queue_id if is_uuid(queue_id) else None,
            "agent": agent_id if is_uuid(agent_id) else None, "search": f"%{pattern}%" if pattern else None,
            "limit": min(max(limit, 1), 200),
        }  # fmt: skip
        async with self._database.workspace(principal.workspace_id) as connection:
            return [InboxRow.of(row) for row in await rows.listed(connection, view, filters)]

    async def waiting(self, principal: Principal) -> tuple[int, str, bool]:
        """How many conversations wait for this member, the id of the newest, and whether they want to hear of it.

        Raises: AccessDenied.
        """
        principal.require(ANSWER)
        async with self._database.workspace(principal.workspace_id) as connection:
            found = await rows.waiting(connection, principal.member_id, is_any=is_chief(principal))
        return found["count"], found["newest"] or "", found["is_online"]

    async def desk(self, principal: Principal, conversation_id: str, *, after_seq: int = 0) -> Desk:
        """What a member needs to answer; `sendings` of messages after a seq. Raises: AccessDenied, NotFound."""
        principal.require("conversation.read", ANSWER)
        _require_id(conversation_id)
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await rows.one(connection, conversation_id, principal.member_id)
            if row is None:
                raise no_conversation(conversation_id)
            notes = await rows.notes(connection, conversation_id)
            past = await rows.past(connection, conversation_id)
            sendings = await rows.sendings(connection, conversation_id, after_seq)
        own, labels = await self._variables(principal.workspace_id, row)
        return Desk(InboxRow.of(row), row["contact"], row["contact_variables"] | own, notes, past, sendings, labels)

    async def _variables(self, workspace_id: str, row: Row) -> tuple[dict[str, Any], dict[str, str]]:
        """Values and labels, by name."""
        if not row["checkpoint"]:
            return {}, {}
        values: dict[str, Any] = decode(row["checkpoint"])[1].get("v", {}).get("", {})
        version = await self._side.versions.get(workspace_id, row["version_id"])
        secret = version.compiled.root.secret_variables
        return {name: HIDDEN if name in secret else v for name, v in values.items()}, dict(version.labels)

    async def accept(self, principal: Principal, conversation_id: str) -> None:
        """Take a conversation that waits, or take over one that the agent has. What the agent is doing is cut off.

        Raises: AccessDenied, NotFound, Conflict: "taken" (`holder` has it), "ended", "on_call", "not_in_queue".
        """
        member_id = acting_member(principal)
        await self._take(principal, conversation_id, member_id, None)

    async def assign(self, principal: Principal, conversation_id: str, member_id: str) -> None:
        """Give a conversation to a colleague: one's own, or any for an administrator.

        Raises: AccessDenied, NotFound, Conflict as `accept`.
        """
        me = acting_member(principal)
        if not is_uuid(member_id):
            raise NotFound("There is no such member in this workspace.", member_id=member_id)
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await rows.one(connection, conversation_id, me) if is_uuid(conversation_id) else None
        if row is None:
            raise no_conversation(conversation_id)
        is_free_to = row["member_id"] == me or is_chief(principal)
        await self._take(principal, conversation_id, member_id, row["member_id"] if is_free_to else None)

    async def _take(self, principal: Principal, conversation_id: str, member_id: str, giver: str | None) -> None:
        _require_id(conversation_id)
        is_any = is_chief(principal) or member_id != principal.member_id
        taken = await self._rows.take(
            principal.workspace_id, conversation_id, member_id, is_any=is_any, from_member=giver
        )
        if taken.problem:
            raise _refused(taken.problem, conversation_id, taken.holder)
        if not taken.is_new:
            return
        HAND_OFFS.labels("accepted").inc()
        HAND_OFF_WAIT.observe(max(taken.waited, 0.0))
        # What the agent had begun to say is not coming.
        self._side.live.publish(conversation_id, {"type": "reset", "key": ""})
        await self._changed(principal, conversation_id, taken.seq, must_run=taken.must_run)
        await self._note(principal, "conversation.accepted", conversation_id, member=member_id)

    async def release(self, principal: Principal, conversation_id: str) -> None:
        """Back to the queue, for somebody else. Raises: AccessDenied, NotFound, Conflict."""
        await self._let_go(principal, conversation_id, "release", "", "", 2**31 - 1)

    async def give_back(
        self,
        principal: Principal,
        conversation_id: str,
        *,
        note: str = "",
        outcome: str = "",
        seen_seq: int = 2**31 - 1,
    ) -> None:
        """Back to the agent, which goes on where it waits. What the contact wrote after `seen_seq` is answered by it.

        Raises: AccessDenied, NotFound, InputInvalid, Conflict: "not_held", "taken" (`holder` has it), "may_not".
        """
        for name, text in (("note", note), ("outcome", outcome)):
            if len(text) > MAX_NOTE:
                raise InputInvalid(f"At most {MAX_NOTE} characters fit here.", field=name)
        await self._let_go(principal, conversation_id, "return", clean(note), clean(outcome), seen_seq)

    async def _let_go(
        self, principal: Principal, conversation_id: str, how: str, note: str, outcome: str, seen_seq: int
    ) -> None:
        member_id = acting_member(principal)
        _require_id(conversation_id)
        about = (is_chief(principal), note, outcome, min(max(seen_seq, 0), 2**31 - 1))
        gone = await self._rows.let_go(principal.workspace_id, conversation_id, member_id, how, about)
        if gone.problem:
            raise _refused(gone.problem, conversation_id, gone.holder)
        HAND_OFFS.labels("returned" if how == "return" else "released").inc()
        await self._changed(principal, conversation_id, gone.seq, must_run=gone.must_run)
        await self._note(
            principal, f"conversation.{how}ed" if how == "return" else "conversation.released", conversation_id
        )

    async def reply(
        self, principal: Principal, conversation_id: str, text: str, *, client_id: str, file_ids: Sequence[str] = ()
    ) -> Replied:
        """Say something to the contact; the same `client_id` twice is said once. `file_ids`: files kept for it before.

        Raises: AccessDenied, NotFound, InputInvalid, TooLarge, Conflict: "not_held", "taken", "ended".
        """
        member_id = acting_member(principal)
        _require_id(conversation_id)
        said = clean(text).strip()
        if not said and not file_ids:
            raise InputInvalid("Write something first.", field="text")
        if len(file_ids) > MAX_FILES:
            raise InputInvalid(f"At most {MAX_FILES} files fit into one message.", field="file_ids")
        if len(said) > MAX_TEXT:
            raise TooLarge(f"At most {MAX_TEXT} characters fit into one message.", limit=MAX_TEXT)
        if not 1 <= len(client_id) <= 100:
            raise InputInvalid("“client_id” has 1 to 100 characters.", field="client_id")
        parts = [dump_part(Text(text=said))] if said else []
        parts += await self._files(principal.workspace_id, conversation_id, file_ids)
        result = await self._rows.say(
            principal.workspace_id, conversation_id, member_id, clean(client_id), (parts, said)
        )
        if result.problem:
            raise _refused(result.problem, conversation_id, result.holder)
        if result.is_new:
            OPERATOR_MESSAGES.inc()
            if result.is_pushed:
                self._side.store.sends.tell()
            await self._changed(principal, conversation_id, result.seq)
        return Replied(result.seq, result.is_new)

    async def _files(self, workspace_id: str, conversation_id: str, file_ids: Sequence[str]) -> Parts:
        parts = []
        if file_ids:
            async with self._database.workspace(workspace_id) as connection:
                for file_id in file_ids:
                    row = await files.about(connection, file_id) if is_uuid(file_id) else None
                    if row is None or row["conversation_id"] != conversation_id:
                        raise NotFound("There is no such file here. Attach it again.", file_id=file_id)
                    kind = str(row["mime"]).partition("/")[0]
                    media: Any = kind if kind in ("image", "audio", "video") else "document"
                    parts.append(dump_part(Media(media=media, file_id=row["id"], name=row["name"])))
        return parts

    async def add_note(self, principal: Principal, conversation_id: str, text: str) -> None:
        """For colleagues; it is never sent. Raises: AccessDenied, NotFound, InputInvalid."""
        member_id = acting_member(principal)
        _require_id(conversation_id)
        said = clean(text).strip()
        if not 1 <= len(said) <= MAX_NOTE:
            raise InputInvalid(f"A note has 1 to {MAX_NOTE} characters.", field="note")
        async with self._database.workspace(principal.workspace_id) as connection:
            if not await rows.add_note(connection, conversation_id, member_id, said):
                raise no_conversation(conversation_id)
        self._side.live.changed(principal.workspace_id, conversation_id)

    async def read_until(self, principal: Principal, conversation_id: str, seq: int) -> None:
        """The member has read up to a message. Raises: AccessDenied."""
        member_id = acting_member(principal)
        if is_uuid(conversation_id):
            async with self._database.workspace(principal.workspace_id) as connection:
                await rows.read_until(connection, conversation_id, member_id, min(max(seq, 0), 2**31 - 1))

    async def _changed(self, principal: Principal, conversation_id: str, seq: int, *, must_run: bool = False) -> None:
        workspace_id = principal.workspace_id
        self._side.live.publish(conversation_id, {"type": "seq", "seq": seq})
        self._side.live.changed(workspace_id, conversation_id)
        self._side.store.news.tell(workspace_id, conversation_id, seq)
        if must_run:
            self._side.starts.look(workspace_id, conversation_id)

    async def _note(self, principal: Principal, action: str, conversation_id: str, **ids: str) -> None:
        async with self._database.workspace(principal.workspace_id) as connection:
            await audit.append(
                connection, principal.actor, action, {"conversation": conversation_id, **ids}, self._clock()
            )


def acting_member(principal: Principal) -> str:
    """Who answers: a member, or the one who made the key. Raises: AccessDenied, Conflict."""
    principal.require(ANSWER)
    if principal.member_id is None:
        raise Conflict("Only a member of the workspace can answer clients.", reason="no_member")
    return principal.member_id


def is_chief(principal: Principal) -> bool:
    """May see every queue and take a conversation from a colleague."""
    return "settings.manage" in principal.scopes


def _require_id(conversation_id: str) -> None:
    if not is_uuid(conversation_id):
        raise no_conversation(conversation_id)


def _refused(problem: str, conversation_id: str, holder: str) -> BuilderError:
    if problem == "none":
        return no_conversation(conversation_id)
    words = {
        "taken": f"{holder or 'A colleague'} has this conversation. Ask them to pass it on.",
        "ended": "This conversation is over. If the client writes again, a new one begins.",
        "on_call": "A phone call cannot be taken over here. Let the flow transfer it to your phone.",
        "not_in_queue": "This conversation waits in a queue that you do not answer. Ask an administrator to add you.",
        "not_held": "The agent has this conversation. Take it over first.",
        "may_not": "The flow does not take this conversation back. End it when you are done.",
    }
    return Conflict(words[problem], reason=problem, holder=holder)
