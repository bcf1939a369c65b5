"""The part of the Inbox in which a member decides about what the agent is to say: as it is, changed, or not at all."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import When
from builder_ui.i18n import t, t_of
from builder_ui.pages.inbox_state import Inbox


def approval_box() -> rx.Component:
    """What waits is the last bubble above; here are the decisions."""
    return rx.el.section(
        rx.cond(Inbox.deciding == "", _choices(), _words()),
        class_name="ps-approve",
        aria_label=t("approval.title"),
        data_testid="approval",
    )


def _choices() -> rx.Component:
    held = Inbox.held
    return rx.fragment(
        rx.el.div(
            rx.el.b(t("approval.title")),
            rx.cond(
                held.due_at != "",
                rx.el.span(t_of(held.on_timeout, "approval.then_"), " ", When.create(iso=held.due_at, kind="time"), class_name="ps-sub"),
            ),
            rx.cond(held.others > 0, rx.el.span(t("approval.behind_n", n=held.others), class_name="ps-sub")),
            class_name="ps-approve-words",
        ),
        rx.flex(
            rx.button(
                rx.icon("send", size=15), t("approval.send"), on_click=Inbox.decide(held.id, "send"), data_testid="approve"
            ),
            rx.button(
                rx.icon("pencil", size=15), t("approval.edit"), variant="soft", on_click=Inbox.ask_decision("edit"),
                data_testid="approve-edit", custom_attrs={"data-reply": "true"},
            ),
            rx.dropdown_menu.root(
                rx.dropdown_menu.trigger(
                    rx.button(t("approval.reject"), rx.icon("chevron-down", size=14), variant="soft", color_scheme="gray",
                              data_testid="approve-not")
                ),
                rx.dropdown_menu.content(
                    rx.dropdown_menu.item(t("approval.say_nothing"), on_select=Inbox.decide(held.id, "reject")),
                    rx.dropdown_menu.item(t("approval.say_other"), on_select=Inbox.ask_decision("replace")),
                    align="end",
                ),
            ),
            spacing="2", wrap="wrap",
        ),
    )  # fmt: skip


def _words() -> rx.Component:
    held = Inbox.held
    is_edit = Inbox.deciding == "edit"
    label = rx.cond(is_edit, t("approval.edit_label"), t("approval.replace_label"))
    return rx.form(
        rx.el.label(label, html_for="approval-words", class_name="ps-label"),
        rx.text_area(
            id="approval-words", name="words", default_value=rx.cond(is_edit, held.text, held.instead),
            key=held.id + Inbox.deciding, max_length=8000, rows="4", auto_focus=True, required=True,
        ),
        rx.flex(
            rx.button(
                t("common.cancel"), type="button", variant="soft", color_scheme="gray", on_click=Inbox.ask_decision("")
            ),
            rx.button(rx.icon("send", size=15), t("approval.send_words"), type="submit", data_testid="approve-words"),
            spacing="3", justify="end", margin_top="8px",
        ),
        on_submit=Inbox.decide_words,
    )  # fmt: skip
