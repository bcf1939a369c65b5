"""State of the form of a segment: its name and its condition; a new one, or one that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from builder_ui.pages.condition_rows import ConditionGroup, ConditionPart
from builder_ui.pages.condition_state import ConditionForm
from builder_ui.pages.contacts_state import ContactList
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.errors import InputInvalid

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal


class SegmentForm(ConditionForm, Session):
    """Beside the list of contacts, which shows the segment once it is saved."""

    segment_id: str = ""
    segment_name: str = ""
    is_form_open: bool = False

    def _first(self) -> ConditionPart:
        return ConditionPart(ref="contact.name", op="contains")

    @handler
    async def ask_new(self, who: Principal) -> None:
        """Open the form for a new segment."""
        self.segment_id = self.segment_name = ""
        self._show_condition({"all": []})
        self.groups = [ConditionGroup("all", [self._first()])]
        self.is_form_open = True

    @handler
    async def ask_edit(self, who: Principal) -> None:
        """Open the form with the segment that the list shows."""
        shown = (await self.get_state(ContactList)).segment
        found = next((s for s in await services().contact_segments.segments(who) if s.id == shown), None)
        if found is None:
            return
        self.segment_id, self.segment_name = found.id, found.name
        self._show_condition(found.condition)
        self.is_form_open = True

    @handler
    async def close(self, who: Principal, is_open: bool) -> None:
        """The form was left."""
        self.is_form_open = bool(is_open)

    @handler
    async def save(self, who: Principal, form: dict[str, Any]) -> None:
        """Keep the segment and show it."""
        condition = self._condition()
        if condition == {"all": []}:
            raise InputInvalid("Choose at least one value to look at.", field="condition")
        name = text_of(form, "name")
        saved = await services().contact_segments.put_segment(who, name, condition, self.segment_id or None)
        self.is_form_open = False
        contacts = await self.get_state(ContactList)
        await contacts._show_segment(who, saved.id)  # noqa: SLF001 (a public method would be a handler)
