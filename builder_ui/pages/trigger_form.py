"""The form of a trigger: when, details of its kind, conditions, what it does, how often, and trying it out."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.i18n import t, t_of
from builder_ui.pages.trigger_acts import actions_part, trigger_conditions
from builder_ui.pages.trigger_fields import (
    group,
    options_of,
    text_row,
)
from builder_ui.pages.trigger_when import when_part
from graph_runtime.contract.triggers import PERIOD_HOURS


def form_dialog(state: Any) -> rx.Component:
    """The dialog; `state` is the page's own, with `save`."""
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(
                t_of(state.form["kind"], "triggers.kind_"), size="5", data_testid="trigger-form"
            ),
            rx.dialog.description(
                t_of(state.form["kind"], "triggers.about_"), class_name="ps-lead", style={"font_size": "14px", "margin": "0 0 16px"}
            ),
            rx.el.div(
                text_row(state, "name", t("triggers.name"), placeholder=t("triggers.name_placeholder")),
                when_part(state),
                group(t("triggers.only_if"), t("triggers.only_if_hint"), trigger_conditions(state)),
                group(t("triggers.then"), None, actions_part(state)),
                group(t("triggers.limits"), t("triggers.limits_hint"), _limits(state)),
                group(t("triggers.trial"), t("triggers.trial_hint"), _trial(state)),
                _problems(state),
                class_name="ps-form",
                style={"max_width": "none"},
            ),
            rx.flex(
                rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                rx.button(
                    t("common.save"), on_click=state.save, loading=state.is_saving, data_testid="save-trigger"
                ),
                spacing="3", justify="end", margin_top="20px",
            ),
            max_width="660px",
        ),
        open=state.is_form_open,
        on_open_change=state.close_form,
    )  # fmt: skip


def _limits(state: Any) -> rx.Component:
    def one(count: str, period: str, label: rx.Var[str]) -> rx.Component:
        return rx.el.div(
            rx.el.span(label, style={"flex": "1 1 150px", "font_size": "14px"}),
            rx.text_field(
                type="number", min="0", default_value=state.form[count], width="90px", aria_label=label,
                on_blur=lambda value: state.put(count, value),
            ),
            rx.select.root(
                rx.select.trigger(aria_label=t("triggers.period"), width="150px"),
                rx.select.content(*options_of("period", tuple(PERIOD_HOURS))),
                value=state.form[period],
                on_change=lambda value: state.put(period, value),
            ),
            style={"display": "flex", "flex_wrap": "wrap", "gap": "8px", "align_items": "center", "margin_bottom": "6px"},
        )  # fmt: skip

    return rx.fragment(
        one("per_contact", "contact_period", t("triggers.per_contact")),
        one("total", "total_period", t("triggers.total")),
    )


def _trial(state: Any) -> rx.Component:
    needs_contact = (state.form["kind"] != "webhook") & (state.form["audience"] != "nobody")
    return rx.fragment(
        rx.form(
            rx.cond(
                needs_contact,
                rx.text_field(
                    name="trial_contact", placeholder=t("triggers.trial_contact"), aria_label=t("triggers.trial_contact"),
                    flex="1 1 170px",
                ),
            ),
            rx.cond(
                state.form["kind"] == "message",
                rx.text_field(
                    name="trial_text", placeholder=t("triggers.trial_text"), aria_label=t("triggers.trial_text"), flex="1 1 170px"
                ),
            ),
            rx.button(rx.icon("flask-conical", size=15), t("triggers.trial_do"), variant="soft", type="submit",
                      data_testid="try-trigger"),
            on_submit=state.try_out,
            style={"display": "flex", "flex_wrap": "wrap", "gap": "8px"},
        ),
        rx.cond(
            state.trial.is_done,
            rx.callout.root(
                rx.callout.icon(rx.icon(rx.cond(state.trial.fires, "circle-check", "circle-slash"), size=16)),
                rx.callout.text(
                    rx.cond(state.trial.fires, t("triggers.trial_fires"), t("triggers.trial_not")), " ", state.trial.reason,
                    rx.foreach(state.trial.did, lambda line: rx.el.span("• ", line, style={"display": "block"})),
                ),
                color_scheme=rx.cond(state.trial.fires, "green", "amber"),
                high_contrast=True, size="1", margin_top="10px", role="status", data_testid="trial",
            ),
        ),
    )  # fmt: skip


def _problems(state: Any) -> rx.Component:
    return rx.cond(
        state.problems.length() > 0,
        rx.el.div(
            rx.foreach(
                state.problems,
                lambda p: rx.callout.root(
                    rx.callout.icon(rx.icon(rx.cond(p.is_warning, "info", "triangle-alert"), size=15)),
                    rx.callout.text(p.message),
                    color_scheme=rx.cond(p.is_warning, "blue", "amber"), high_contrast=True, size="1",
                ),
            ),
            style={"display": "grid", "gap": "8px"},
            role="status",
        ),
    )  # fmt: skip
