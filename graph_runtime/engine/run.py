"""One turn of one conversation: state and trigger in, messages, events and the new state out. No storage."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from graph_runtime.contract import events as happened
from graph_runtime.contract.calls import PHONE
from graph_runtime.contract.errors import BuilderError, StepLimitReached
from graph_runtime.contract.messages import Reply, Text, dump_part
from graph_runtime.contract.outside_words import sentence
from graph_runtime.contract.people import HandOff
from graph_runtime.engine.checkpoint import PLACE, StateTooLarge, clean, decode, encode
from graph_runtime.engine.graph import run_graph
from graph_runtime.engine.program import CompiledFlow
from graph_runtime.engine.turn import Doors, End, Said, StepFailed, Trigger, TurnRun, Wait

SORRY = {
    "en": "Sorry, something went wrong on our side. Please write once more in a moment.",
    "ru": "Извините, у нас что-то пошло не так. Пожалуйста, напишите ещё раз чуть позже.",
    "uk": "Вибачте, у нас щось пішло не так. Будь ласка, напишіть ще раз трохи згодом.",
}

SORRY_ON_CALL = {
    "en": "Sorry, something went wrong on our side. Please say that once more.",
    "ru": "Извините, у нас что-то пошло не так. Пожалуйста, скажите ещё раз.",
    "uk": "Вибачте, у нас щось пішло не так. Будь ласка, скажіть ще раз.",
}


def sorry(channel: str, language: str) -> str:
    """What a contact is told when a turn has failed."""
    sentences = SORRY_ON_CALL if channel == PHONE else SORRY
    return sentences.get(language, sentences["en"])


@dataclass(frozen=True, slots=True)
class TurnResult:
    """What a turn came to. `state` None: nothing to go on from (over, or it failed before the first wait).

    `due_at`: when the conversation wakes by itself. `error`: code of what stopped the turn; the state is then the one
    before it, so the contact's next message tries again from the same place. `is_idle`: the conversation waits for
    time and this message changed nothing; its timer stays.
    """

    state: bytes | None
    waits: Literal["", "reply", "time"]
    node_id: str = ""
    due_at: datetime | None = None
    is_over: bool = False
    is_idle: bool = False
    result: str = ""
    goal_value: float | None = None
    tags: tuple[str, ...] = ()
    messages: tuple[Said, ...] = ()
    path: tuple[tuple[str, str, float], ...] = ()
    events: tuple[happened.EngineEvent, ...] = ()
    contact_changes: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    steps: int = 0
    ms: float = 0.0
    error: str = ""
    language: str = ""
    """What the conversation is in from now on; "" as before."""
    hand_off: HandOff | None = None
    """A person is asked to take the conversation over, which waits at `node_id` for them."""


async def run_turn(compiled: CompiledFlow, state: bytes | None, trigger: Trigger, doors: Doors) -> TurnResult:
    """Run until the conversation waits or ends. A failing step never raises: the contact is told and may try again.

    Raises: LeaseLost when the journal says so; what storage behind `doors` raises.
    """
    began = time.perf_counter()
    turn = TurnRun(compiled, trigger, doors)
    turn.contact = trigger.contact
    turn.contact_variables = dict(trigger.contact_variables)
    turn.facts = {
        "id": trigger.conversation_id,
        "channel": trigger.channel,
        "language": trigger.language,
        "is_test": trigger.is_test,
        "started_at": (trigger.started_at or trigger.now).isoformat(),
    }
    if trigger.reply is not None and trigger.reply.person is None:
        turn.state.message = _message(trigger.reply)
    turn.emit(happened.TurnStarted, trigger=trigger.kind)
    if state is not None and trigger.kind == "message" and _waits_for_time_only(compiled, state):
        return TurnResult(state=state, waits="time", node_id=_place(state)[0], is_idle=True)
    error: BuilderError | None = None
    new_state = state
    limit = asyncio.timeout(doors.budget.seconds)
    try:
        async with limit:
            new_state = await _drive(turn, state)
    except TimeoutError:
        if not limit.expired():
            raise
        error = StepLimitReached(
            sentence("too_long_a_turn", seconds=f"{doors.budget.seconds:.0f}"), limit=doors.budget.seconds
        )
    except StepFailed as e:
        error = e.cause
    except StepLimitReached as e:
        error = e
    except StateTooLarge:
        error = StepLimitReached(sentence("values_too_large"))
    ms = round((time.perf_counter() - began) * 1000, 3)
    if error is not None:
        return _apologise(turn, state, error, ms)
    return _result(turn, new_state, ms)


async def _drive(turn: TurnRun, state: bytes | None) -> bytes | None:
    waiting, data = decode(state) if state else ("", {})
    if not waiting or turn.trigger.kind == "restart":
        waiting, data = "", {"v": {"": turn.trigger.variables}} if turn.trigger.variables else {}
    compiled = turn.compiled
    data = await run_graph(compiled.graph, turn, waiting, data, alone=compiled.alone)
    waiting = data.pop(PLACE, "")
    return encode(waiting, data) if waiting else None


def _result(turn: TurnRun, state: bytes | None, ms: float) -> TurnResult:
    ended = turn.ended
    waits: Literal["", "reply", "time"] = ""
    if isinstance(ended, Wait):
        waits = "reply" if ended.half == "reply" else "time"
    turn.emit(happened.TurnEnded, waits=waits, steps=turn.steps, ms=ms)
    over = ended if isinstance(ended, End) else End()
    return TurnResult(
        state=state,
        waits=waits,
        node_id=ended.step_id if isinstance(ended, Wait) else "",
        due_at=ended.until if isinstance(ended, Wait) else None,
        is_over=isinstance(ended, End),
        result=over.result,
        goal_value=over.goal_value,
        tags=over.tags,
        messages=tuple(turn.messages),
        path=tuple(turn.path),
        events=tuple(turn.events),
        contact_changes=turn.contact_changes,
        variables=turn.state.variables.get("", {}),
        steps=turn.steps,
        ms=ms,
        language=turn.language,
        hand_off=ended.person if isinstance(ended, Wait) else None,
    )


def _apologise(turn: TurnRun, state: bytes | None, error: BuilderError, ms: float) -> TurnResult:
    """The contact is never left in silence: what was said stays, the state goes back, a polite sentence follows."""
    node_id = getattr(error, "node_id", None) or ""
    if isinstance(error, StepLimitReached):
        turn.emit(happened.NodeFailed, node_id=node_id, code=error.code, message=error.message)
    key = f"{turn.trigger.turn}.{len(turn.messages) + 1}"
    part = Text(text=sorry(turn.trigger.channel, turn.trigger.language))
    said = Said(key, len(turn.messages) + 1, node_id, (dump_part(part),), part.text, turn.trigger.language)
    turn.emit(happened.TextStreamed, node_id=node_id, key=key, text="", reset=True)
    turn.emit(happened.MessageSaid, node_id=node_id, key=key, parts=said.parts, language=said.language)
    turn.emit(happened.TurnEnded, waits="reply", steps=turn.steps, ms=ms)
    node_id, half = _place(state)
    is_over = half == "resume"  # nobody will write to wake it, and waking it by time would only repeat the failure
    return TurnResult(
        state=None if is_over else state,
        waits="" if is_over else "reply",
        node_id="" if is_over else node_id,
        is_over=is_over,
        result="failed" if is_over else "",
        messages=(*turn.messages, said),
        path=tuple(turn.path),
        events=tuple(turn.events),
        steps=turn.steps,
        ms=ms,
        error=error.code,
    )


def _place(state: bytes | None) -> tuple[str, str]:
    """Where a stored conversation waits: (step id, half)."""
    step_id, _, half = decode(state)[0].rpartition(".") if state else ("", "", "")
    return step_id, half


def _waits_for_time_only(compiled: CompiledFlow, state: bytes) -> bool:
    step_id, half = _place(state)
    step = compiled.steps.get(step_id)
    return half == "resume" and (step is None or step.type is None or step.type.reply is None)


def _message(reply: Reply) -> dict[str, Any]:
    return {
        "text": clean(reply.text),
        "option_id": reply.option_id,
        "language": reply.language,
        "attachments": [a.model_dump(mode="json") for a in reply.attachments],
    }
