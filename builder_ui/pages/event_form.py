"""The form of an event subscription, for making one and for changing one, and how its secret is shown once."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.browser import CodeBlock
from builder_ui.components.parts import field, secret_once
from builder_ui.i18n import t
from builder_ui.pages.events_state import AgentChoice
from builder_ui.pages.snippets import EVENT_VERIFICATION
from graph_runtime.services.event_subscriptions import EVENT_TYPES


def form_dialog(state: Any, title: rx.Var[str]) -> rx.Component:
    """`state`: a class derived from EventForm with a handler `save`."""
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(title, size="5"),
            rx.dialog.description(t("events.form_lead"), class_name="ps-lead", style={"margin": "0 0 16px", "font_size": "14px"}),
            rx.form(
                rx.el.div(
                    field(
                        t("events.url"),
                        rx.text_field(
                            id="event-url", name="url", type="url", required=True, max_length=2000,
                            default_value=state.form_url, placeholder="https://example.com/events",
                        ),
                        field_id="event-url",
                        hint=t("events.url_hint"),
                    ),
                    field(
                        t("events.description"),
                        rx.text_field(
                            id="event-description", name="description", max_length=200,
                            default_value=state.form_description, placeholder=t("events.description_placeholder"),
                        ),
                        field_id="event-description",
                    ),
                    rx.el.fieldset(
                        rx.el.legend(t("events.types"), class_name="ps-label"),
                        *[_type(state, event_type) for event_type in EVENT_TYPES],
                        class_name="ps-fieldset",
                    ),
                    _agents(state),
                    rx.cond(
                        state.may_reach_inside,
                        rx.el.label(
                            rx.checkbox(
                                name="allow_private_host", size="2", default_checked=state.is_private,
                                aria_label=t("webhook.allow_private"),
                            ),
                            t("webhook.allow_private"),
                            class_name="ps-check",
                        ),
                    ),
                    class_name="ps-form",
                    style={"max_width": "none"},
                ),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(
                        rx.cond(state.form_of == "", t("events.subscribe"), t("common.save")),
                        type="submit", loading=state.is_saving, data_testid="save-events",
                    ),
                    spacing="3",
                    justify="end",
                    margin_top="20px",
                ),
                on_submit=state.save,
            ),
            max_width="560px",
        ),
        open=state.is_form_open,
        on_open_change=state.close_form,
    )  # fmt: skip


def _type(state: Any, event_type: str) -> rx.Component:
    return rx.el.label(
        rx.checkbox(
            name=event_type,
            size="2",
            default_checked=state.form_types.contains(event_type),
            aria_label=t(f"events.type_{event_type}"),
        ),
        rx.el.span(
            rx.el.span(t(f"events.type_{event_type}"), style={"font_weight": 500}),
            " ",
            rx.el.span(event_type, class_name="ps-mono ps-sub"),
            rx.el.span(t(f"events.about_{event_type}"), class_name="ps-hint", style={"display": "block"}),
        ),
        class_name="ps-check ps-check-two",
    )


def _agents(state: Any) -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend(t("events.agents"), class_name="ps-label"),
        rx.el.label(
            rx.checkbox(
                name="all_agents",
                size="2",
                checked=state.is_for_all,
                on_change=state.choose_all,
                aria_label=t("events.all_agents"),
            ),
            t("events.all_agents"),
            class_name="ps-check",
        ),
        rx.cond(
            ~state.is_for_all,
            rx.el.div(rx.foreach(state.form_agents, _agent), class_name="ps-check-inner"),
        ),
        class_name="ps-fieldset",
    )


def _agent(agent: rx.Var[AgentChoice]) -> rx.Component:
    return rx.el.label(
        rx.checkbox(name="agent:" + agent.id, size="2", default_checked=agent.is_chosen, aria_label=agent.name),
        rx.el.span(agent.name, class_name="ps-truncate"),
        class_name="ps-check",
        key=agent.id,
    )


def fresh_secret(field_id: str, is_shown: rx.Var[bool], on_done: Any) -> rx.Component:
    """The secret, once, and how to verify a signature with it."""
    return rx.fragment(
        secret_once(
            field_id,
            title=rx.el.h2(t("events.fresh_title")),
            text=t("events.fresh_text"),
            label=t("events.fresh_field"),
            is_shown=is_shown,
            on_done=on_done,
        ),
        rx.cond(
            is_shown,
            rx.el.section(
                rx.el.h2(t("events.verify_title")),
                rx.el.p(t("events.verify_text"), class_name="ps-hint", style={"margin": "4px 0 12px"}),
                CodeBlock.create(code=EVENT_VERIFICATION, label=t("events.verify_title")),
                class_name="ps-card",
                style={"margin": "0 0 16px"},
            ),
        ),
    )
