"""Pieces of pages: headings, empty states, skeletons, dialogs that ask before deleting, labelled fields."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.browser import CopyButton
from builder_ui.i18n import t


def head(title: rx.Var[str] | rx.Component, lead: rx.Var[str] | None = None, *actions: rx.Component) -> rx.Component:
    """The title of a page with its one primary action."""
    words = [title if isinstance(title, rx.Component) else rx.heading(title, as_="h1", size="6", trim="start")]
    if lead is not None:
        words.append(rx.el.p(lead, class_name="ps-lead"))
    return rx.el.header(rx.el.div(*words, class_name="ps-head-words"), *actions, class_name="ps-head")


def empty(icon: str, title: rx.Var[str], text: rx.Var[str], *actions: rx.Component, level: str = "h2") -> rx.Component:
    """What a list shows while it is empty: what it is for, and one thing to do."""
    return rx.el.div(
        rx.el.div(rx.icon(icon, size=24), class_name="ps-empty-icon", custom_attrs={"aria-hidden": "true"}),
        rx.heading(title, as_=level, size="4"),
        rx.el.p(text),
        rx.flex(*actions, spacing="2", margin_top="8px", wrap="wrap", justify="center"),
        class_name="ps-empty",
    )


def skeleton(rows: int = 4) -> rx.Component:
    """A list that is being loaded; appears only after 300 ms."""
    row = [
        rx.el.i(style={"width": "40px", "height": "40px", "border_radius": "11px"}),
        rx.el.i(style={"width": "32%"}),
        rx.el.i(style={"width": "14%", "margin_left": "auto"}),
    ]
    return rx.el.div(
        *[rx.el.div(*row, class_name="ps-skeleton", custom_attrs={"aria-hidden": "true"}) for _ in range(rows)],
        class_name="ps-list",
        role="status",
        aria_label=t("common.loading"),
    )


def search_box(label: rx.Var[str], value: rx.Var[str], on_change: Any) -> rx.Component:
    """A search field that asks the server 250 ms after the last keystroke."""
    return rx.el.div(
        rx.text_field(
            rx.text_field.slot(rx.icon("search", size=15)),
            type="search",
            placeholder=label,
            aria_label=label,
            default_value=value,
            on_change=on_change.debounce(250),
            size="2",
        ),
        class_name="ps-search",
        role="search",
    )


def field(label: rx.Var[str], control: rx.Component, *, field_id: str, hint: rx.Var[str] | None = None) -> rx.Component:
    """A control with its label above and a hint below; the control must carry `id=field_id`."""
    parts = [rx.el.label(label, html_for=field_id), control]
    if hint is not None:
        parts.append(rx.el.p(hint, class_name="ps-hint", id=f"{field_id}-hint", style={"margin": 0}))
    return rx.el.div(*parts, class_name="ps-field")


def card(title: rx.Var[str], *content: rx.Component, hint: rx.Var[str] | None = None) -> rx.Component:
    """A titled group of settings."""
    words = [rx.el.h2(title)]
    if hint is not None:
        words.append(rx.el.p(hint, class_name="ps-hint"))
    return rx.el.section(*words, rx.el.div(*content, style={"margin_top": "16px"}), class_name="ps-card")


def secret_once(
    field_id: str, *, title: rx.Component, text: rx.Var[str], label: rx.Var[str], is_shown: rx.Var[bool], on_done: Any
) -> rx.Component:
    """A fresh secret in a field of the page; always there, so that a handler can fill it, and seen only after that."""
    return rx.el.section(
        title,
        rx.el.p(text, class_name="ps-hint"),
        rx.flex(
            rx.el.input(
                id=field_id, read_only=True, aria_label=label, class_name="ps-secret ps-mono", auto_complete="off"
            ),
            CopyButton.create(source=field_id, text=""),
            rx.button(t("keys.fresh_done"), variant="soft", color_scheme="gray", on_click=on_done),
            spacing="2",
            wrap="wrap",
            margin_top="12px",
        ),
        class_name="ps-card",
        hidden=~is_shown,
        role="status",
        style={"margin": "0 0 16px", "border_color": "var(--green-7)"},
    )


def confirm(
    *, is_open: rx.Var[bool], title: rx.Var[str], text: rx.Component, do: rx.Var[str], on_do: Any, on_close: Any
) -> rx.Component:
    """Asks before something that cannot be taken back."""
    return rx.alert_dialog.root(
        rx.alert_dialog.content(
            rx.alert_dialog.title(title, size="4"),
            rx.alert_dialog.description(text, size="2", color_scheme="gray", as_="div"),
            rx.flex(
                rx.alert_dialog.cancel(rx.button(t("common.cancel"), variant="soft", color_scheme="gray")),
                rx.button(do, color_scheme="red", on_click=on_do, data_testid="confirm"),
                spacing="3",
                justify="end",
                margin_top="20px",
            ),
            max_width="460px",
        ),
        open=is_open,
        on_open_change=on_close,
    )


def answering(live_version: rx.Var[int], is_on: rx.Var[bool]) -> rx.Var[str]:
    """In one word whether the agent answers people; without a published version it cannot."""
    return rx.cond(live_version > 0, rx.cond(is_on, t("common.on"), t("common.off")), t("agents.draft"))
