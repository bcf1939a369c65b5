"""Rows of phone calls, and where the conversation of a call stands."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Database, Row


class PhoneCallRows:
    """Each method is one transaction; the caller has authorised. `call_id`: the telephone system's UUID."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, call_id: str) -> tuple[str, str | None] | None:
        """(workspace, channel) of an announced call; a talk has no channel."""
        if not _is_uuid(call_id):
            return None
        async with self._database.system() as system:
            cursor = await system.execute(
                "SELECT workspace_id::text AS workspace, channel_id::text AS channel FROM find_call(%s)", (call_id,)
            )
            row = await cursor.fetchone()
        return (row["workspace"], row["channel"]) if row else None

    async def announce(self, workspace_id: str, values: Row) -> str:
        """A call of a line: id, agent_id, channel_id, from_number, did, pbx_channel, most_calls, and `refused`: "" or why nobody
        could hold it. "" or why it is not taken: that, "line" (has as many calls as it may have), "over" (the id is another
        line's, or its call has ended). One that is not taken is kept as ended, for the desk.

        Calls of the line whose end nobody told us of are closed after half a day, those that never brought audio after ten
        minutes.
        """
        async with self._database.workspace(workspace_id) as connection:
            await _hold_line(connection, values)
            cursor = await connection.execute(_ANNOUNCE, values)
            if await cursor.fetchone() is not None:
                return ""
            cursor = await connection.execute(
                "SELECT state, decision, result, channel_id = %(channel_id)s AS is_ours FROM phone_call WHERE id = %(id)s",
                values,
            )
            known = await cursor.fetchone()
            if known is None:
                row = await (await connection.execute(_TO_DESK, values)).fetchone()
                return str(row["result"]) if row else "over"
            if known["is_ours"] and known["state"] != "ended":
                return ""
            return str(known["result"]) if known["is_ours"] and known["decision"] == "desk" else "over"

    async def reserve(self, workspace_id: str, values: Row) -> tuple[Row | None, bool]:
        """A call out: id, agent_id, channel_id, from_number, did, key, seconds, most_calls, refused. (the call of this key,
        whether it is new); (None, False) when the line has no room or a new one is `refused`."""
        async with self._database.workspace(workspace_id) as connection:
            await _hold_line(connection, values)
            found = "SELECT * FROM phone_call WHERE channel_id = %(channel_id)s AND request_key = %(key)s"
            known = await (await connection.execute(found, values)).fetchone()
            if known is not None or values["refused"]:
                return known, False
            row = await (await connection.execute(_RESERVE, values)).fetchone()
            return row, row is not None

    async def answered(self, workspace_id: str, call_id: str, channel_id: str, result: str) -> Row | None:
        """A call out was answered by somebody, or by a machine; the call, None when it was given up meanwhile."""
        return await self._row(workspace_id, _ANSWERED, {"id": call_id, "channel": channel_id, "result": result})

    async def settle(self, workspace_id: str, call_id: str, result: str) -> None:
        """How a call out began. What was known only roughly is made precise; the end of a call that is talked on is not
        touched."""
        await self._run(workspace_id, _SETTLE, {"id": call_id, "result": result})

    async def ask_operator(self, workspace_id: str, call_id: str, whisper_id: str) -> bool:
        """The operator's audio is about to connect; False: the call is not being transferred warmly."""
        return await self._row(workspace_id, _ASK_OPERATOR, {"id": call_id, "leg": whisper_id}) is not None

    async def attach_operator(self, workspace_id: str, whisper_id: str) -> Row | None:
        """The operator's audio has connected; the call."""
        return await self._row(workspace_id, _ATTACH_OPERATOR, {"leg": whisper_id})

    async def operator_said(self, workspace_id: str, whisper_id: str, said: str) -> None:
        """ "accepted" or "declined"."""
        await self._run(
            workspace_id, "UPDATE phone_call SET whisper = %(said)s WHERE whisper_id = %(leg)s AND whisper = 'heard'",
            {"leg": whisper_id, "said": said},
        )  # fmt: skip

    async def can_begin(self, workspace_id: str, agent_id: str) -> str:
        """ "" when the agent takes calls now, else why not: "agent_off", "no_version"."""
        row = await self._row(workspace_id, _CAN_BEGIN, {"agent": agent_id})
        return str(row["problem"]) if row else "no_agent"

    async def has_opted_out(self, workspace_id: str, number: str) -> bool:
        """Whether somebody with this number asked not to be contacted."""
        return await self._row(workspace_id, _OPTED_OUT, {"number": number}) is not None

    async def attach(self, workspace_id: str, call_id: str) -> Row | None:
        """Count an attachment; the call with its state before and its line's revision, None when it is over, or still rings."""
        return await self._row(workspace_id, _ATTACH, {"id": call_id})

    async def turn_away(self, workspace_id: str, call_id: str, why: str, *, may_go_elsewhere: bool) -> bool:
        """Send a call that came to us and was never attached to the desk; False: it is another, and is to be attached.

        `may_go_elsewhere`: in its first second it is left as it is; its dialplan connects again, perhaps where there is room.
        """
        values = {"id": call_id, "why": why, "elsewhere": may_go_elsewhere}
        return await self._row(workspace_id, _TURN_AWAY, values) is not None

    async def leave_to_desk(self, workspace_id: str, call_id: str) -> bool:
        """The dialplan was told "desk"; False: it had been told before."""
        return await self._row(workspace_id, _LEAVE_TO_DESK, {"id": call_id}) is not None

    async def bind(self, workspace_id: str, call_id: str, conversation_id: str) -> None:
        """The conversation that the call became."""
        await self._run(workspace_id, _BIND, {"id": call_id, "conversation": conversation_id})

    async def get(self, workspace_id: str, call_id: str, channel_id: str) -> Row | None:
        """One call of a line."""
        return await self._row(
            workspace_id, "SELECT * FROM phone_call WHERE id = %(id)s AND channel_id = %(channel)s",
            {"id": call_id, "channel": channel_id},
        )  # fmt: skip

    async def get_out(self, workspace_id: str, call_id: str) -> Row | None:
        """One call that we placed; given up when nobody told of it in time."""
        async with self._database.workspace(workspace_id) as connection:
            found = "SELECT * FROM phone_call WHERE id = %(id)s AND direction = 'out'"
            row = await (await connection.execute(found, {"id": call_id})).fetchone()
            if row is None or row["state"] != "dialing":
                return row
            await connection.execute(_FORGET_LOST, {"channel_id": row["channel_id"]})
            return await (await connection.execute(found, {"id": call_id})).fetchone()

    async def of_conversation(self, workspace_id: str, conversation_id: str) -> list[Row]:
        """The calls of a conversation, oldest first; `recorded`: samples that were kept of each side."""
        async with self._database.workspace(workspace_id) as connection:
            cursor = await connection.execute(_OF_CONVERSATION, (conversation_id,))
            return await cursor.fetchall()

    async def last_of_line(self, workspace_id: str, channel_id: str) -> Row | None:
        """The line's newest call."""
        return await self._row(
            workspace_id,
            "SELECT * FROM phone_call WHERE channel_id = %(channel)s ORDER BY started_at DESC LIMIT 1",
            {"channel": channel_id},
        )

    async def hear(
        self, workspace_id: str, call_id: str, epoch: int, *, is_silence: bool = False, is_message: bool = False
    ) -> int | None:
        """Something was heard: all before it was said. Silences in a row; None: this attachment does not hold the call.

        `is_message`: it was left before the caller hung up, and may come after that.
        """
        values = {"id": call_id, "epoch": epoch, "silence": is_silence, "message": is_message}
        row = await self._row(workspace_id, _HEAR, values)
        return int(row["silences"]) if row else None

    async def spoken(self, workspace_id: str, call_id: str, epoch: int, seq: int) -> None:
        """Messages up to a seq were played."""
        await self._run(workspace_id, _SPOKEN, {"id": call_id, "epoch": epoch, "seq": seq})

    async def decide(self, workspace_id: str, call_id: str, epoch: int, decision: str, transfer_to: str) -> bool:
        """What the dialplan is told next; False: this attachment does not hold the call."""
        values = {"id": call_id, "epoch": epoch, "decision": decision, "to": transfer_to}
        return await self._row(workspace_id, _DECIDE, values) is not None

    async def take_again(self, workspace_id: str, call_id: str) -> None:
        """The dialplan was told "again", once."""
        await self._run(workspace_id, "UPDATE phone_call SET decision = '' WHERE id = %(id)s", {"id": call_id})

    async def move(self, workspace_id: str, call_id: str) -> int:
        """The dialplan was told to transfer; how many transfers that makes. Told twice, it counts once."""
        row = await self._row(workspace_id, _MOVE, {"id": call_id})
        return int(row["moves"]) if row else 0

    async def moved(self, workspace_id: str, call_id: str, result: str) -> None:
        """How the transfer ended."""
        await self._run(workspace_id, _MOVED, {"id": call_id, "result": result})

    async def end(self, workspace_id: str, call_id: str, cause: int) -> None:
        """The call is over. A cause that is known stays."""
        await self._run(workspace_id, _END, {"id": call_id, "cause": cause})

    async def place(self, workspace_id: str, conversation_id: str) -> Row | None:
        """Where the conversation stands: status, waits, node_id, checkpoint, result, message_seq, is_running, due_at."""
        return await self._row(workspace_id, _PLACE, {"id": conversation_id})

    async def open_question(self, workspace_id: str, conversation_id: str) -> list[Row]:
        """What the agent said last at the step that waits; when that said nothing, its last message."""
        async with self._database.workspace(workspace_id) as connection:
            cursor = await connection.execute(_QUESTION, {"id": conversation_id})
            return await cursor.fetchall()

    async def cut(self, workspace_id: str, conversation_id: str, key: str, text: str) -> bool:
        """Keep of a message what was heard, and mark those after it as unheard; False: there is no such message."""
        row = await self._row(workspace_id, _CUT, {"id": conversation_id, "key": key, "text": text})
        return row is not None and row["cut"] > 0

    async def note_times(self, workspace_id: str, conversation_id: str, times: dict[str, Any]) -> Row | None:
        """Keep the stamps of the turn that was spoken last with its first message, once: `key`, `node_id` of that."""
        return await self._row(workspace_id, _TIMES, {"id": conversation_id, "times": Jsonb(times)})

    async def _row(self, workspace_id: str, statement: str, values: Row) -> Row | None:
        async with self._database.workspace(workspace_id) as connection:
            return await (await connection.execute(statement, values)).fetchone()

    async def _run(self, workspace_id: str, statement: str, values: Row) -> None:
        async with self._database.workspace(workspace_id) as connection:
            await connection.execute(statement, values)


