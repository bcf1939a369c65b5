"""State of what update rules changed and propose about one contact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder_ui.pages.contact_page_state import ContactPage
from builder_ui.pages.update_changes_state import RuleChanges
from builder_ui.session import handler
from graph_runtime.contract.errors import NotFound

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal


class ContactRules(RuleChanges):
    """On a contact's page."""

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self._agent_id, self._contact_id = "", str(self.router.url.path).rstrip("/").rsplit("/", 1)[-1]
        self.proposals, self.changes = [], []
        try:
            await self._read_changes(who)
        except NotFound:
            return

    @handler
    async def refresh(self, who: Principal) -> None:
        """The facts beside it say what was decided."""
        page = await self.get_state(ContactPage)
        await page._refresh(who)  # noqa: SLF001 (a public method would be a handler)
