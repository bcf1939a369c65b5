"""State of one agent's page: its channels, flows, versions, models and settings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from builder_ui.i18n import LANGUAGES
from builder_ui.pages.snippets import curl_quickstart, python_quickstart, widget_tag
from builder_ui.rows import ConnectionItem, CredentialChoice, FlowItem, VersionItem, flow_item, flow_path, version_item
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.errors import NotFound

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

COLORS: Final = ("#5b5bd6", "#0090ff", "#12a594", "#30a46c", "#e5484d", "#d6409f", "#f76b15", "#1c2024")
DEMO: Final = "demo"
DEFAULT: Final = "default"
TABS: Final = ("channels", "phone", "flows", "triggers", "rules", "models", "settings")
_HEX: Final = re.compile(r"#[0-9a-f]{6}")


class AgentPage(Session):
    """Everything about one agent but its canvas."""

    name: str = ""
    description: str = ""
    speaks: str = "en"
    color: str = COLORS[0]
    subtitle: str = ""
    is_on: bool = False
    live_version: int = 0
    public_id: str = ""
    canvas: str = ""
    flows: list[FlowItem] = []
    versions: list[VersionItem] = []
    connections: list[ConnectionItem] = []
    choices: list[CredentialChoice] = []
    widget: str = ""
    curl: str = ""
    python: str = ""
    is_loaded: bool = False
    is_missing: bool = False
    is_adding: bool = False
    tab: str = TABS[0]
    _tab_of: str = ""

    def _agent_id(self) -> str:
        return str(self.router.url.path).rstrip("/").rsplit("/", 1)[-1]

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_loaded = self.is_adding = False
        wanted = dict(self.router.url.query_parameters).get("tab")
        if wanted in TABS:
            self.tab = wanted
        elif self._tab_of != self._agent_id():  # a tab that was chosen while the page was loading stays
            self.tab = TABS[0]
        self._tab_of = self._agent_id()
        try:
            await self._refresh(who)
        except NotFound:
            self.is_missing = True
            return
        self.is_missing, self.is_loaded = False, True

    @handler
    async def show_tab(self, who: Principal, tab: str) -> None:
        """Another part of the page."""
        self.tab, self._tab_of = (tab if tab in TABS else TABS[0]), self._agent_id()

    async def _refresh(self, who: Principal) -> None:
        agent_id = self._agent_id()
        agent = await services().agents.get(who, agent_id)
        self.name, self.description = agent.name, agent.description or ""
        self.speaks, self.is_on = agent.language or "en", agent.is_on
        self.live_version, self.public_id = agent.live_version or 0, agent.public_id
        self.canvas = flow_path(agent.id, agent.main_flow_id)
        look = agent.settings or {}
        theme = look.get("theme")
        self.color = str(theme.get("accent") or COLORS[0]) if isinstance(theme, dict) else COLORS[0]
        self.subtitle = str(look.get("subtitle") or "")
        self.widget = widget_tag(agent.public_id)
        self.curl, self.python = curl_quickstart(str(agent.id)), python_quickstart(str(agent.id))
        self.flows = [flow_item(row, str(agent.id)) for row in await services().agents.flows(who, agent_id)]
        versions = await services().publishing.versions(who, str(agent.main_flow_id))
        self.versions = [version_item(row, self.live_version) for row in versions[:50] if row.number]
        await self._refresh_models(who, agent_id)

    async def _refresh_models(self, who: Principal, agent_id: str) -> None:
        keys = await services().credentials.list(who, for_agent=agent_id)
        answering = {c.id for c in services().credentials.connectors() if "chat_model" in c.kinds}
        self.choices = [CredentialChoice(str(k.id), k.label) for k in keys if k.connector in answering]
        self.connections = [
            ConnectionItem(
                slot=b.slot,
                label=b.label or b.slot,
                choice=str(b.credential_id or "") or (DEMO if b.connector == "demo_model" else DEFAULT),
                model=b.model or "",
            )
            for b in await services().agents.connections(who, agent_id)
            if b.kind == "chat_model"
        ]

    @handler
    async def switch(self, who: Principal, is_on: bool) -> None:
        """Let the agent answer people, or stop it."""
        agent = await services().agents.set_on(who, self._agent_id(), bool(is_on))
        self.is_on = agent.is_on
        self._tell("agents.is_on_now" if agent.is_on else "agents.is_off_now", name=agent.name)

    @handler
    async def save(self, who: Principal, form: dict[str, Any]) -> None:
        """Keep what the settings form holds."""
        await services().agents.update(
            who,
            self._agent_id(),
            name=text_of(form, "name", required=True, limit=120),
            description=text_of(form, "description", limit=500),
            language=self.speaks,
            settings={"theme": {"accent": self.color}, "subtitle": text_of(form, "subtitle", limit=120)},
        )
        await self._refresh(who)
        self._tell("agent.saved")

    @handler
    async def speak(self, who: Principal, language: str) -> None:
        """Choose the main language; kept by Save."""
        self.speaks = language if language in LANGUAGES else "en"

    @handler
    async def paint(self, who: Principal, color: str) -> None:
        """Choose the colour of the chat; kept by Save."""
        if _HEX.fullmatch(str(color).lower()):
            self.color = str(color).lower()

    @handler
    async def begin_adding(self, who: Principal) -> None:
        """Ask for the name of a new sub-flow."""
        self.is_adding = not self.is_adding

    @handler
    async def add_flow(self, who: Principal, form: dict[str, Any]) -> None:
        """Add an empty sub-flow."""
        if not self.is_adding:
            return
        self.is_adding = False
        await services().agents.add_flow(who, self._agent_id(), text_of(form, "flow_name", required=True, limit=120))
        await self._refresh(who)

    @handler
    async def restore(self, who: Principal, number: int) -> None:
        """Make the draft of the main flow like a published version."""
        agent = await services().agents.get(who, self._agent_id())
        await services().publishing.restore_draft(who, str(agent.main_flow_id), int(number))
        await self._refresh(who)
        self._tell("versions.restored", n=number)

    @handler
    async def bind(self, who: Principal, slot: str, choice: str) -> None:
        """Put a key, the demo model or the workspace's default into a slot."""
        key = next((k for k in await services().credentials.list(who) if str(k.id) == choice), None)
        suggested = next(
            (m.name for c in services().credentials.connectors() if key and c.id == key.connector for m in c.models), ""
        )
        await services().agents.bind(
            who,
            self._agent_id(),
            slot,
            credential_id=str(key.id) if key else None,
            connector=key.connector if key else "demo_model" if choice == DEMO else "",
            model=suggested,
        )
        await self._refresh_models(who, self._agent_id())
        self._tell("binding.saved")

    @handler
    async def name_model(self, who: Principal, slot: str, model: str) -> None:
        """Change the model of a slot, its key staying the same."""
        found = next((b for b in await services().agents.connections(who, self._agent_id()) if b.slot == slot), None)
        model = str(model).strip()[:120]
        if found is None or model == (found.model or ""):
            return
        await services().agents.bind(
            who, self._agent_id(), slot, credential_id=found.credential_id, connector=found.connector, model=model
        )
        await self._refresh_models(who, self._agent_id())
        self._tell("binding.saved")
