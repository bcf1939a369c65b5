"""Branch: go on by the first case whose condition holds."""

from __future__ import annotations

from graph_runtime.contract.conditions import All, AnyOf, Condition
from graph_runtime.contract.forms import SettingsItem
from graph_runtime.contract.nodes import Leave, NodeContext, NodeSettings, NodeType, Port, setting


class Case(SettingsItem):
    """One condition; its id is its exit."""

    id: str = setting("Id", default="", widget="id", pattern="^([a-z][a-z0-9_]{0,39})?$")
    label: str = setting("Name", default="", required=True, max_length=200, placeholder="Big order")
    when: Condition = setting(
        "When", default_factory=lambda: All(all=[]), widget="condition", required=True,
        help="A case without a condition is never chosen.",
    )  # fmt: skip


class Settings(NodeSettings):
    """The cases, in the order they are tried."""

    cases: tuple[Case, ...] = setting(
        "Cases", default=(), required=True, max_length=50,
        help="Tried from the top; the first one that holds is taken. Each case is an exit of this step.",
    )  # fmt: skip


def _exits(settings: Settings) -> list[Case]:
    """Cases that can be exits: of several with one id the first."""
    found = {c.id: c for c in reversed(settings.cases) if c.id and c.id != "else"}
    return [c for c in settings.cases if found.get(c.id) is c]


NODE = NodeType(
    type="branch",
    category="logic",
    label="Branch",
    summary="Chooses the way by conditions.",
    settings=Settings,
    outputs=lambda settings: (*(Port(c.id, c.label) for c in _exits(settings)), Port("else", "Otherwise")),
    step_outputs={"label": "Case that was chosen"},
    story=("cases",),
)


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """Take the first case that holds."""
    for case in _exits(settings):
        if not _is_blank(case.when) and ctx.check(case.when):
            ctx.output("label", case.label)
            return Leave(case.id)
    ctx.output("label", "")
    return Leave("else")


def _is_blank(condition: Condition) -> bool:
    """A group nobody has filled in yet; as a condition it would always hold."""
    if isinstance(condition, All):
        return all(_is_blank(part) for part in condition.all)
    return isinstance(condition, AnyOf) and all(_is_blank(part) for part in condition.any)