async def _hold_line(connection: Connection, values: Row) -> None:
    """One at a time per line, so that two calls never take its last place."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('line:' || %(channel_id)s, 0))", values)
    await connection.execute(_FORGET_LOST, values)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


_OF_CONVERSATION = """
    SELECT p.*, (SELECT coalesce(sum(r.samples), 0)::bigint FROM call_recording_part r WHERE r.recording_id = p.id) AS recorded
    FROM phone_call p WHERE p.conversation_id = %s ORDER BY p.started_at
"""
_FORGET_LOST = """
    UPDATE phone_call SET state = 'ended', ended_at = now(), result = CASE WHEN direction = 'out' AND result = ''
        THEN 'unknown' ELSE result END
    WHERE channel_id = %(channel_id)s AND state <> 'ended'
      AND (started_at < now() - interval '12 hours' OR state = 'dialing' AND dial_until < now()
           OR state = 'announced' AND direction = 'in' AND epoch = 0 AND started_at < now() - interval '10 minutes')
"""
_HAS_ROOM = (
    """(SELECT count(*) FROM phone_call WHERE channel_id = %(channel_id)s AND state <> 'ended') < %(most_calls)s"""
)
_RESERVE = f"""
    INSERT INTO phone_call (id, workspace_id, agent_id, channel_id, from_number, did, direction, state, request_key,
                            dial_until, pbx_channel)
    SELECT %(id)s::uuid, current_setting('app.workspace_id')::uuid, %(agent_id)s, %(channel_id)s, %(from_number)s, %(did)s,
           'out', 'dialing', %(key)s, now() + make_interval(secs => %(seconds)s), %(id)s::uuid::text
    WHERE {_HAS_ROOM} RETURNING *
