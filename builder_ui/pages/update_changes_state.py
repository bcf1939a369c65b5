"""State of what update rules changed and propose, for the pages that show it: looking, accepting, rejecting, undoing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from builder_ui.pages.update_rows import ChangeItem, change_item
from builder_ui.session import Session, handler, services
from graph_runtime.contract.errors import Conflict

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

SHOWN: Final = 20


class RuleChanges(Session):
    """`_agent_id`, `_contact_id`: whose changes; "" does not filter. Pages have a `refresh` for what stands beside them."""

    proposals: list[ChangeItem] = []
    changes: list[ChangeItem] = []
    has_more_changes: bool = False
    may_decide: bool = False
    _agent_id: str = ""
    _contact_id: str = ""

    async def _read_changes(self, who: Principal, before: str = "") -> None:
        language = self.me.language or "en"
        whose = {"agent_id": self._agent_id, "contact_id": self._contact_id}
        self.may_decide = "conversation.write" in who.scopes
        waiting = await services().update_changes.listed(who, **whose, state="proposed", limit=100)
        self.proposals = [change_item(c, language) for c in waiting]
        found = await services().update_changes.listed(who, **whose, before=before, limit=SHOWN)
        settled = [change_item(c, language) for c in found if c.state != "proposed"]
        self.changes = [*(self.changes if before else ()), *settled]
        self.has_more_changes = len(found) == SHOWN

    @handler
    async def more_changes(self, who: Principal) -> None:
        """Show older ones."""
        if self.changes:
            await self._read_changes(who, self.changes[-1].id)

    @handler
    async def accept_change(self, who: Principal, change_id: str) -> None:
        """Carry out a proposal."""
        await self._decide(who, "accept", change_id)

    @handler
    async def reject_change(self, who: Principal, change_id: str) -> None:
        """Leave the field as it is."""
        await self._decide(who, "reject", change_id)

    @handler
    async def undo_change(self, who: Principal, change_id: str) -> None:
        """Put back what was there before."""
        await self._decide(who, "undo", change_id)

    async def _decide(self, who: Principal, what: str, change_id: str) -> None:
        language = self.me.language or "en"
        acts = services().update_changes
        act, told = {
            "accept": (acts.accept, "update_rules.accepted_now"), "reject": (acts.reject, "update_rules.rejected_now"),
            "undo": (acts.undo, "update_rules.undone_now"),
        }[what]  # fmt: skip
        try:
            label = change_item(await act(who, str(change_id)), language).label
            self._tell(told, label=label)
        except Conflict as error:
            if error.params.get("reason") != "changed_since":
                self._tell("update_rules.decided", level="error")
            else:
                label = change_item(await acts.get(who, str(change_id)), language).label
                self._tell("update_rules.changed_since", level="error", label=label, now=error.params["now"])
        await self._read_changes(who)
