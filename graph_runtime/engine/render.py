"""The names texts and conditions may read: var, contact, message, conversation, call, step, now, workspace."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graph_runtime.engine.program import Scope
from graph_runtime.engine.turn import TurnRun


def roots(turn: TurnRun, scope: Scope) -> dict[str, Any]:
    """Values for Liquid, as seen from inside one (sub-)flow."""
    return {
        "var": variables(turn, scope),
        "contact": turn.contact,
        "message": turn.state.message,
        "conversation": turn.facts,
        "call": turn.trigger.call,
        "step": outputs(turn, scope),
        "now": turn.trigger.now,
        "workspace": turn.trigger.workspace,
    }


def variables(turn: TurnRun, scope: Scope) -> dict[str, Any]:
    """Variables with their defaults; those of the contact come from the contact."""
    values = scope.defaults | turn.state.scope(scope.prefix)
    for name in scope.contact_variables:
        if name in turn.contact_variables:
            values[name] = turn.contact_variables[name]
    return values


def outputs(turn: TurnRun, scope: Scope) -> dict[str, dict[str, Any]]:
    """Outputs of the steps of this flow, by the document's own ids."""
    cut = len(scope.prefix)
    return {
        step_id[cut:]: values
        for step_id, values in turn.state.outputs.items()
        if step_id.startswith(scope.prefix) and "/" not in step_id[cut:]
    }


def resolve(turn: TurnRun, scope: Scope, ref: str) -> Any:
    """Value of a path; None when there is none. Moments come as ISO text, so that they compare."""
    root, _, rest = ref.partition(".")
    value: Any
    if root == "var":
        name, _, rest = rest.partition(".")
        value = variable(turn, scope, name)
    elif root == "step":
        step_id, _, rest = rest.partition(".")
        value = turn.state.outputs.get(scope.prefix + step_id)
    else:
        value = roots(turn, scope).get(root)
    for part in rest.split(".") if rest else ():
        value = _inside(value, part)
    return value.isoformat() if isinstance(value, datetime) else value


def variable(turn: TurnRun, scope: Scope, name: str) -> Any:
    """One variable's value."""
    if name in scope.contact_variables and name in turn.contact_variables:
        return turn.contact_variables[name]
    return turn.state.scope(scope.prefix).get(name, scope.defaults.get(name))


def _inside(value: Any, part: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(value, list) and part.lstrip("-").isdigit():
        index = int(part)
        return value[index] if -len(value) <= index < len(value) else None
    return None
