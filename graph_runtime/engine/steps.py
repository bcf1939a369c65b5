"""Runs one step of a turn: its half, its limits, its failures, and where the conversation goes next."""

from __future__ import annotations

import re
import time
from datetime import timedelta

from graph_runtime.contract import events as happened
from graph_runtime.contract.calls import PHONE
from graph_runtime.contract.conditions import number
from graph_runtime.contract.errors import BuilderError, LeaseLost, NodeFailed, StepLimitReached
from graph_runtime.contract.nodes import AwaitReply, AwaitTime, Detour, EndConversation, Leave, Outcome
from graph_runtime.contract.outside_words import sentence
from graph_runtime.engine.checkpoint import clean, json_values
from graph_runtime.engine.context import StepContext
from graph_runtime.engine.program import Step
from graph_runtime.engine.render import resolve
from graph_runtime.engine.turn import End, Go, Half, Next, StepFailed, TurnRun, Wait

_ONE_REF = re.compile(r"\s*\{\{\s*([a-z]\w*(?:\.\w+)+)\s*\}\}\s*")


async def run_step(turn: TurnRun, step_id: str, half: Half) -> Next:
    """Run one half of one step. Raises: StepFailed, StepLimitReached, LeaseLost."""
    step = turn.compiled.steps[step_id]
    turn.steps += 1
    if turn.steps > turn.doors.budget.steps:
        raise StepLimitReached(
            sentence("too_many_steps", limit=turn.doors.budget.steps),
            node_id=step.id,
            limit=turn.doors.budget.steps,
        )
    began = time.perf_counter()
    if half == "run":
        turn.emit(happened.NodeEntered, node_id=step.id, node_type=step.type_name)
    try:
        port, following = await _outcome(turn, step, half)
    except (StepLimitReached, LeaseLost):
        raise
    except Exception as error:  # noqa: BLE001  # a step is foreign code: whatever it raises is the flow's failure
        port, following = _failed(turn, step, error)
    if turn.detour and not isinstance(following, Go):
        following = Wait(turn.detour, "reply")
    spent = round((time.perf_counter() - began) * 1000, 3)
    turn.path.append((step.id, port, spent))
    turn.emit(happened.NodeLeft, node_id=step.id, port=port, ms=spent)
    if not isinstance(following, Go):
        turn.ended = following
        on_call = following.on_call if isinstance(following, Wait) else None
        turn.state.on_call = on_call.model_dump(mode="json") if on_call is not None else {}
    return following


async def _outcome(turn: TurnRun, step: Step, half: Half) -> tuple[str, Next]:
    if step.problem is not None:
        raise step.problem
    if step.skip_port is not None:
        return step.skip_port, _through(step, step.skip_port)
    if step.inner and half == "run":
        _enter(turn, step)
        return "", Go(step.inner)
    if half == "run":
        turn.visits[step.id] += 1
    assert step.type is not None
    context = StepContext(turn, step, turn.visits[step.id], half)
    if half == "reply":
        assert step.type.reply is not None
        outcome = await step.type.reply(step.settings, context, turn.trigger.reply)
    else:
        run = step.type.run if half == "run" else step.type.resume
        if run is None:
            raise NodeFailed("This step has nothing to run. Its package is incomplete.", node_id=step.id)
        outcome = await run(step.settings, context)
    context.close()
    return _follow(turn, step, outcome)


def _follow(turn: TurnRun, step: Step, outcome: Outcome) -> tuple[str, Next]:
    if isinstance(outcome, Leave):
        return outcome.port, _through(step, outcome.port)
    if isinstance(outcome, Detour):
        if outcome.port not in step.edges:
            return "", Wait(step.id, "reply")
        turn.detour = step.id
        return outcome.port, Go(step.edges[outcome.port])
    if isinstance(outcome, AwaitReply | AwaitTime):
        half: Half = "reply" if isinstance(outcome, AwaitReply) else "resume"
        if step.type is None or getattr(step.type, half) is None:
            raise NodeFailed(
                "This step waits but has no half that goes on. Its package is incomplete.", node_id=step.id
            )
        if isinstance(outcome, AwaitTime):
            if outcome.event:
                value = clean(outcome.value.strip())[:200]
                turn.emit(happened.EventAwaited, node_id=step.id, event=outcome.event[:60], value=value)
            return "", Wait(step.id, half, outcome.until)
        after = outcome.no_reply_after
        until = None if after is None else turn.trigger.now + timedelta(seconds=after)
        is_call = turn.trigger.channel == PHONE
        return "", Wait(step.id, half, until, outcome.on_call if is_call else None, None if is_call else outcome.person)
    if not isinstance(outcome, EndConversation):
        raise NodeFailed("This step did not say where to go on. Its package is faulty.", node_id=step.id)
    if step.scope.caller is not None:
        return "", _return(turn, step)
    return "", End(outcome.result, outcome.goal_value, outcome.tags)


def _through(step: Step, port: str) -> Next:
    target = step.edges.get(port)
    if target is not None:
        return Go(target)
    if step.ports.get(port) == "error":
        # Silence is the one thing a contact must never meet: an open error exit is told, not passed over.
        raise _OpenErrorExit(
            sentence("open_error_exit"),
            node_id=step.id,
        )
    return End()


class _OpenErrorExit(NodeFailed):
    """Raised for the step itself, so that it is not sent to its (open) error exit again."""


def _failed(turn: TurnRun, step: Step, error: Exception) -> tuple[str, Next]:
    """A failure leaves through the step's error exit when that is connected."""
    if not isinstance(error, BuilderError):
        error = NodeFailed(sentence("step_failed", kind=type(error).__name__), node_id=step.id, reason=str(error)[:500])
    turn.emit(happened.NodeFailed, node_id=step.id, code=error.code, message=error.message)
    exit_ = step.error_target()
    if exit_ is None or isinstance(error, _OpenErrorExit):
        turn.path.append((step.id, "", 0.0))
        raise StepFailed(step, error)
    return exit_[0], Go(exit_[1])


def _enter(turn: TurnRun, step: Step) -> None:
    """Begin a sub-flow: fresh variables, then the arguments, read in the caller's scope."""
    assert step.inner_scope is not None
    turn.visits[step.id] += 1
    context = StepContext(turn, step, turn.visits[step.id], "run")
    values = [(name, _argument(context, source)) for name, source in step.arguments]
    inner = step.inner_scope
    turn.state.forget(inner.prefix)
    declared = inner.flow.variables
    for name, value in values:
        kind = declared[name].type if name in declared else "text"
        turn.set_variable(inner, step.id, name, number(value) if kind == "number" and isinstance(value, str) else value)


def _argument(context: StepContext, source: str) -> object:
    alone = _ONE_REF.fullmatch(source)
    return json_values(context.resolve(alone.group(1)) if alone else context.render(source))


def _return(turn: TurnRun, end: Step) -> Next:
    """A sub-flow's End: hand the results back and go on through the caller's exit of that name."""
    caller = end.scope.caller
    assert caller is not None
    for target, source in end.scope.returns:
        turn.set_variable(caller.scope, caller.id, target, json_values(resolve(turn, end.scope, f"var.{source}")))
    turn.emit(happened.NodeLeft, node_id=caller.id, port=end.local_id, ms=0.0)
    turn.path.append((caller.id, end.local_id, 0.0))
    return _through(caller, end.local_id)