"""
_ANSWERED = """
    UPDATE phone_call SET result = %(result)s, state = CASE WHEN %(result)s = 'answered' THEN 'announced' ELSE 'ended' END,
        ended_at = CASE WHEN %(result)s = 'answered' THEN NULL ELSE now() END
    WHERE id = %(id)s AND channel_id = %(channel)s AND direction = 'out' AND state IN ('dialing', 'announced') RETURNING *
"""
_SETTLE = """
    UPDATE phone_call SET result = CASE WHEN result IN ('', 'failed', 'unknown') THEN %(result)s ELSE result END,
        state = CASE WHEN state = 'dialing' AND %(result)s <> 'answered' THEN 'ended' ELSE state END,
        ended_at = CASE WHEN state = 'dialing' AND %(result)s <> 'answered' THEN now() ELSE ended_at END
    WHERE id = %(id)s AND direction = 'out'
"""
_ASK_OPERATOR = """
    UPDATE phone_call SET whisper_id = %(leg)s, whisper = 'asked'
    WHERE id = %(id)s AND state = 'moving' AND transfer_to LIKE '%%|warm' RETURNING id
"""
_ATTACH_OPERATOR = """
    UPDATE phone_call SET whisper = 'heard' WHERE whisper_id = %(leg)s AND whisper = 'asked' AND state = 'moving' RETURNING *
