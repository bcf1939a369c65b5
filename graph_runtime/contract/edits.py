"""Edits: one finished change to a draft, as data. Applying is pure; every edit knows its inverse."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from graph_runtime.contract.errors import EditInvalid
from graph_runtime.contract.flow import Connection, Flow, Node, NodeId, Pace, PortRef, Variable, VariableId, split_port


class _Edit(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def apply(self, flow: Flow) -> Flow:
        """The flow after this edit. Raises: EditInvalid."""
        raise NotImplementedError

    def inverse(self, flow: Flow) -> tuple[Edit, ...]:
        """Edits that bring the touched places of `flow` (before applying) back."""
        raise NotImplementedError

    def touches(self) -> frozenset[str]:
        """Paths this edit writes, for rebasing: two edits with no common path do not conflict."""
        raise NotImplementedError


def _node(flow: Flow, node_id: str) -> Node:
    node = flow.nodes.get(node_id)
    if node is None:
        raise EditInvalid("This step no longer exists. Reload the flow to see its present state.", node_id=node_id)
    return node


class AddNode(_Edit):
    """Put a new step on the canvas."""

    kind: Literal["add_node"] = "add_node"
    id: NodeId
    node: Node
    at: tuple[int, int] = (0, 0)

    def apply(self, flow: Flow) -> Flow:
        if self.id in flow.nodes:
            raise EditInvalid("A step with this id already exists.", node_id=self.id)
        layout = flow.layout.model_copy(update={"nodes": flow.layout.nodes | {self.id: self.at}})
        return flow.model_copy(update={"nodes": flow.nodes | {self.id: self.node}, "layout": layout})

    def inverse(self, flow: Flow) -> tuple[Edit, ...]:
        return (RemoveNode(id=self.id),)

    def touches(self) -> frozenset[str]:
        return frozenset({f"nodes/{self.id}"})


class RemoveNode(_Edit):
    """Take a step away, with the wires that touch it."""

    kind: Literal["remove_node"] = "remove_node"
    id: NodeId

    def apply(self, flow: Flow) -> Flow:
        _node(flow, self.id)
        return flow.model_copy(
            update={
                "nodes": {k: v for k, v in flow.nodes.items() if k != self.id},
                "edges": {p: t for p, t in flow.edges.items() if t != self.id and split_port(p)[0] != self.id},
                "entry": {k: v for k, v in flow.entry.items() if v != self.id},
                "layout": flow.layout.model_copy(
                    update={"nodes": {k: v for k, v in flow.layout.nodes.items() if k != self.id}}
                ),
            }
        )

    def inverse(self, flow: Flow) -> tuple[Edit, ...]:
        node = _node(flow, self.id)
        edges = [(p, t) for p, t in flow.edges.items() if t == self.id or split_port(p)[0] == self.id]
        starts = [k for k, v in flow.entry.items() if v == self.id]
        return (
            AddNode(id=self.id, node=node, at=flow.layout.nodes.get(self.id, (0, 0))),
            *(Connect(port=p, target=t) for p, t in edges),
            *(SetStart(trigger=k, node=self.id) for k in starts),
        )

    def touches(self) -> frozenset[str]:
        return frozenset({f"nodes/{self.id}"})


class MoveNode(_Edit):
    """Place a step elsewhere on the canvas."""

    kind: Literal["move_node"] = "move_node"
    id: NodeId
    at: tuple[int, int]

    def apply(self, flow: Flow) -> Flow:
        _node(flow, self.id)
        layout = flow.layout.model_copy(update={"nodes": flow.layout.nodes | {self.id: self.at}})
        return flow.model_copy(update={"layout": layout})

    def inverse(self, flow: Flow) -> tuple[Edit, ...]:
        return (MoveNode(id=self.id, at=flow.layout.nodes.get(self.id, (0, 0))),)

    def touches(self) -> frozenset[str]:
        return frozenset({f"layout/{self.id}"})


class ChangeSettings(_Edit):
    """Set or remove (`None` in `remove`) top-level settings of one step."""

    kind: Literal["change_settings"] = "change_settings"
    id: NodeId
    set: dict[str, Any] = Field(default_factory=dict)
    remove: tuple[str, ...] = ()

    def apply(self, flow: Flow) -> Flow:
        node = _node(flow, self.id)
        settings = {k: v for k, v in node.settings.items() if k not in self.remove} | self.set
        return flow.model_copy(update={"nodes": flow.nodes | {self.id: node.model_copy(update={"settings": settings})}})

    def inverse(self, flow: Flow) -> tuple[Edit, ...]:
        old = _node(flow, self.id).settings
        keys = [*self.set, *self.remove]
        return (
            ChangeSettings(
                id=self.id,
                set={k: old[k] for k in keys if k in old},
                remove=tuple(k for k in keys if k not in old),
            ),
        )

    def touches(self) -> frozenset[str]:
        return frozenset(f"nodes/{self.id}/settings/{k}" for k in (*self.set, *self.remove))


class ChangeNode(_Edit):
    """Rename a step, change its note, switch it on or off. Only the given parts change."""

    kind: Literal["change_node"] = "change_node"
    id: NodeId
    name: str | None = Field(default=None, max_length=200)
    note: str | None = Field(default=None, max_length=5000)
    enabled: bool | None = None

    def _given(self) -> dict[str, Any]:
        return {k: v for k in ("name", "note", "enabled") if (v := getattr(self, k)) is not None}

    def apply(self, flow: Flow) -> Flow:
        node = _node(flow, self.id)
        return flow.model_copy(update={"nodes": flow.nodes | {self.id: node.model_copy(update=self._given())}})

    def inverse(self, flow: Flow) -> tuple[Edit, ...]:
        node = _node(flow, self.id)
        return (ChangeNode(id=self.id, **{k: getattr(node, k) for k in self._given()}),)

    def touches(self) -> frozenset[str]:
        return frozenset(f"nodes/{self.id}/{k}" for k in self._given())


class Connect(_Edit):
    """Draw a wire. A port has one wire: connecting again replaces it."""

    kind: Literal["connect"] = "connect"
    port: PortRef
    target: NodeId

    def apply(self, flow: Flow) -> Flow:
        _node(flow, split_port(self.port)[0])
        _node(flow, self.target)
        return flow.model_copy(update={"edges": flow.edges | {self.port: self.target}})

    def inverse(self, flow: Flow) -> tuple[Edit, ...]:
        old = flow.edges.get(self.port)
        return (Connect(port=self.port, target=old),) if old is not None else (Disconnect(port=self.port),)

    def touches(self) -> frozenset[str]:
        return frozenset({f"edges/{self.port}"})


class Disconnect(_Edit):
    """Take a wire away; nothing happens when there is none."""

    kind: Literal["disconnect"] = "disconnect"
    port: PortRef

    def apply(self, flow: Flow) -> Flow:
        return flow.model_copy(update={"edges": {p: t for p, t in flow.edges.items() if p != self.port}})

    def inverse(self, flow: Flow) -> tuple[Edit, ...]:
        old = flow.edges.get(self.port)
        return (Connect(port=self.port, target=old),) if old is not None else ()

    def touches(self) -> frozenset[str]:
        return frozenset({f"edges/{self.port}"})


class SetStart(_Edit):
    """Choose (or with None clear) the step where a trigger enters."""

    kind: Literal["set_start"] = "set_start"
    trigger: str = Field(pattern=r"^[a-z_]{1,20}$")
    node: NodeId | None

    def apply(self, flow: Flow) -> Flow:
        entry = {k: v for k, v in flow.entry.items() if k != self.trigger}
        if self.node is not None:
            _node(flow, self.node)
            entry[self.trigger] = self.node
        return flow.model_copy(update={"entry": entry})

    def inverse(self, flow: Flow) -> tuple[Edit, ...]:
        return (SetStart(trigger=self.trigger, node=flow.entry.get(self.trigger)),)

    def touches(self) -> frozenset[str]:
        return frozenset({f"entry/{self.trigger}"})


class SetVariable(_Edit):
    """Create, change or (None) remove a variable of the flow."""

    kind: Literal["set_variable"] = "set_variable"
    id: VariableId
    variable: Variable | None

    def apply(self, flow: Flow) -> Flow:
        variables = {k: v for k, v in flow.variables.items() if k != self.id}
        if self.variable is not None:
            variables[self.id] = self.variable
        return flow.model_copy(update={"variables": variables})

    def inverse(self, flow: Flow) -> tuple[Edit, ...]:
        return (SetVariable(id=self.id, variable=flow.variables.get(self.id)),)

    def touches(self) -> frozenset[str]:
        return frozenset({f"variables/{self.id}"})


class SetConnection(_Edit):
    """Create, change or (None) remove a connection slot of the flow."""

    kind: Literal["set_connection"] = "set_connection"
    id: VariableId
    connection: Connection | None

    def apply(self, flow: Flow) -> Flow:
        connections = {k: v for k, v in flow.connections.items() if k != self.id}
        if self.connection is not None:
            connections[self.id] = self.connection
        return flow.model_copy(update={"connections": connections})

    def inverse(self, flow: Flow) -> tuple[Edit, ...]:
        return (SetConnection(id=self.id, connection=flow.connections.get(self.id)),)

    def touches(self) -> frozenset[str]:
        return frozenset({f"connections/{self.id}"})


class SetText(_Edit):
    """Set or (None) remove the translation of one text; `key` is "node.field". A language without texts is not kept."""

    kind: Literal["set_text"] = "set_text"
    language: str = Field(pattern=r"^[a-z]{2,3}$")
    key: str = Field(max_length=120)
    text: str | None = Field(max_length=100_000)

    def apply(self, flow: Flow) -> Flow:
        texts = {k: v for k, v in flow.i18n.get(self.language, {}).items() if k != self.key}
        if self.text is not None:
            texts[self.key] = self.text
        i18n = flow.i18n | {self.language: texts}
        return flow.model_copy(update={"i18n": {k: v for k, v in i18n.items() if v}})

    def inverse(self, flow: Flow) -> tuple[Edit, ...]:
        old = flow.i18n.get(self.language, {}).get(self.key)
        return (SetText(language=self.language, key=self.key, text=old),)

    def touches(self) -> frozenset[str]:
        return frozenset({f"i18n/{self.language}/{self.key}"})


class RenameFlow(_Edit):
    """Change the flow's name or main language."""

    kind: Literal["rename_flow"] = "rename_flow"
    name: str | None = Field(default=None, max_length=200)
    locale: str | None = None

    def _given(self) -> dict[str, Any]:
        return {k: v for k in ("name", "locale") if (v := getattr(self, k)) is not None}

    def apply(self, flow: Flow) -> Flow:
        return flow.model_copy(update=self._given())

    def inverse(self, flow: Flow) -> tuple[Edit, ...]:
        return (RenameFlow(**{k: getattr(flow, k) for k in self._given()}),)

    def touches(self) -> frozenset[str]:
        return frozenset(self._given())


