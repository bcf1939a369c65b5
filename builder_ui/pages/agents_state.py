"""State of the list of agents: search, create, switch, duplicate, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import reflex as rx

from builder_ui.i18n import LANGUAGES, text
from builder_ui.rows import AgentItem, PreviewMessage, TemplateItem, agent_item, flow_path
from builder_ui.session import Session, handler, services, text_of

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

PAGE_SIZE = 50
LONGEST = 200


class Agents(Session):
    """The list, the dialog that creates an agent, and the question before deleting one."""

    agents: list[AgentItem] = []
    has_more: bool = False
    search: str = ""
    shown_limit: int = PAGE_SIZE
    is_loaded: bool = False

    is_creating: bool = False
    is_saving: bool = False
    templates: list[TemplateItem] = []
    template: str = ""
    preview: list[PreviewMessage] = []
    speaks: str = "en"

    doomed_id: str = ""
    doomed_name: str = ""
    doomed_open: int = 0
    doomed_conversations: int = 0
    doomed_versions: int = 0

    async def _refresh(self, who: Principal) -> None:
        limit = min(self.shown_limit, LONGEST)
        rows = await services().agents.list(who, search=self.search, limit=min(limit + 1, LONGEST))
        self.agents = [agent_item(row) for row in rows[:limit]]
        self.has_more = len(rows) > limit
        self.is_loaded = True

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened. A dialog that somebody was quick enough to open meanwhile stays."""
        await self._refresh(who)

    @handler
    async def find(self, who: Principal, search: str) -> None:
        """Narrow the list to agents with these words."""
        self.search = str(search)[:200]
        self.shown_limit = PAGE_SIZE
        await self._refresh(who)

    @handler
    async def show_more(self, who: Principal) -> None:
        """The next page of the list."""
        self.shown_limit += PAGE_SIZE
        await self._refresh(who)

    @handler
    async def switch(self, who: Principal, agent_id: str, is_on: bool) -> None:
        """Let the agent answer people, or stop it."""
        agent = await services().agents.set_on(who, agent_id, bool(is_on))
        self._tell("agents.is_on_now" if agent.is_on else "agents.is_off_now", name=agent.name)
        await self._refresh(who)

    @handler
    async def duplicate(self, who: Principal, agent_id: str) -> None:
        """Copy an agent with its flows."""
        agent = await services().agents.duplicate(who, agent_id)
        self._tell("agents.duplicated", name=agent.name)
        await self._refresh(who)

    @handler
    async def begin_create(self, who: Principal) -> None:
        """Open the dialog with the templates."""
        self.speaks = self.me.language if self.me.language in LANGUAGES else "en"
        rows = await services().agents.templates(who, self.speaks)
        self.templates = [TemplateItem(r.id, r.name, r.summary) for r in rows]
        await self._choose(who, self.templates[0].id if self.templates else "")
        self.is_creating = True

    @handler
    async def choose(self, who: Principal, template: str) -> None:
        """Preview a template; an empty id is the empty canvas."""
        await self._choose(who, template)

    async def _choose(self, who: Principal, template: str) -> None:
        rows = await services().agents.templates(who, self.speaks)
        found = next((r for r in rows if r.id == template), None)
        self.template = found.id if found else ""
        self.preview = [
            PreviewMessage(m["role"], m["text"], list(m.get("options") or [])) for m in (found.preview if found else ())
        ]

    @handler
    async def speak(self, who: Principal, language: str) -> None:
        """Choose the language that the new agent speaks."""
        self.speaks = language if language in LANGUAGES else "en"
        rows = await services().agents.templates(who, self.speaks)
        self.templates = [TemplateItem(r.id, r.name, r.summary) for r in rows]
        await self._choose(who, self.template)

    @handler
    async def close_create(self, who: Principal, is_open: bool) -> None:
        """Close the dialog without creating."""
        self.is_creating = bool(is_open)

    @handler
    async def create(self, who: Principal, form: dict[str, Any]) -> Any:
        """Create the agent and open its flow."""
        if self.is_saving or not self.is_creating:  # a second click while the first is on its way
            return
        self.is_saving = True
        yield
        try:
            chosen = next((t.name for t in self.templates if t.id == self.template), "")
            name = text_of(form, "name", limit=120) or chosen or text(self.speaks, "create.unnamed")
            agent = await services().agents.create(who, name=name, template=self.template or None, language=self.speaks)
            self.is_creating = False
            yield rx.redirect(flow_path(agent.id, agent.main_flow_id))
        finally:
            self.is_saving = False

    @handler
    async def ask_delete(self, who: Principal, agent_id: str) -> None:
        """Find out what deleting would affect, and ask."""
        agent = await services().agents.get(who, agent_id)
        affected = await services().agents.what_delete_affects(who, agent_id)
        self.doomed_id, self.doomed_name = str(agent.id), agent.name
        self.doomed_open = affected.open_conversations
        self.doomed_conversations = affected.conversations
        self.doomed_versions = affected.versions

    @handler
    async def keep(self, who: Principal, is_open: bool) -> None:
        """Close the question without deleting."""
        if not is_open:
            self.doomed_id = ""

    @handler
    async def delete(self, who: Principal) -> None:
        """Delete the agent that was asked about."""
        doomed, self.doomed_id = self.doomed_id, ""
        if not doomed:
            return
        await services().agents.delete(who, doomed)
        self._tell("agents.deleted", name=self.doomed_name)
        await self._refresh(who)