"""
_ANNOUNCE = f"""
    INSERT INTO phone_call (id, workspace_id, agent_id, channel_id, from_number, did, pbx_channel)
    SELECT %(id)s, current_setting('app.workspace_id')::uuid, %(agent_id)s, %(channel_id)s, %(from_number)s, %(did)s,
           %(pbx_channel)s
    WHERE %(refused)s = '' AND {_HAS_ROOM} ON CONFLICT (id) DO NOTHING RETURNING id
"""
_TO_DESK = f"""
    INSERT INTO phone_call (id, workspace_id, agent_id, channel_id, from_number, did, pbx_channel, state, decision, result,
                            ended_at)
    SELECT %(id)s, current_setting('app.workspace_id')::uuid, %(agent_id)s, %(channel_id)s, %(from_number)s, %(did)s,
           %(pbx_channel)s, 'ended', 'desk', coalesce(nullif(%(refused)s, ''), 'line'), now()
    WHERE %(refused)s <> '' OR NOT {_HAS_ROOM} ON CONFLICT (id) DO NOTHING RETURNING result
"""
_TURN_AWAY = """
    UPDATE phone_call SET
        decision = CASE WHEN %(elsewhere)s AND started_at > now() - interval '1 second' THEN decision ELSE 'desk' END,
        result = CASE WHEN %(elsewhere)s AND started_at > now() - interval '1 second' THEN result ELSE %(why)s END
    WHERE id = %(id)s AND epoch = 0 AND direction = 'in' AND (state = 'announced' OR decision = 'desk') RETURNING id
"""
_LEAVE_TO_DESK = """
    UPDATE phone_call SET state = 'ended', ended_at = now()
    WHERE id = %(id)s AND state <> 'ended' AND decision = 'desk' RETURNING id
"""
_OPTED_OUT = "SELECT id FROM contact WHERE phone = %(number)s AND opted_out_at IS NOT NULL LIMIT 1"
_CAN_BEGIN = """
    SELECT CASE WHEN NOT a.is_on THEN 'agent_off' WHEN f.live_version_id IS NULL THEN 'no_version' ELSE '' END AS problem
    FROM agent a LEFT JOIN flow f ON f.id = a.main_flow_id WHERE a.id = %(agent)s
"""
# An attachment while a transfer is under way: the dialplan came back, so nobody has taken the call. A dialplan that does not
# know "desk" comes again for five seconds.
_ATTACH = """
    UPDATE phone_call p SET epoch = p.epoch + 1, state = 'up', answered_at = coalesce(p.answered_at, now()), decision = '',
        ended_at = NULL, result = CASE WHEN p.decision = 'desk' THEN '' ELSE p.result END
    FROM phone_call o
    WHERE o.id = p.id AND p.id = %(id)s AND p.state <> 'dialing' AND (p.state <> 'ended' OR p.decision = 'desk')
    RETURNING p.*, o.state AS state_before, (SELECT c.revision FROM channel c WHERE c.id = p.channel_id) AS line_revision
"""
_BIND = "UPDATE phone_call SET conversation_id = %(conversation)s WHERE id = %(id)s AND conversation_id IS NULL"
_HEAR = """
    UPDATE phone_call p SET silences = CASE WHEN %(silence)s THEN p.silences + 1 ELSE 0 END,
        heard_seq = (SELECT c.message_seq FROM conversation c WHERE c.id = p.conversation_id)
    WHERE p.id = %(id)s AND p.epoch = %(epoch)s AND (p.state <> 'ended' OR %(message)s) RETURNING p.silences
"""
_SPOKEN = """
    UPDATE phone_call SET heard_seq = greatest(heard_seq, %(seq)s) WHERE id = %(id)s AND epoch = %(epoch)s
