"""Rows of the form of a trigger: a text, a choice, a switch, a group."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.components.parts import field
from builder_ui.i18n import t
from builder_ui.pages.trigger_form_state import Choice

NONE = "-"


def group(title: rx.Var[str], hint: rx.Var[str] | None, *content: rx.Component) -> rx.Component:
    words = [rx.el.legend(title, class_name="ps-label")]
    if hint is not None:
        words.append(rx.el.p(hint, class_name="ps-hint", style={"margin": "0 0 8px"}))
    return rx.el.fieldset(*words, *content, class_name="ps-fieldset")


def text_row(
    state: Any, name: str, label: rx.Var[str], *, hint: rx.Var[str] | None = None, placeholder: Any = "", kind: str = "text",
    width: str = "100%",
) -> rx.Component:  # fmt: skip
    field_id = f"trigger-{name}"
    return field(
        label,
        rx.el.input(
            id=field_id, type=kind, default_value=state.form[name], key=f"{field_id}-{state.form['id']}",
            placeholder=placeholder, max_length=200, on_blur=lambda value: state.put(name, value), class_name="ps-input",
            style={"width": width, "max_width": "100%"},
        )
        if kind in ("date", "time")
        else rx.text_field(
            id=field_id, type=kind, default_value=state.form[name], placeholder=placeholder, max_length=200,
            on_blur=lambda value: state.put(name, value), width=width,
        ),
        field_id=field_id,
        hint=hint,
    )  # fmt: skip


def select_row(
    state: Any, name: str, label: rx.Var[str], options: list[rx.Component], *, hint: rx.Var[str] | None = None
) -> rx.Component:
    field_id = f"trigger-{name}"
    return field(
        label,
        rx.select.root(
            rx.select.trigger(id=field_id, aria_label=label, width="100%"),
            rx.select.content(*options),
            value=rx.cond(state.form[name] == "", NONE, state.form[name]),
            on_change=lambda value: state.put(name, value),
        ),
        field_id=field_id,
        hint=hint,
    )


def check_row(state: Any, name: str, label: rx.Var[str]) -> rx.Component:
    return rx.el.label(
        rx.checkbox(
            size="2", checked=state.form[name] == "1", on_change=lambda is_on: state.switch_field(name, is_on), aria_label=label
        ),
        label,
        class_name="ps-check",
    )  # fmt: skip


def options_of(prefix: str, values: tuple[str, ...]) -> list[rx.Component]:
    return [rx.select.item(t(f"triggers.{prefix}_{v}"), value=v) for v in values]


def options_of_choices(choices: rx.Var[list[Choice]], nothing: rx.Var[str] | None = None) -> list[rx.Component]:
    first = [rx.select.item(nothing, value=NONE)] if nothing is not None else []
    return [*first, rx.foreach(choices, lambda c: rx.select.item(c.name, value=rx.cond(c.id == "", NONE, c.id)))]


def two(*parts: rx.Component) -> rx.Component:
    return rx.el.div(*parts, class_name="ps-form-two")


def drop_button(label: rx.Var[str], on_click: Any) -> rx.Component:
    return rx.icon_button(
        rx.icon("x", size=15), variant="ghost", color_scheme="gray", aria_label=label, on_click=on_click, type="button",
        margin="0",
    )  # fmt: skip
