"""Sub-flow: play another flow of the agent here, give it values and take values back."""

from __future__ import annotations

from graph_runtime.contract.forms import SettingsItem
from graph_runtime.contract.nodes import Leave, NodeContext, NodeSettings, NodeType, Port, setting


class Argument(SettingsItem):
    """A value the sub-flow starts with."""

    id: str = setting("Id", default="", widget="id")
    variable: str = setting("Variable of the sub-flow", default="", required=True, max_length=40)
    value: str = setting(
        "Value", default="", widget="line_template", max_length=20_000, placeholder="{{ var.order_number }}"
    )


class Returned(SettingsItem):
    """A value that comes back."""

    id: str = setting("Id", default="", widget="id")
    variable: str = setting("Save to", default="", widget="save_to", required=True, on_ports=("!error",))
    source: str = setting("Variable of the sub-flow", default="", required=True, max_length=40)


class FlowExit(SettingsItem):
    """An End step of the sub-flow, kept here so that the exits are known without opening it."""

    id: str = setting("Id", default="", widget="id", pattern="^([a-z][a-z0-9_]{0,39})?$")
    label: str = setting("Name", default="", max_length=200)


class Settings(NodeSettings):
    """Which flow, and what goes in and out."""

    flow_id: str = setting(
        "Flow", default="", widget="flow", required=True, max_length=60,
        help="Each End step of that flow is an exit here.",
    )  # fmt: skip
    arguments: tuple[Argument, ...] = setting(
        "Give to the sub-flow", default=(), max_length=30,
        help="The sub-flow has variables of its own and sees only what it is given.",
    )  # fmt: skip
    returns: tuple[Returned, ...] = setting("Take back from the sub-flow", default=(), max_length=30)
    exits: tuple[FlowExit, ...] = setting(
        "Exits", default=(), max_length=50, widget="id", help="Follows the End steps of the sub-flow by itself."
    )


def outputs(settings: Settings) -> tuple[Port, ...]:
    """One exit per End step of the sub-flow, by that step's id."""
    found = {e.id: Port(e.id, e.label or "End") for e in settings.exits if e.id and e.id != "error"}
    return (*found.values(), Port("error", "Error", "error", optional=True))


NODE = NodeType(
    type="run_flow",
    category="logic",
    label="Sub-flow",
    summary="Plays another flow and comes back.",
    settings=Settings,
    outputs=outputs,
    subflow="flow_id",
)


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """Reached only when the flow is missing or nested too deeply: the compiler puts the sub-flow's steps in place."""
    del settings, ctx
    return Leave("error")
