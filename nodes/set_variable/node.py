"""Set: give variables values: a text, a number, a calculation, a copy, one more item of a list."""

from __future__ import annotations

from typing import Any, Literal

from graph_runtime.contract.answers import read_number, read_yes_no
from graph_runtime.contract.forms import SettingsItem
from graph_runtime.contract.formulas import EMPTY_FORMULA, Formula, calculate
from graph_runtime.contract.nodes import Leave, NodeContext, NodeSettings, NodeType, setting

_WRITTEN: list[Any] = ["text", "number", "true_false", "append"]
MAX_ITEMS = 1000


class Assignment(SettingsItem):
    """One variable and its new value."""

    id: str = setting("Id", default="", widget="id")
    save_to: str = setting("Variable", default="", widget="save_to", required=True)
    kind: Literal["text", "number", "true_false", "formula", "copy", "append", "clear"] = setting(
        "New value", default="text",
        options={
            "text": "A text", "number": "A number", "true_false": "Yes or no", "formula": "A calculation",
            "copy": "A copy of another value", "append": "One more item in the list", "clear": "Empty",
        },
    )  # fmt: skip
    value: str = setting(
        "Value", default="", widget="template", show_when={"kind": _WRITTEN}, max_length=20_000,
        placeholder="{{ var.first_name }} {{ var.last_name }}",
    )  # fmt: skip
    source: str = setting(
        "Copy of", default="", widget="variable", required=True, show_when={"kind": ["copy"]}, max_length=40
    )
    formula: Formula = setting(
        "Calculation", default=EMPTY_FORMULA, widget="formula", show_when={"kind": ["formula"]},
        help="An empty variable counts as 0. What cannot be calculated makes the variable empty.",
    )  # fmt: skip


class Settings(NodeSettings):
    """The assignments, in order: a later one sees the values of the earlier ones."""

    assignments: tuple[Assignment, ...] = setting("Variables", default=(), required=True, max_length=50)


NODE = NodeType(
    type="set_variable",
    category="data",
    label="Set",
    summary="Changes variables.",
    settings=Settings,
    story=("assignments",),
)


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """Carry out the assignments one after the other."""
    for row in settings.assignments:
        if row.save_to:
            ctx.set(row.save_to, _value(row, ctx))
    return Leave()


def _value(row: Assignment, ctx: NodeContext) -> Any:
    if row.kind == "clear":
        return None
    if row.kind == "copy":
        return ctx.get(row.source)
    if row.kind == "formula":
        return calculate(row.formula, ctx.resolve, ctx.render, ctx.now())
    text = ctx.render(row.value)
    if row.kind == "number":
        return read_number(text, ctx.language)
    if row.kind == "true_false":
        return {"true": True, "false": False, "1": True, "0": False}.get(text.strip().lower(), read_yes_no(text))
    if row.kind == "append":
        old = ctx.get(row.save_to)
        items = old if isinstance(old, list) else [] if old in (None, "") else [old]
        return [*items, text][-MAX_ITEMS:]
    return text
