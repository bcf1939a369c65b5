"""How an agent answers, on its page: what people approve before it is sent, and how long an answer takes."""

from __future__ import annotations

import reflex as rx

from builder_ui.components.parts import card, field
from builder_ui.i18n import t
from builder_ui.pages.agent_answering_state import APPROVES, DELAYS, EVERYBODY, TIMEOUTS, AgentManner


def answering_cards() -> rx.Component:
    """Two cards; each has its own Save."""
    return rx.fragment(_approval(), _delay())


def _approval() -> rx.Component:
    more = rx.fragment(
        field(
            t("answering.queue"),
            rx.select.root(
                rx.select.trigger(id="m-queue", aria_label=t("answering.queue"), width="100%"),
                rx.select.content(
                    rx.select.item(t("answering.everybody"), value=EVERYBODY),
                    rx.foreach(AgentManner.queues, lambda q: rx.select.item(q.name, value=q.id)),
                ),
                name="queue", default_value=AgentManner.queue, key=AgentManner.queue,
            ),
            field_id="m-queue",
        ),
        field(
            t("answering.wait"),
            rx.text_field(
                id="m-wait", name="wait", type="number", min="1", max="1440", default_value=AgentManner.wait,
                key="wait" + AgentManner.wait, width="140px",
            ),
            field_id="m-wait",
            hint=t("answering.wait_hint"),
        ),
        field(
            t("answering.timeout"),
            rx.select.root(
                rx.select.trigger(id="m-timeout", aria_label=t("answering.timeout"), width="100%"),
                rx.select.content(*[rx.select.item(t(f"answering.timeout_{o}"), value=o) for o in TIMEOUTS]),
                name="on_timeout", default_value=AgentManner.on_timeout, key=AgentManner.on_timeout,
            ),
            field_id="m-timeout",
        ),
        field(
            t("answering.instead"),
            rx.text_area(
                id="m-instead", name="instead", default_value=AgentManner.instead, key="instead" + AgentManner.instead,
                placeholder=t("answering.instead_placeholder"), max_length=2000, rows="2",
            ),
            field_id="m-instead",
        ),
    )  # fmt: skip
    return card(
        t("answering.approval"),
        rx.form(
            rx.el.div(
                field(
                    t("answering.approves"),
                    rx.select.root(
                        rx.select.trigger(id="m-approves", aria_label=t("answering.approves"), width="100%"),
                        rx.select.content(*[rx.select.item(t(f"answering.approves_{a}"), value=a) for a in APPROVES]),
                        value=AgentManner.approves, on_change=AgentManner.choose_approves,
                    ),
                    field_id="m-approves",
                    hint=t("answering.approves_hint"),
                ),
                rx.cond(AgentManner.approves != "nothing", more),
                rx.box(rx.button(t("common.save"), type="submit", data_testid="save-approval")),
                class_name="ps-form",
            ),
            on_submit=AgentManner.save_approval,
        ),
        hint=t("answering.approval_text"),
    )  # fmt: skip


def _delay() -> rx.Component:
    numbers = [
        field(
            t(f"answering.{name}"),
            rx.text_field(
                id=f"m-{name}", name=name, type="number", min="0", max="500", step="any",
                default_value=AgentManner.delays[name], key=name + AgentManner.delays[name], width="140px",
            ),
            field_id=f"m-{name}",
        )
        for name in DELAYS
    ]  # fmt: skip
    return card(
        t("answering.delay"),
        rx.form(
            rx.el.div(
                rx.el.label(
                    rx.switch(
                        checked=AgentManner.has_delay, on_change=AgentManner.switch_delay, size="1",
                        aria_label=t("answering.delay_on"),
                    ),
                    t("answering.delay_on"),
                    class_name="ps-check",
                ),
                rx.cond(AgentManner.has_delay, rx.fragment(*numbers)),
                rx.box(rx.button(t("common.save"), type="submit", data_testid="save-delay")),
                class_name="ps-form",
            ),
            on_submit=AgentManner.save_delay,
        ),
        hint=t("answering.delay_text"),
    )  # fmt: skip
