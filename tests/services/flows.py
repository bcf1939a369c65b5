"""Short ways to draw flows through the services, as the editor does."""

from __future__ import annotations

from typing import Any

from graph_runtime.bootstrap import Services
from graph_runtime.contract.edits import AddNode, ChangeSettings, Connect, Edit
from graph_runtime.contract.flow import Node
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.drafts import Applied
from graph_runtime.services.principal import Principal


def node(node_id: str, type: str, **settings: Any) -> AddNode:
    """A new step, named after its id."""
    return AddNode(id=node_id, node=Node(type=type, name=node_id, settings=settings))


def wire(port: str, target: str) -> Connect:
    return Connect(port=port, target=target)


def text(node_id: str, words: str) -> ChangeSettings:
    """Change what a message says."""
    return ChangeSettings(id=node_id, set={"text": words})


HELLO: tuple[Edit, ...] = (
    node("n_hello", "send_message", text="Hello"),
    node("n_end", "end"),
    wire("n_start.next", "n_hello"),
    wire("n_hello.next", "n_end"),
)
"""Start → message → end; publishes without a problem."""


class Editor:
    """One tab: keeps its revision and numbers its batches."""

    def __init__(self, services: Services, who: Principal, flow_id: str, client: str = "tab") -> None:
        self.services, self.who, self.flow_id, self.client = services, who, flow_id, client
        self.revision = 1
        self.seq = 0

    async def save(self, *edits: Edit) -> Applied:
        """Save a batch on what this tab knows."""
        self.seq += 1
        applied = await self.services.drafts.apply(
            self.who, self.flow_id, client=self.client, seq=self.seq, base_revision=self.revision, edits=list(edits)
        )
        self.revision = applied.revision
        return applied


async def new_agent(services: Services, who: Principal, *edits: Edit) -> tuple[AgentRow, Editor]:
    """An agent whose main flow is drawn with these edits."""
    agent = await services.agents.create(who, name="Shop")
    editor = Editor(services, who, agent.main_flow_id)
    if edits:
        await editor.save(*edits)
    return agent, editor
