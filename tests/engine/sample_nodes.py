"""A small catalog for tests of the check: one step type per trait that matters to it."""

from __future__ import annotations

from typing import Any

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.flow import Flow, load_flow
from graph_runtime.contract.forms import SettingsItem
from graph_runtime.contract.nodes import NodeSettings, NodeType, Port, setting


class Nothing(NodeSettings):
    """No settings."""


class Saying(NodeSettings):
    """A text said to the contact."""

    text: str = setting("Text", default="", widget="template", required=True, outside=True, max_length=2000)
    count: int = setting("Count", default=1, ge=1, le=5, advanced=True)
    extra: str = setting("Extra", default="", required=True, show_when={"count": [2]})


class Asking(Saying):
    """A question saved to a variable."""

    save_to: str = setting("Save to", default="", widget="save_to", on_ports=("answered",))


class Case(SettingsItem):
    """One case."""

    id: str = setting("Id", default="", widget="id")
    when: dict[str, Any] = setting("When", default_factory=dict, widget="condition")


class Branching(NodeSettings):
    """Cases."""

    cases: list[Case] = setting("Cases", default_factory=list)


def _case_ports(settings: Branching) -> tuple[Port, ...]:
    return (*(Port(c.id, c.id) for c in settings.cases), Port("else", "Otherwise"))


class Modelling(NodeSettings):
    """A model slot."""

    connection: str = setting("Model", default="llm", widget="connection", of="chat_model")


class Calling(NodeSettings):
    """Another flow."""

    flow_id: str = setting("Flow", default="", widget="flow")


def _type(name: str, settings: type[NodeSettings], **rest: Any) -> NodeType:
    return NodeType(type=name, category="talk", label=name.title(), summary="", settings=settings, **rest)


TYPES = [
    _type("start", Nothing, entry=True),
    _type("say", Saying, texts={"Text": {"ru": "Текст", "uk": "Текст"}}),
    _type(
        "ask", Asking, waits="reply", outputs=(Port("answered", "Answered"), Port("no_reply", "No reply", "no_reply"))
    ),
    _type("branch", Branching, outputs=_case_ports),
    _type(
        "prompt", Modelling, outputs=(Port("next", "Next"), Port("error", "Error", "error")), step_outputs={"text": "T"}
    ),
    _type("check", Nothing, limits_loops=True, outputs=(Port("ok", "Ok"), Port("failed", "Failed"))),
    _type("run_flow", Calling, subflow="flow_id"),
    _type("end", Nothing, ends=True, outputs=()),
]
CATALOG = Catalog({t.type: t for t in TYPES}, {})


def flow(nodes: dict[str, Any], edges: dict[str, str], **rest: Any) -> Flow:
    """A flow from `{"n_a": "say"}` or `{"n_a": ("say", {settings})}`."""
    documents = {
        n: {"type": spec, "settings": {"text": "Hi"} if spec in ("say", "ask") else {}}
        if isinstance(spec, str)
        else {"type": spec[0], "settings": spec[1]}
        for n, spec in nodes.items()
    }
    return load_flow({"format": "flow/1", "id": "flw_1", "nodes": documents, "edges": edges} | rest)
