"""The form that says which agents a key or a connection serves: of the pages Models and Connections."""

from __future__ import annotations

import reflex as rx

from builder_ui.i18n import t
from builder_ui.pages.who_may_use_state import ServedItem, WhoMayUse


def who_may_use_item(key_id: rx.Var[str], page: str) -> rx.Component:
    """The line in a key's menu that opens it."""
    return rx.dropdown_menu.item(
        rx.icon("users", size=15), t("serving.open"), on_select=WhoMayUse.begin(key_id, page), data_testid="who-may-use"
    )


def who_may_use() -> rx.Component:
    """The dialog; once on a page."""
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("serving.title", name=WhoMayUse.name), size="4"),
            rx.dialog.description(t("serving.text"), size="2", color_scheme="gray"),
            rx.form(
                rx.radio_group.root(
                    rx.el.label(
                        rx.radio_group.item(value="all", aria_label=t("serving.all")),
                        t("serving.all"),
                        class_name="ps-check",
                    ),
                    rx.el.label(
                        rx.radio_group.item(value="some", aria_label=t("serving.some")),
                        t("serving.some"),
                        class_name="ps-check",
                    ),
                    value=rx.cond(WhoMayUse.is_limited, "some", "all"),
                    on_change=WhoMayUse.limit,
                    aria_label=t("serving.open"),
                    margin_top="14px",
                ),
                rx.cond(WhoMayUse.is_limited, _agents()),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(t("common.save"), type="submit", data_testid="save-who-may-use"),
                    spacing="3",
                    justify="end",
                    margin_top="20px",
                ),
                on_submit=WhoMayUse.save,
            ),
            max_width="460px",
        ),
        open=WhoMayUse.key_id != "",
        on_open_change=WhoMayUse.close,
    )


def _agents() -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend(t("serving.agents"), class_name="ps-label"),
        rx.cond(
            WhoMayUse.agents.length() > 0,
            rx.el.div(
                rx.foreach(WhoMayUse.agents, _agent),
                style={"max_height": "260px", "overflow_y": "auto", "display": "grid", "gap": "6px"},
            ),
            rx.el.p(t("serving.no_agents"), class_name="ps-hint", style={"margin": 0}),
        ),
        rx.el.p(t("serving.hint"), class_name="ps-hint", style={"margin": "8px 0 0"}),
        class_name="ps-fieldset",
        style={"margin_top": "12px"},
    )


def _agent(agent: rx.Var[ServedItem]) -> rx.Component:
    return rx.el.label(
        rx.checkbox(name="agent:" + agent.id, size="2", default_checked=agent.is_in, aria_label=agent.name),
        rx.el.span(agent.name, style={"min_width": 0, "overflow_wrap": "anywhere"}),
        class_name="ps-check",
        key=agent.id,
    )
