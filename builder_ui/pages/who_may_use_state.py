"""State of the form that says which agents a key or a connection serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder_ui.pages.connections_state import Connections
from builder_ui.pages.models_state import Models
from builder_ui.session import Session, handler, services

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

MOST_AGENTS = 200


@dataclass(frozen=True)
class ServedItem:
    """An agent to choose. `is_in`: it was chosen when the form was opened."""

    id: str
    name: str
    is_in: bool


class WhoMayUse(Session):
    """`page`: which page opened the form and is to show what was saved."""

    key_id: str = ""
    name: str = ""
    is_limited: bool = False
    agents: list[ServedItem] = []
    page: str = ""

    @handler
    async def begin(self, who: Principal, key_id: str, page: str) -> None:
        """Open the form of a key or connection."""
        who.require("credential.manage")
        row = await services().credentials.get(who, key_id)
        chosen = row.only_agents or ()
        found = await services().agents.list(who, limit=MOST_AGENTS)
        self.agents = [ServedItem(str(a.id), a.name, str(a.id) in chosen) for a in found]
        self.is_limited, self.page = row.only_agents is not None, str(page)
        self.key_id, self.name = str(row.id), row.label

    @handler
    async def limit(self, who: Principal, choice: str) -> None:
        """All agents, or those that are chosen below."""
        self.is_limited = choice == "some"

    @handler
    async def close(self, who: Principal, is_open: bool) -> None:
        """Close the form without saving."""
        if not is_open:
            self.key_id = ""

    @handler
    async def save(self, who: Principal, form: dict[str, Any]) -> Any:
        """Save who may use it; while others use it, nothing changes and the form stays."""
        chosen = [a.id for a in self.agents if form.get(f"agent:{a.id}")]
        await services().credentials.serve(who, self.key_id, chosen if self.is_limited else None)
        self.key_id = ""
        self._tell("serving.saved")
        return Models.load if self.page == "models" else Connections.load
