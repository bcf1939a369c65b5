"""Phone calls: announced by the telephone system, attached by the media process, held as turns of a conversation."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import asdict, replace
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from graph_runtime.contract.calls import (
    PHONE,
    CallEvent,
    HangUp,
    Heard,
    HungUp,
    LineSettings,
    Sound,
    Speech,
    Transfer,
    TransferOutcome,
    Transferred,
    TurnTimes,
    is_open,
)
from graph_runtime.contract.errors import Conflict, InputInvalid, NotFound
from graph_runtime.contract.flow import LANGUAGES
from graph_runtime.services.call_admission import CallAdmission
from graph_runtime.services.call_endings import CallEndings
from graph_runtime.services.call_moving import CallMoving
from graph_runtime.services.call_operators import CallOperators
from graph_runtime.services.call_recordings import CallRecordings
from graph_runtime.services.call_sounds import CallSounds
from graph_runtime.services.call_speaking import Speaking
from graph_runtime.services.call_triggers import CallTriggers
from graph_runtime.services.call_turns import CallTurns, PhoneCall
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_side import ConversationSide
from graph_runtime.services.open_channels import OpenChannel
from graph_runtime.services.phone_lines import PhoneLines, dial_string
from graph_runtime.services.principal import system_principal
from graph_runtime.storage import channels as channel_rows
from graph_runtime.storage.database import Row
from graph_runtime.storage.phone_calls import PhoneCallRows
from graph_runtime.storage.receiving import or_away
from graph_runtime.telemetry.metrics import CALLS_TO_DESK

log = structlog.get_logger(__name__)
CUT_WAITS_SECONDS: Final = 0.4
LATE_CUT_SECONDS: Final = 60.0
_DIALED: Final[dict[str, TransferOutcome]] = {
    "ANSWER": "answered", "BUSY": "busy", "NOANSWER": "no_answer", "CANCEL": "no_answer", "DECLINED": "declined",
    "CHANUNAVAIL": "failed", "CONGESTION": "failed", "INVALIDARGS": "failed", "DONTCALL": "declined", "TORTURE": "declined",
}  # fmt: skip
"""Asterisk's DIALSTATUS, and DECLINED of our own whisper."""
_NOT_TAKEN: Final = {
    "channel_off": "This phone line is switched off. Switch it on in Patchcord.",
    "closed": "This phone line is closed at this hour. Its hours are set up in Patchcord.",
    **dict.fromkeys(
        ("no_agent", "agent_off", "no_version"), "Nobody answers here: the agent is off or has nothing published."
    ),
}
"""Why a call went to the desk although it could have been held."""
_PBX_CHANNEL: Final = re.compile(r"[\w.;:@/+-]{1,150}", re.ASCII)