class SetPace(_Edit):
    """Change how the agent keeps step with somebody who writes several messages in a row."""

    kind: Literal["set_pace"] = "set_pace"
    pace: Pace

    def apply(self, flow: Flow) -> Flow:
        return flow.model_copy(update={"pace": self.pace})

    def inverse(self, flow: Flow) -> tuple[Edit, ...]:
        return (SetPace(pace=flow.pace),)

    def touches(self) -> frozenset[str]:
        return frozenset({"pace"})


Edit = Annotated[
    AddNode
    | RemoveNode
    | MoveNode
    | ChangeSettings
    | ChangeNode
    | Connect
    | Disconnect
    | SetStart
    | SetVariable
    | SetConnection
    | SetText
    | RenameFlow
    | SetPace,
    Field(discriminator="kind"),
]
EDITS: TypeAdapter[list[Edit]] = TypeAdapter(list[Edit])


def apply_edits(flow: Flow, edits: list[Edit]) -> Flow:
    """Apply edits in order, all or nothing. Raises: EditInvalid."""
    for edit in edits:
        flow = edit.apply(flow)
    return flow


def conflicting(mine: list[Edit], theirs: frozenset[str]) -> frozenset[str]:
    """Paths of `mine` that `theirs` (paths written since the base revision) also wrote, or whose step was removed."""
    steps = frozenset(p.split("/")[1] for p in theirs if p.startswith("nodes/") and p.count("/") == 1)
    return frozenset(p for edit in mine for p in edit.touches() if p in theirs or steps & _steps_of(edit))


def _steps_of(edit: Edit) -> frozenset[str]:
    """Steps that must be there for the edit to make sense."""
    if isinstance(edit, Connect):
        return frozenset({split_port(edit.port)[0], edit.target})
    if isinstance(edit, SetStart):
        return frozenset({edit.node} if edit.node is not None else ())
    return (
        frozenset({edit.id}) if isinstance(edit, RemoveNode | MoveNode | ChangeSettings | ChangeNode) else frozenset()
    )
