"""The form of a segment: a name, and a condition over contacts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from builder_ui.components.parts import field
from builder_ui.i18n import t
from builder_ui.pages.condition_form import conditions_part
from builder_ui.pages.contacts_state import SEGMENT_KEYS, ContactList
from builder_ui.pages.segment_state import SegmentForm


def segment_buttons() -> rx.Component:
    """A new segment, and changing the one that is shown."""
    return rx.fragment(
        rx.button(
            rx.icon("filter", size=15), t("contacts.new_segment"), variant="ghost", on_click=SegmentForm.ask_new,
            data_testid="new-segment",
        ),
        rx.cond(
            ContactList.segment != "all",
            rx.button(
                rx.icon("pencil", size=14), t("contacts.edit_segment"), variant="ghost", color_scheme="gray",
                on_click=SegmentForm.ask_edit, data_testid="edit-segment",
            ),
        ),
    )  # fmt: skip


def segment_dialog(frame: Callable[..., rx.Component], buttons: Callable[..., rx.Component]) -> rx.Component:
    """`frame`, `buttons`: the page's own dialog and its last row."""
    return frame(
        SegmentForm.is_form_open,
        SegmentForm.close,
        rx.cond(SegmentForm.segment_id != "", t("contacts.edit_segment"), t("contacts.new_segment")),
        rx.form(
            field(
                t("contacts.segment_name"),
                rx.text_field(
                    name="name", id="segment-name", required=True, max_length=100, default_value=SegmentForm.segment_name,
                    key=SegmentForm.segment_id,
                ),
                field_id="segment-name",
            ),
            rx.el.div(conditions_part(SegmentForm, _what), style={"display": "grid", "gap": "8px", "margin_top": "14px"}),
            buttons(t("contacts.segment_do")),
            on_submit=SegmentForm.save,
        ),
        width="680px",
    )  # fmt: skip


def _what(part: Any, put: Callable[[Any], Any]) -> rx.Component:
    return rx.select.root(
        rx.select.trigger(aria_label=t("conditions.what"), flex="1 1 150px", data_testid="part-what"),
        rx.select.content(
            *[rx.select.item(t(f"contacts.{k}"), value=f"contact.{k}") for k in SEGMENT_KEYS],
            rx.foreach(
                ContactList.keys,
                lambda k: rx.cond(k.name != "", rx.select.item(k.name, value=f"contact.{k.id}")),
            ),
        ),
        value=part.ref,
        on_change=put,
    )  # fmt: skip
