"""What is stored of a turn: its result, or that it was not run."""

from __future__ import annotations

from typing import Any

from graph_runtime.analytics.recorder import Recorder
from graph_runtime.contract.people import PRIORITIES
from graph_runtime.engine.run import TurnResult
from graph_runtime.storage.outbox import recipient
from graph_runtime.storage.turns import LeasedTurn, TurnRows


def is_stale(turn: LeasedTurn) -> bool:
    """A timer of a wait that is over (the contact was quicker), a message to a conversation that has ended, or word from
    a person to a step that the conversation is not at any more."""
    if turn.kind == "timer":
        return turn.payload.get("turn_seq") != turn.turn_seq or turn.status == "ended"
    if turn.kind == "hand_off" and turn.payload.get("node_id") != turn.node_id:
        return True
    return turn.status == "ended" and turn.kind in ("message", "hand_off")


def unchanged(
    turn: LeasedTurn, state: str, *, status: str = "", said: dict[str, Any] | None = None, error: str = ""
) -> TurnRows:
    """The conversation stays as it is; the trigger is done or dead (`state`), and the contact is perhaps told something."""
    record = {
        "state": state, "trigger": turn.kind, "started_at": turn.run_at.isoformat(), "ms": 0, "attempts": turn.attempts,
        "error": error, "steps": [], "messages": [said] if said else [],
    }  # fmt: skip
    if said:
        _address(record, turn)
    return TurnRows(
        turn.checkpoint, status or turn.status, turn.waits, turn.node_id, due_at=None, keep_timer=True, record=record
    )


def hung_up(turn: LeasedTurn) -> TurnRows:
    """The conversation ends with its call; one that waits for time goes on without the caller."""
    rows = unchanged(turn, "done")
    if turn.status == "ended" or turn.waits == "time":
        return rows
    record = rows.record | {"result": "hung_up"}
    return TurnRows(None, "ended", "", "", due_at=None, keep_timer=False, record=record)


def rows_of(turn: LeasedTurn, result: TurnResult, recorder: Recorder, *, had_effects: bool) -> TurnRows:
    """What a turn that was run came to."""
    record: dict[str, Any] = {
        "state": "done",
        "trigger": turn.kind,
        "started_at": turn.run_at.isoformat(),
        "ms": result.ms,
        "attempts": turn.attempts,
        "error": result.error,
        "steps": result.path,
        "messages": [{"key": m.key, "parts": m.parts, "text": m.text, "node_id": m.node_id} for m in result.messages],
    }
    if any(m.language != turn.language for m in result.messages):
        # Whoever speaks them later has to know which was said in what.
        for said, message in zip(record["messages"], result.messages, strict=True):
            said["flags"] = {"language": message.language}
    if result.language:
        record["language"] = result.language
    if result.is_over:
        record |= {"result": result.result, "goal_value": result.goal_value, "tags": result.tags}
    if recorder.rows:
        record["events"] = recorder.rows
    if result.contact_changes:
        record["contact"] = result.contact_changes
    if had_effects:
        record["had_effects"] = True
    if result.hand_off is not None:
        asked = result.hand_off
        record["hand_off"] = asked.model_dump() | {"priority": PRIORITIES.index(asked.priority)}
    _address(record, turn)
    status = "ended" if result.is_over else "open"
    return TurnRows(result.state, status, result.waits, result.node_id, result.due_at, result.is_idle, record)


def _address(record: dict[str, Any], turn: LeasedTurn) -> None:
    to = recipient(turn.channel_kind, turn.external_user_id)
    if to is not None:
        record["recipient"] = to