class PhoneCalls:
    """The way in for telephone systems and the media process. All that matters is committed before it is spoken of.

    A telephone system proves itself by the secret of its line; the media process by knowing a call that was announced.
    """

    def __init__(
        self, side: ConversationSide, lines: PhoneLines, sounds: CallSounds, recordings: CallRecordings,
        doors: ChannelDoors, *, admission: CallAdmission, clock: Clock = system_clock,
    ) -> None:  # fmt: skip
        self._side = side
        self._sounds = sounds
        self._recordings = recordings
        self._lines = lines
        self._admission = admission
        self._clock = clock
        self._rows = PhoneCallRows(side.database)
        self._cutting: set[asyncio.Task[bool]] = set()
        self._triggers = CallTriggers(side.store, side.starts, side.live)
        self._operators = CallOperators(self._rows, lines)
        self._endings = CallEndings(self._rows, self._triggers)
        self._moving = CallMoving(self._rows, lines, doors)
        self._turns = CallTurns(self._rows, side.reader, side.live, self._triggers, clock)

    async def announce(self, secret: str, uuid: str, from_number: str, did: str, channel: str = "") -> None:
        """A call is about to arrive. Told twice, it is known once. `channel`: its name or id in the telephone system.

        Raises: NotFound (secret), InputInvalid (uuid), Conflict (nobody answers; `reason` is told to the dialplan, whose
        own desk takes the call: "desk" when nobody here could hold it), DatabaseAway.
        """
        with or_away():
            line = await self._lines.by_secret(secret)
            assert line.offer.line is not None
            settings = line.offer.line(line.settings)
            values = {
                "id": _uuid(uuid), "agent_id": line.agent_id, "channel_id": line.id,
                "from_number": _number(from_number), "did": _number(did), "most_calls": settings.most_calls,
                "pbx_channel": channel if _PBX_CHANNEL.fullmatch(channel) else "",
                "refused": await self._refuses(line, settings),
            }  # fmt: skip
            refused = await self._rows.announce(line.workspace_id, values)
            if refused == "over":
                raise InputInvalid("This call is over, or another line's. Use a new UUID for each call.", field="uuid")
            if refused:
                if refused not in _NOT_TAKEN:
                    CALLS_TO_DESK.labels(refused).inc()
                raise _to_desk(refused)

    async def _refuses(self, line: OpenChannel, settings: LineSettings) -> str:
        """ "" or why a call of this line is not taken now, as it is kept."""
        if not line.is_on:
            return "channel_off"
        if problem := await self._rows.can_begin(line.workspace_id, line.agent_id):
            return problem
        if not is_open(settings.hours, self._clock().astimezone(ZoneInfo(settings.time_zone))):
            return "closed"
        return await self._admission.refuses(line.workspace_id, line.agent_id)

    async def ask_operator(self, secret: str, uuid: str, leg: str) -> None:
        """Somebody answered a warm transfer, and audio with them is about to connect under the UUID `leg`.

        Raises: NotFound, InputInvalid, Conflict (no warm transfer: connect them at once), DatabaseAway.
        """
        with or_away():
            line, row = await self._call(secret, uuid)
            if not await self._rows.ask_operator(line.workspace_id, str(row["id"]), _uuid(leg)):
                raise Conflict("This call is not being transferred warmly.", reason="no_whisper")

    async def operator_says(self, secret: str, uuid: str) -> str:
        """ "accept" or "decline"; whom nothing could be asked is connected. Raises: NotFound, DatabaseAway."""
        with or_away():
            _, row = await self._call(secret, uuid)
        return "decline" if row["whisper"] in ("heard", "declined") else "accept"

    async def attach(self, uuid: str, full: str = "") -> PhoneCall:
        """Audio has connected. Only announced calls that are not over; the newest attachment holds the call.

        `full`: why this process lets no new calls in; "" when it does. Calls that somebody talks on, or that we placed, are
        attached all the same. Then `turn(call, Begin())`. Raises: NotFound, Conflict (agent off, nothing published; `reason`
        "desk": it is full and the dialplan will be told), DatabaseAway.
        """
        with or_away():
            found = await self._rows.find(uuid.lower())
            if found and full:
                await self._turn_away(found[0], uuid.lower(), full)
            row = await self._rows.attach(found[0], uuid.lower()) if found else None
            if row is None and found and (operator := await self._operators.attach(found[0], uuid.lower())) is not None:
                return operator
            if row is None:
                raise NotFound("This call was not announced, or it is over. Announce it first.", call=uuid[:40])
            workspace_id = str(row["workspace_id"])
            line = await self._line_of(workspace_id, row)
            number = row["did"] if row["direction"] == "out" else row["from_number"]
            caller = number or f"anonymous:{row['id']}"
            channel_id = str(row["channel_id"] or "")
            access = ChannelAccess(workspace_id, str(row["agent_id"]), channel_id, caller, PHONE)
            conversation_id = str(row["conversation_id"] or "")
            if not conversation_id:
                contact = {"phone": number} if number else {}
                conversation_id = await self._side.conversations.start(
                    access, dedupe_key=f"call:{row['id']}", contact=contact,
                    language=line.language if line.language in LANGUAGES else None,
                )  # fmt: skip
                await self._rows.bind(workspace_id, str(row["id"]), conversation_id)
            place = await self._rows.place(workspace_id, conversation_id)
        if place is None:
            raise NotFound("The conversation of this call does not exist any more.")
        language = place["language"]
        call = PhoneCall(
            uuid=str(row["id"]), workspace_id=workspace_id, agent_id=access.agent_id, channel_id=channel_id,
            conversation_id=conversation_id, language=language, line=line, from_number=row["from_number"], did=row["did"],
            epoch=row["epoch"], is_new=row["epoch"] == 1,
            access=access if channel_id else system_principal(workspace_id),
            speaking=Speaking(language, line, row["heard_seq"]),
        )  # fmt: skip
        if place["is_running"] and not call.is_new:
            self._side.starts.look(workspace_id, conversation_id)
        if row["state_before"] == "moving":
            # The dialplan came back without saying how the transfer ended: then nobody has taken the call.
            await self._moved(row, "no_answer")
        return call

    async def _turn_away(self, workspace_id: str, uuid: str, why: str) -> None:
        elsewhere = await self._admission.is_taken_elsewhere(workspace_id)
        if await self._rows.turn_away(workspace_id, uuid, why, may_go_elsewhere=elsewhere):
            raise Conflict("This process lets no new calls in at the moment.", reason="desk")

    def turn(self, call: PhoneCall, heard: Heard) -> AsyncGenerator[CallEvent, None]:
        """One thing heard becomes a committed trigger; then what the agent says, while its turn runs.

        Stop reading at any time (interruption) and close the iterator: the turn itself goes on and is committed.
        Raises: Replaced when another attachment holds the call or it is over; NotFound; DatabaseAway (nothing was
        committed; call again with the same).
        """
        return (self._operators if call.is_operator else self._turns).events(call, heard)

    def think_ahead(self, call: PhoneCall, speech: Speech) -> None:
        """The caller has probably finished, and said this: what models will be asked is asked now, and nothing else happens.
        Returns at once; `turn` with the same words then has the answer sooner, and the same one. Not on a call that was attached
        before: if its process died of what was said, nothing has counted that yet.
        """
        if call.line.thinks_ahead and call.is_new and not call.is_operator:
            self._triggers.think_ahead(call.workspace_id, call.conversation_id, speech)

    def think_no_more(self, call: PhoneCall) -> None:
        """The caller goes on, or means something else: models are broken off."""
        if not call.is_operator:
            self._triggers.think_no_more(call.conversation_id)

    async def heard_until(self, call: PhoneCall, key: str, text: str) -> None:
        """The caller interrupted the message `key` after hearing `text` of it: a model that still writes it is stopped,
        what is kept of it is cut to that, messages of the turn after it are marked as unheard.

        Await it before the next `turn`, so that models see what was heard. What a turn has not committed yet is cut when
        it has; nobody waits for that.
        """
        if call.is_operator:
            return
        self._side.runner.cut(call.conversation_id)
        key, heard = key.partition("~")[0], text.strip()[:20_000]
        if await self._cut(call, key, heard, CUT_WAITS_SECONDS):
            return
        later = asyncio.create_task(self._cut(call, key, heard, LATE_CUT_SECONDS), name="cut")
        self._cutting.add(later)
        later.add_done_callback(self._cutting.discard)

    async def close(self) -> None:
        """Cuts that still wait for their turn are left: the transcript then shows more than was heard."""
        await self._endings.close()
        cutting = [*self._cutting]
        for task in cutting:
            task.cancel()
        await asyncio.gather(*cutting, return_exceptions=True)

    async def _cut(self, call: PhoneCall, key: str, heard: str, seconds: float) -> bool:
        """False: the turn is not over in time."""
        place = (call.workspace_id, call.conversation_id)
        is_cut = await self._rows.cut(*place, key, heard)
        is_over = is_cut or await self._side.conversations.wait_until_idle(call.access, call.conversation_id, seconds)
        is_cut = is_cut or await self._rows.cut(*place, key, heard)
        if is_cut:
            self._side.live.publish(call.conversation_id, {"type": "cut", "key": key, "text": heard})
        return is_cut or is_over

    async def spoken(self, call: PhoneCall) -> None:
        """Everything said so far was played to the end: a later attachment need not say it again."""
        if not call.is_operator:
            await self._rows.spoken(call.workspace_id, call.uuid, call.epoch, call.speaking.seq)

    async def let_go(self, call: PhoneCall, *, again: bool = False) -> None:
        """The last event was carried out as far as it is ours: the dialplan may transfer or hang up. Then close the
        socket. `again`: this process ends at a turn boundary and another one takes the call. Raises: Replaced.
        """
        if call.is_operator:
            return
        decision, target = "again", ""
        if not again and isinstance(call.waits, Transfer):
            dialed = dial_string(call.line, call.waits.target)
            if not dialed:
                # Nothing to dial: the dialplan comes back at once and the flow learns why.
                await self._triggers.take(
                    call.workspace_id, call.conversation_id, f"{call.uuid}:undialable:{call.epoch}",
                    Transferred(result="failed"),
                )  # fmt: skip
            else:
                decision = "transfer"
                target = f"{dialed}|{call.waits.ring_seconds}" + ("|warm" if call.waits.is_warm else "")
        elif not again and isinstance(call.waits, HangUp):
            decision = "hangup"
        if not await self._rows.decide(call.workspace_id, call.uuid, call.epoch, decision, target):
            log.info("call_let_go_too_late", call=call.uuid)
        elif decision == "transfer":
            await self._moving.begin(call)

    async def next(self, secret: str, uuid: str, dial_status: str = "") -> str:
        """What the dialplan does now: "transfer|DIALSTRING|SECONDS[|warm]", "hangup", "desk" (nobody here can hold it), "again"
        (connect at once: closed on purpose), or "wait" (connect again, but not for ever). `dial_status`: DIALSTATUS of the
        transfer it was told.

        Raises: NotFound, DatabaseAway.
        """
        with or_away():
            line, row = await self._call(secret, uuid)
            if row["decision"] == "desk":
                if await self._rows.leave_to_desk(line.workspace_id, str(row["id"])):
                    CALLS_TO_DESK.labels(row["result"]).inc()
                return "desk"
            if row["state"] == "ended":
                return "hangup"
            if row["state"] == "moving":
                if not dial_status:
                    return f"transfer|{row['transfer_to']}"
                result = _moved_how(row, dial_status)
                await self._moved(row, result)
                return "hangup" if result == "answered" else "again"
            if row["decision"] == "transfer":
                await self._rows.move(line.workspace_id, str(row["id"]))
                return f"transfer|{row['transfer_to']}"
            if row["decision"] == "again":
                await self._rows.take_again(line.workspace_id, str(row["id"]))
                return "again"
        return "hangup" if row["decision"] == "hangup" else "wait"

    async def hung_up(self, secret: str, uuid: str, cause: int, dial_status: str = "") -> None:
        """The channel is gone; the conversation ends with it, unless it waits for time. Raises: NotFound, DatabaseAway."""
        with or_away():
            line, row = await self._call(secret, uuid)
            if row["state"] == "moving":
                await self._moved(row, _moved_how(row, dial_status or "NOANSWER"))
            await self._rows.end(line.workspace_id, str(row["id"]), cause if 0 <= cause <= 127 else 0)
            if row["conversation_id"] is not None:
                await self._endings.hung_up(line.workspace_id, row, HungUp(cause=max(cause, 0)))

    async def gone(self, call: PhoneCall) -> None:
        """The media saw the caller hang up (a bare end of the stream); the dialplan will tell the cause, or nobody."""
        if call.is_operator:
            return
        await self._rows.end(call.workspace_id, call.uuid, 0)
        await self._triggers.take(call.workspace_id, call.conversation_id, f"{call.uuid}:end", HungUp())

    async def keep_recording(self, call: PhoneCall, wav: bytes) -> str:
        """Store a recording of the caller; its file id, for `Recorded`. Raises: TooLarge, InputInvalid."""
        return (await self._sounds.files.add(call.access, call.conversation_id, wav, is_ours=True)).file_id

    async def sound(self, call: PhoneCall, sound: Sound) -> bytes:
        """The file of a recording inside a message. Raises: NotFound, InputInvalid, Refused, Unreachable."""
        return await self._sounds.content(call.access, sound)

    async def measured(self, call: PhoneCall, times: TurnTimes) -> None:
        """Stamps of the turn that was spoken last; shown beside its first message."""
        if call.is_operator:
            return
        known = {name: value for name, value in asdict(times).items() if value}
        said = await self._rows.note_times(call.workspace_id, call.conversation_id, known)
        if said is not None:
            shown = {"type": "times", "key": said["key"], "node_id": said["node_id"], "times": known}
            self._side.live.publish(call.conversation_id, shown)

    async def keep_part(self, call: PhoneCall, part: int, sound: bytes) -> None:
        """The next few seconds of a recorded call, as `CallRecordings.keep`. Raises: VaultLocked, NotFound, DatabaseAway."""
        with or_away():
            await self._recordings.keep(call.workspace_id, call.uuid, (call.epoch, part), sound)

    async def _line_of(self, workspace_id: str, row: Row) -> LineSettings:
        """A member who tries the agent has no line: it sounds as on the agent's own, and nothing is recorded."""
        if row["channel_id"] is not None:
            return (await self._lines.settings(workspace_id, str(row["channel_id"]), row["line_revision"]))[1]
        async with self._side.database.workspace(workspace_id) as connection:
            lines = await channel_rows.of_agent(connection, str(row["agent_id"]), self._lines.connectors)
        line = LineSettings(dial_template="{number}")
        if lines:
            line = (await self._lines.settings(workspace_id, str(lines[0]["id"])))[1]
        return replace(line, is_recorded=False)

    async def _call(self, secret: str, uuid: str) -> tuple[OpenChannel, Row]:
        line = await self._lines.by_secret(secret)
        row = await self._rows.get(line.workspace_id, _uuid(uuid), line.id)
        if row is None:
            raise NotFound("This line has no such call. Announce it first.")
        return line, row

    async def _moved(self, row: Row, result: TransferOutcome) -> None:
        workspace_id = str(row["workspace_id"])
        key = f"{row['id']}:moved:{row['moves']}"
        await self._triggers.take(workspace_id, str(row["conversation_id"]), key, Transferred(result=result))
        await self._rows.moved(workspace_id, str(row["id"]), result)


def _to_desk(why: str) -> Conflict:
    """What the dialplan is told; `reason` is the word it goes by."""
    if why in _NOT_TAKEN:
        return Conflict(_NOT_TAKEN[why], reason=why)
    if why == "line":
        return Conflict("This phone line has as many calls as it may have.", reason="full")
    return Conflict("Nobody can hold another call at the moment.", reason="desk")


def _moved_how(row: Row, dial_status: str) -> TransferOutcome:
    """Who was asked and did not accept has answered the telephone, but not the call."""
    result = _DIALED.get(dial_status.upper(), "failed")
    return "declined" if result == "answered" and row["whisper"] in ("heard", "declined") else result


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise InputInvalid("A call is named by a UUID, as ${UUID()} makes it.", field="uuid") from None


def _number(text: str) -> str:
    return "".join(c for c in text if c.isalnum() or c in "+*#.-_@:")[:80]
