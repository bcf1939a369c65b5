"""On which conditions a trigger acts, and what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from builder_ui.i18n import t, t_of
from builder_ui.pages.condition_form import conditions_part
from builder_ui.pages.crm_fields import crm_field_rows
from builder_ui.pages.trigger_fields import (
    NONE,
    drop_button,
    options_of,
    options_of_choices,
)
from builder_ui.pages.trigger_rows import ACTIONS, ActionItem


def trigger_conditions(state: Any) -> rx.Component:
    """What a comparison looks at is a path: of the contact, of what happened, of a variable."""
    return conditions_part(
        state,
        lambda part, put: rx.text_field(
            default_value=part.ref, aria_label=t("triggers.condition_what"), placeholder="contact.city", flex="1 1 150px",
            on_blur=put,
        ),
    )  # fmt: skip


def actions_part(state: Any) -> rx.Component:
    return rx.fragment(
        rx.foreach(state.actions, lambda item, place: _action(state, item, place)),
        rx.button(
            rx.icon("plus", size=14), t("triggers.add_action"), variant="soft", color_scheme="gray", size="1",
            on_click=state.add_action, justify_self="start", type="button",
        ),
    )  # fmt: skip


def _action(state: Any, item: rx.Var[ActionItem], place: rx.Var[int]) -> rx.Component:
    def pick(name: str, label: rx.Var[str], value: rx.Var[str], options: list[rx.Component]) -> rx.Component:
        return rx.select.root(
            rx.select.trigger(aria_label=label, placeholder=label, flex="1 1 170px"),
            rx.select.content(*options),
            value=rx.cond(value == "", NONE, value),
            on_change=lambda chosen: state.put_action(place, name, chosen),
        )

    def words(name: str, label: rx.Var[str], value: rx.Var[str]) -> rx.Component:
        return rx.text_field(
            default_value=value, placeholder=label, aria_label=label, flex="1 1 150px",
            on_blur=lambda typed: state.put_action(place, name, typed),
        )  # fmt: skip

    def chosen(*parts: rx.Component) -> rx.Component:
        return rx.fragment(*parts)

    choose = rx.select.item(t("triggers.choose"), value=NONE)
    note = rx.text_area(
        default_value=item.text, placeholder=t("triggers.note_placeholder"), aria_label=t("triggers.note"), rows="2", width="100%",
        on_blur=lambda typed: state.put_action(place, "text", typed),
    )  # fmt: skip
    details = rx.match(
        item.do,
        ("start_flow", chosen(
            pick("flow_id", t("triggers.flow"), item.flow_id, options_of_choices(state.flows)),
            pick("channel", t("triggers.channel"), item.channel, [
                rx.select.item(t("triggers.last_channel"), value=NONE),
                rx.foreach(state.kinds_of_channels, lambda c: rx.select.item(t_of(c, "talks.channel_", otherwise=c), value=c)),
            ]),
            rx.cond(state.form["kind"] != "message",
                    pick("if_open", t("triggers.if_open"), item.if_open, options_of("if_open", ("skip", "interrupt")))),
        )),
        ("enroll", pick("chain_id", t("triggers.chain"), item.chain_id, [choose, *options_of_choices(state.chains)])),
        ("leave", pick("chain_id", t("triggers.chain"), item.chain_id, options_of_choices(state.chains, t("triggers.all_chains")))),
        ("change_contact", chosen(
            words("name", t("triggers.field_name"), item.name), words("text", t("triggers.field_value"), item.text),
            words("add_tags", t("triggers.add_tags"), item.add_tags), words("remove_tags", t("triggers.remove_tags"), item.remove_tags),
        )),
        ("notify", chosen(pick("member_id", t("triggers.member"), item.member_id, options_of_choices(state.members, t("triggers.everybody"))), note)),
        ("send_webhook", chosen(
            pick("subscription_id", t("triggers.subscription"), item.subscription_id, [choose, *options_of_choices(state.subscriptions)]), note,
        )),
        ("write_crm", _crm(state, item, place, pick)),
        rx.fragment(),
    )  # fmt: skip
    return rx.el.div(
        rx.el.div(
            rx.select.root(
                rx.select.trigger(aria_label=t("triggers.action"), flex="1 1 auto"),
                rx.select.content(*options_of("do", ACTIONS)),
                value=item.do,
                on_change=lambda do: state.put_action(place, "do", do),
            ),
            drop_button(t("triggers.drop_action"), state.drop_action(place)),
            style={"display": "flex", "gap": "8px", "align_items": "center"},
        ),
        rx.el.div(details, style={"display": "flex", "flex_wrap": "wrap", "gap": "8px"}),
        style={"display": "grid", "gap": "8px", "padding": "10px", "border": "1px solid var(--gray-5)", "border_radius": "10px",
               "margin_bottom": "8px"},
    )  # fmt: skip


def _crm(state: Any, item: rx.Var[ActionItem], place: rx.Var[int], pick: Callable[..., rx.Component]) -> rx.Component:
    """As the step of a chain that writes there."""

    def one_of(name: str, value: rx.Var[str], *choices: str) -> rx.Component:
        options = [rx.select.item(t(f"chains.crm_{name}_{c}"), value=c) for c in choices]
        return pick(name, t(f"chains.crm_{name}"), value, options)

    def words(name: str, label: str, value: rx.Var[str], **more: Any) -> rx.Component:
        return rx.text_field(
            default_value=value, placeholder=t(label), aria_label=t(label), max_length=1000,
            on_blur=lambda typed: state.put_action(place, name, typed), **more,
        )  # fmt: skip

    systems = [rx.select.item(t("triggers.choose"), value=NONE), *options_of_choices(state.crms)]
    return rx.fragment(
        pick("slot", t("chains.crm"), item.slot, systems),
        one_of("entity", item.entity, "lead", "contact"),
        one_of("by", item.by, "phone", "email"),
        rx.cond(state.crms.length() == 0, rx.el.p(t("triggers.no_crms"), class_name="ps-hint", style={"margin": 0})),
        rx.el.div(
            crm_field_rows(
                item.crm, "crm_" + place.to_string() + "_", lambda row, value: state.put_crm(place, row, "name", value),
                lambda row, value: state.put_crm(place, row, "value", value),
            ),
            style={"flex": "1 0 100%"},
        ),
        rx.el.label(
            rx.checkbox(
                checked=item.creates != "", size="2", aria_label=t("chains.crm_creates"),
                on_change=lambda is_on: state.put_action(place, "creates", rx.cond(is_on, "1", "")),
            ),
            t("chains.crm_creates"), class_name="ps-check", style={"flex": "1 0 100%"},
        ),
        rx.text_area(
            default_value=item.text, placeholder=t("chains.crm_note"), aria_label=t("chains.crm_note"), rows="2", width="100%",
            on_blur=lambda typed: state.put_action(place, "text", typed),
        ),
        words("task", "chains.crm_task", item.task, flex="1 1 170px"),
        rx.cond(item.task != "", words("task_hours", "chains.crm_task_hours", item.task_hours, type="number", min="1", max="8760",
                                       width="120px")),
    )  # fmt: skip
