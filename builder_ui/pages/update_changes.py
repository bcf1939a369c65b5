"""What update rules changed and propose, as lists: the value before and after, the sentence, and what can be done."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import card
from builder_ui.i18n import t, t_of
from builder_ui.pages.update_rows import ChangeItem

COLORS = (("applied", "green"), ("proposed", "amber"), ("undone", "gray"), ("rejected", "gray"), ("noted", "blue"))


def proposals(state: Any, *, with_contact: bool) -> rx.Component:
    """What waits for a decision; nothing at all when nothing does."""
    return rx.cond(
        state.proposals.length() > 0,
        card(
            t("update_rules.proposals"),
            rx.el.div(
                rx.foreach(state.proposals, lambda item: _row(state, item, with_contact=with_contact)),
                class_name="ps-list",
                role="list",
                data_testid="proposals",
            ),
            hint=t("update_rules.proposals_hint"),
        ),
    )


def changes(state: Any, *, with_contact: bool) -> rx.Component:
    """The rows, newest first, with a way to older ones."""
    return rx.fragment(
        rx.el.div(
            rx.foreach(state.changes, lambda item: _row(state, item, with_contact=with_contact)),
            class_name="ps-list",
            role="list",
            data_testid="rule-changes",
        ),
        rx.cond(
            state.has_more_changes,
            rx.button(t("common.show_more"), variant="soft", margin_top="14px", on_click=state.more_changes),
        ),
    )


def _row(state: Any, item: rx.Var[ChangeItem], *, with_contact: bool) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.div(
                rx.el.strong(item.label, style={"font_weight": 600}),
                rx.cond(item.added != "", _after(rx.fragment("+ ", item.added)), _values(item)),
                rx.badge(
                    t_of(item.state, "update_rules.state_"), high_contrast=True, size="1",
                    color_scheme=rx.match(item.state, *COLORS, "gray"),
                ),
                style={"display": "flex", "flex_wrap": "wrap", "gap": "4px 8px", "align_items": "center", "font_size": "14px"},
            ),
            rx.el.blockquote(
                item.sentence,
                title=item.when,
                style={"margin": "2px 0", "padding": "0 0 0 10px", "border_left": "2px solid var(--gray-6)",
                       "font_size": "13px", "overflow_wrap": "anywhere", "color": "var(--gray-12)"},
            ),
            rx.el.div(
                rx.link(
                    rx.cond(item.contact != "", item.contact, t("update_rules.somebody")), href=item.contact_path,
                    underline="hover",
                )
                if with_contact
                else item.when,
                " · ",
                When.create(iso=item.at),
                rx.cond(item.talk_path != "", rx.fragment(" · ", rx.link(
                    t("update_rules.open_talk"), href=item.talk_path, underline="hover", color_scheme="gray",
                ))),
                " · ",
                rx.cond(item.by_model, t("update_rules.sure", percent=item.percent), t("update_rules.by_pattern")),
                rx.cond(item.member != "", rx.fragment(" · ", item.member)),
                class_name="ps-sub ps-num",
                style={"overflow_wrap": "anywhere"},
            ),
            rx.cond(
                item.crm != "",
                rx.el.div(
                    rx.icon(
                        rx.match(item.crm, ("done", "check"), ("waiting", "hourglass"), ("dropped", "undo-2"), "triangle-alert"),
                        size=13, flex="none", margin_top="3px", custom_attrs={"aria-hidden": "true"},
                    ),
                    rx.el.span(
                        t_of(item.crm, "update_rules.crm_"),
                        rx.cond(item.crm == "failed", rx.fragment(" ", item.crm_error, " ", rx.link(t("nav.letters"), href="/letters"))),
                    ),
                    class_name="ps-sub", style={"display": "flex", "gap": "5px"}, data_testid="change-crm",
                ),
            ),
            style={"min_width": 0, "display": "grid", "gap": "4px"},
        ),
        rx.cond(state.may_decide, rx.match(
            item.state,
            ("proposed", rx.flex(
                rx.button(t("update_rules.accept"), size="1", on_click=[state.accept_change(item.id), state.refresh], data_testid="accept-change"),
                rx.button(t("update_rules.reject"), size="1", variant="soft", color_scheme="gray",
                          on_click=[state.reject_change(item.id), state.refresh], data_testid="reject-change"),
                spacing="2", wrap="wrap",
            )),
            ("applied", rx.button(
                rx.icon("undo-2", size=14), t("update_rules.undo"), size="1", variant="soft", color_scheme="gray",
                on_click=[state.undo_change(item.id), state.refresh], data_testid="undo-change", justify_self="start",
            )),
            rx.fragment(),
        )),
        class_name="ps-row ps-row-two ps-row-line",
        role="listitem",
        key=item.id + item.state,
    )  # fmt: skip


def _values(item: rx.Var[ChangeItem]) -> rx.Component:
    was = rx.cond(item.before != "", item.before, t("update_rules.empty"))
    return rx.fragment(
        rx.el.span(was, style={"color": "var(--gray-11)", "text_decoration": rx.cond(item.before != "", "line-through", "none"),
                               "overflow_wrap": "anywhere"}),
        rx.icon("arrow-right", size=14, color="var(--gray-9)", custom_attrs={"aria-hidden": "true"}),
        _after(item.after),
    )  # fmt: skip


def _after(content: Any) -> rx.Component:
    return rx.el.span(content, style={"font_weight": 500, "overflow_wrap": "anywhere"})
