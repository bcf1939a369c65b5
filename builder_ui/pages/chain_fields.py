"""Fields that the panel of a step and the dialog of a chain's rules are made of."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.components.parts import field
from builder_ui.i18n import t


def choice(name: str, value: Any, label: Any, *items: rx.Component, **more: Any) -> rx.Component:
    """A select with a label above it."""
    return field(
        label,
        rx.select.root(
            rx.select.trigger(id=f"step-{name}", aria_label=label, width="100%"), rx.select.content(*items), name=name,
            default_value=value, **more,
        ),
        field_id=f"step-{name}",
    )  # fmt: skip


def pair(one: rx.Component, other: rx.Component) -> rx.Component:
    """Two fields beside one another."""
    return rx.el.div(
        one, other, style={"display": "grid", "grid_template_columns": "1fr 1fr", "gap": "12px", "align_items": "start"}
    )


def line(name: str, value: Any, label: str, hint: str = "") -> rx.Component:
    """One line of text."""
    return field(
        t(label), rx.text_field(id=f"step-{name}", name=name, default_value=value, max_length=2000),
        field_id=f"step-{name}", hint=t(hint) if hint else None,
    )  # fmt: skip


def number(name: str, value: Any, label: str, least: int, most: int) -> rx.Component:
    """A whole number."""
    return field(
        t(label),
        rx.text_field(
            id=f"step-{name}", name=name, type="number", min=least, max=most, default_value=value.to_string()
        ),
        field_id=f"step-{name}",
    )


def clock_time(name: str, value: Any, label: str, hint: str = "") -> rx.Component:
    """A time of day."""
    return field(
        t(label), rx.text_field(id=f"step-{name}", name=name, type="time", default_value=value),
        field_id=f"step-{name}", hint=t(hint) if hint else None,
    )  # fmt: skip


def check(name: str, value: Any, label: str) -> rx.Component:
    """A statement that holds or does not."""
    return rx.el.label(
        rx.checkbox(name=name, size="2", default_checked=value, aria_label=t(label)), t(label), class_name="ps-check"
    )
