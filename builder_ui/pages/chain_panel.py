"""The side panel in which a step of a chain is drawn up."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.components.parts import field
from builder_ui.i18n import t, t_of
from builder_ui.pages.chain_fields import check, choice, clock_time, line, number, pair
from builder_ui.pages.chain_forms import EVERYWHERE
from builder_ui.pages.chain_state import ChainPage
from builder_ui.pages.crm_fields import crm_field_rows

FORM = ChainPage.form
UNITS = ("minutes", "hours", "days", "working_days", "weeks", "months")
SINCE = ("previous", "enrollment", "field_after", "field_before")
OPERATORS = ("eq", "ne", "contains", "not_contains", "gt", "lt", "empty", "not_empty")


def step_panel() -> rx.Component:
    """Opened by the list of steps."""
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t_of(FORM.kind, "chains.do_"), size="5"),
            rx.dialog.description(t_of(FORM.kind, "chains.about_"), class_name="ps-hint", style={"margin": "0 0 16px"}),
            rx.form(
                rx.el.div(_content(), _timing(), _hours(), _condition(), class_name="ps-form", style={"max_width": "none"}),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(t("chains.keep_step"), type="submit", data_testid="save-step"),
                    spacing="3", justify="end", class_name="ps-panel-foot",
                ),
                key=FORM.key,
                on_submit=ChainPage.save_step,
            ),
            class_name="ps-side",
        ),
        open=ChainPage.is_step_open,
        on_open_change=ChainPage.close_step,
    )  # fmt: skip


def _named(items: Any) -> rx.Component:
    return rx.foreach(items, lambda i: rx.select.item(i.name, value=i.id))


def _target(label: str, items: Any, *first: rx.Component, **more: Any) -> rx.Component:
    return choice("target", FORM.target, t(label), *first, _named(items), **more)


def _text(label: str, *, hint: bool = True, name: str = "text", value: Any = None) -> rx.Component:
    return field(
        t(label),
        rx.text_area(
            id=f"step-{name}",
            name=name,
            default_value=FORM.text if value is None else value,
            rows="5",
            max_length=20_000,
        ),
        field_id=f"step-{name}",
        hint=t("chains.text_hint") if hint else None,
    )


def _content() -> rx.Component:
    anywhere = rx.select.item(t("chains.channel_any"), value=EVERYWHERE)
    message = rx.fragment(
        _text("chains.text"),
        rx.el.details(
            rx.el.summary(t("chains.second"), class_name="ps-more"),
            rx.el.div(
                _text("chains.second_text", hint=False, name="second", value=FORM.second),
                number("share", FORM.share, "chains.share", 1, 99),
                class_name="ps-form",
                style={"padding_top": "8px"},
            ),
            custom_attrs={"open": FORM.second != ""},
        ),
        choice("channel_1", FORM.channel_1, t("chains.channel"), anywhere, _named(ChainPage.channels)),
        choice(
            "channel_2", FORM.channel_2, t("chains.channel_else"), rx.select.item(t("chains.channel_none"), value=EVERYWHERE),
            _named(ChainPage.channels),
        ),
    )  # fmt: skip
    call = rx.fragment(
        _target("chains.line", ChainPage.lines),
        rx.cond(ChainPage.lines.length() == 0, rx.el.p(t("chains.no_lines"), class_name="ps-hint")),
        pair(number("tries", FORM.tries, "chains.tries", 1, 10), number("again", FORM.again, "chains.again", 5, 1440)),
    )
    update = rx.fragment(
        _field_rows("chains.fields"),
        line("add_tags", FORM.add_tags, "chains.add_tags", "chains.tags_hint"),
        line("remove_tags", FORM.remove_tags, "chains.remove_tags"),
    )
    return rx.match(
        FORM.kind,
        ("message", message),
        ("flow", _target("chains.agent", ChainPage.agents)),
        ("call", call),
        (
            "notify",
            rx.fragment(
                _target("chains.member", ChainPage.members, rx.select.item(t("chains.everybody"), value=EVERYWHERE)),
                _text("chains.note_text"),
            ),
        ),
        ("webhook", rx.fragment(_target("chains.subscription", ChainPage.subscriptions), _text("chains.event_note"))),
        ("crm", _crm()),
        update,
    )


def _field_rows(label: str) -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend(t(label), class_name="ps-label"),
        rx.foreach(
            FORM.field_names,
            lambda name, n: pair(
                rx.text_field(name="name_" + n.to_string(), default_value=name, placeholder=t("chains.field_name"),
                              aria_label=t("chains.field_name")),
                rx.text_field(name="value_" + n.to_string(), default_value=FORM.texts[n], placeholder=t("chains.field_value"),
                              aria_label=t("chains.field_value")),
            ),
        ),
        class_name="ps-fieldset",
    )  # fmt: skip


def _crm() -> rx.Component:
    def one_of(name: str, value: Any, *choices: str, **more: Any) -> rx.Component:
        return choice(
            name,
            value,
            t(f"chains.crm_{name}"),
            *[rx.select.item(t(f"chains.crm_{name}_{c}"), value=c) for c in choices],
            **more,
        )

    entity = one_of("entity", FORM.entity, "lead", "contact", on_change=ChainPage.choose_crm_entity)
    return rx.fragment(
        _target("chains.crm", ChainPage.crms, on_change=ChainPage.choose_crm),
        rx.cond(ChainPage.crms.length() == 0, rx.el.p(t("chains.no_crms"), class_name="ps-hint")),
        pair(entity, one_of("by", FORM.by, "phone", "email")),
        check("creates", FORM.creates, "chains.crm_creates"),
        crm_field_rows(ChainPage.crm, "", ChainPage.pick_crm_field),
        _text("chains.crm_note", hint=False),
        line("task", FORM.task, "chains.crm_task"),
        number("task_hours", FORM.task_hours, "chains.crm_task_hours", 1, 8760),
    )


def _timing() -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend(t("chains.when"), class_name="ps-label"),
        rx.el.div(
            pair(
                number("amount", FORM.amount, "chains.amount", 0, 1000),
                choice(
                    "unit", FORM.unit, t("chains.unit"), *[rx.select.item(t(f"chains.unit_{u}"), value=u) for u in UNITS],
                    on_change=ChainPage.count_in,
                ),
            ),
            choice(
                "since", FORM.since, t("chains.since"), *[rx.select.item(t(f"chains.from_{s}"), value=s) for s in SINCE],
                on_change=ChainPage.count_from,
            ),
            rx.cond(
                ChainPage.counts_from_field, line("field", FORM.date_field, "chains.date_field", "chains.date_field_hint")
            ),
            rx.cond(ChainPage.counts_days, clock_time("at", FORM.at, "chains.at_time", "chains.at_time_hint")),
            class_name="ps-form",
        ),
        class_name="ps-fieldset",
    )  # fmt: skip


def _hours() -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend(t("chains.only_hours"), class_name="ps-label"),
        pair(clock_time("start", FORM.start, "chains.hours_from"), clock_time("end", FORM.end, "chains.hours_until")),
        check("only_workdays", FORM.only_workdays, "chains.check_workdays"),
        check("skips_holidays", FORM.skips_holidays, "chains.check_holidays"),
        class_name="ps-fieldset",
    )


def _condition() -> rx.Component:
    fields = rx.el.div(
        pair(
            line("if_field", FORM.if_field, "chains.if_field", "chains.if_field_hint"),
            choice("if_op", FORM.if_op, t("chains.if_op"), *[rx.select.item(t(f"chains.op_{o}"), value=o) for o in OPERATORS]),
        ),
        line("if_value", FORM.if_value, "chains.if_value"),
        choice(
            "otherwise", FORM.otherwise, t("chains.otherwise"),
            *[rx.select.item(t(f"chains.otherwise_{o}"), value=o) for o in ("skip", "stop")],
        ),
        class_name="ps-form",
        style={"padding_top": "8px"},
    )  # fmt: skip
    return rx.el.details(
        rx.el.summary(t("chains.condition"), class_name="ps-more"),
        rx.cond(FORM.is_if_kept, rx.el.p(t("chains.condition_kept"), class_name="ps-hint"), fields),
        custom_attrs={"open": FORM.if_field != ""},
    )