"""
_DECIDE = """
    UPDATE phone_call SET decision = %(decision)s, transfer_to = CASE WHEN %(to)s = '' THEN transfer_to ELSE %(to)s END,
        heard_seq = coalesce((SELECT c.message_seq FROM conversation c WHERE c.id = conversation_id), 0)
    WHERE id = %(id)s AND epoch = %(epoch)s AND state <> 'ended' RETURNING id
"""
_MOVE = """
    UPDATE phone_call SET moves = moves + (state <> 'moving')::integer, state = 'moving', transfer_result = '',
        whisper_id = NULL, whisper = ''
    WHERE id = %(id)s AND state <> 'ended' RETURNING moves
"""
_MOVED = """
    UPDATE phone_call SET transfer_result = %(result)s, decision = '', state = CASE WHEN state = 'ended' THEN state ELSE 'up' END
    WHERE id = %(id)s
"""
_END = """
    UPDATE phone_call SET state = 'ended', ended_at = coalesce(ended_at, now()),
        decision = CASE WHEN decision = 'desk' THEN '' ELSE decision END,
        cause = CASE WHEN coalesce(cause, 0) = 0 THEN %(cause)s ELSE cause END WHERE id = %(id)s
"""
_PLACE = """
    SELECT c.status, c.waits, c.node_id, c.checkpoint, c.result, c.message_seq, c.language, c.is_test,
        c.pending_since IS NOT NULL AS is_running, t.due_at
    FROM conversation c LEFT JOIN timer t ON t.conversation_id = c.id WHERE c.id = %(id)s
    ORDER BY t.due_at LIMIT 1
"""
_QUESTION = """
    WITH last AS (
        SELECT m.*, c.node_id AS waits_at FROM message m JOIN conversation c ON c.id = m.conversation_id
        WHERE m.conversation_id = %(id)s AND m.role = 'agent'
          AND m.turn_id = (SELECT n.turn_id FROM message n WHERE n.conversation_id = %(id)s AND n.role = 'agent'
                           ORDER BY n.seq DESC LIMIT 1)
    )
    SELECT seq, key, parts, text, node_id, flags FROM last
    WHERE node_id = waits_at OR seq = (SELECT max(seq) FROM last) AND NOT EXISTS (SELECT FROM last WHERE node_id = waits_at)
    ORDER BY seq
"""
# The options of a question stay: the caller may still answer it. `unheard`: the words that were not heard.
_CUT = """
    WITH m AS (
        SELECT seq, turn_id FROM message WHERE conversation_id = %(id)s AND key = %(key)s AND role = 'agent'
        ORDER BY seq DESC LIMIT 1
    ), cut AS (
        UPDATE message x SET text = %(text)s, flags = x.flags || jsonb_build_object('interrupted', true, 'whole', x.text),
            parts = (SELECT coalesce(jsonb_agg(CASE WHEN p.place = 1 THEN p.part || jsonb_build_object('text', %(text)s::text)
                                                    ELSE p.part - 'text' || jsonb_build_object('text', '') END), '[]')
                     FROM jsonb_array_elements(x.parts) WITH ORDINALITY AS p (part, place)
                     WHERE p.part ->> 'kind' IN ('text', 'choices'))
        FROM m WHERE x.conversation_id = %(id)s AND x.seq = m.seq AND NOT x.flags ? 'interrupted' RETURNING 1
    ), later AS (
        UPDATE message x SET text = '', flags = x.flags || jsonb_build_object('unheard', true, 'whole', x.text)
        FROM m WHERE x.conversation_id = %(id)s AND x.turn_id = m.turn_id AND x.role = 'agent' AND x.seq > m.seq
          AND NOT x.flags ? 'unheard' RETURNING 1
    )
    SELECT (SELECT count(*) FROM m) AS cut, (SELECT count(*) FROM cut) + (SELECT count(*) FROM later) AS changed
"""
_TIMES = """
    UPDATE message m SET flags = m.flags || jsonb_build_object('times', %(times)s::jsonb)
    WHERE m.conversation_id = %(id)s AND m.seq = (
        SELECT min(f.seq) FROM message f WHERE f.conversation_id = %(id)s AND f.role = 'agent'
          AND f.turn_id = (SELECT n.turn_id FROM message n WHERE n.conversation_id = %(id)s AND n.role = 'agent'
                           ORDER BY n.seq DESC LIMIT 1))
      AND NOT m.flags ? 'times'
    RETURNING m.key, m.node_id
"""
