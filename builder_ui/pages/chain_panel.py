"""The side panel in which a step of a chain is drawn up, and the dialog of the rules for all of them."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.components.parts import field
from builder_ui.i18n import t, t_of
from builder_ui.pages.chain_forms import EVERYWHERE
from builder_ui.pages.chain_state import ChainPage
from graph_runtime.contract.working_hours import WEEKDAYS

FORM = ChainPage.form
RULES = ChainPage.rules
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


def _select(name: str, value: Any, label: Any, *items: rx.Component, **more: Any) -> rx.Component:
    return field(
        label,
        rx.select.root(
            rx.select.trigger(id=f"step-{name}", aria_label=label, width="100%"), rx.select.content(*items), name=name,
            default_value=value, **more,
        ),
        field_id=f"step-{name}",
    )  # fmt: skip


def _named(items: Any) -> rx.Component:
    return rx.foreach(items, lambda i: rx.select.item(i.name, value=i.id))


def _target(label: str, items: Any, *first: rx.Component) -> rx.Component:
    return _select("target", FORM.target, t(label), *first, _named(items))


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
                _number("share", FORM.share, "chains.share", 1, 99),
                class_name="ps-form",
                style={"padding_top": "8px"},
            ),
            custom_attrs={"open": FORM.second != ""},
        ),
        _select("channel_1", FORM.channel_1, t("chains.channel"), anywhere, _named(ChainPage.channels)),
        _select(
            "channel_2", FORM.channel_2, t("chains.channel_else"), rx.select.item(t("chains.channel_none"), value=EVERYWHERE),
            _named(ChainPage.channels),
        ),
    )  # fmt: skip
    call = rx.fragment(
        _target("chains.line", ChainPage.lines),
        rx.cond(ChainPage.lines.length() == 0, rx.el.p(t("chains.no_lines"), class_name="ps-hint")),
        _pair(
            _number("tries", FORM.tries, "chains.tries", 1, 10), _number("again", FORM.again, "chains.again", 5, 1440)
        ),
    )
    update = rx.fragment(
        rx.el.fieldset(
            rx.el.legend(t("chains.fields"), class_name="ps-label"),
            rx.foreach(
                FORM.field_names,
                lambda name, n: _pair(
                    rx.text_field(name="name_" + n.to_string(), default_value=name, placeholder=t("chains.field_name"),
                                  aria_label=t("chains.field_name")),
                    rx.text_field(name="value_" + n.to_string(), default_value=FORM.texts[n], placeholder=t("chains.field_value"),
                                  aria_label=t("chains.field_value")),
                ),
            ),
            class_name="ps-fieldset",
        ),
        _line("add_tags", FORM.add_tags, "chains.add_tags", "chains.tags_hint"),
        _line("remove_tags", FORM.remove_tags, "chains.remove_tags"),
    )  # fmt: skip
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
        update,
    )


def _timing() -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend(t("chains.when"), class_name="ps-label"),
        rx.el.div(
            _pair(
                _number("amount", FORM.amount, "chains.amount", 0, 1000),
                _select(
                    "unit", FORM.unit, t("chains.unit"), *[rx.select.item(t(f"chains.unit_{u}"), value=u) for u in UNITS],
                    on_change=ChainPage.count_in,
                ),
            ),
            _select(
                "since", FORM.since, t("chains.since"), *[rx.select.item(t(f"chains.from_{s}"), value=s) for s in SINCE],
                on_change=ChainPage.count_from,
            ),
            rx.cond(
                ChainPage.counts_from_field, _line("field", FORM.date_field, "chains.date_field", "chains.date_field_hint")
            ),
            rx.cond(ChainPage.counts_days, _time("at", FORM.at, "chains.at_time", "chains.at_time_hint")),
            class_name="ps-form",
        ),
        class_name="ps-fieldset",
    )  # fmt: skip


def _hours() -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend(t("chains.only_hours"), class_name="ps-label"),
        _pair(_time("start", FORM.start, "chains.hours_from"), _time("end", FORM.end, "chains.hours_until")),
        _check("only_workdays", FORM.only_workdays, "chains.check_workdays"),
        _check("skips_holidays", FORM.skips_holidays, "chains.check_holidays"),
        class_name="ps-fieldset",
    )


def _condition() -> rx.Component:
    fields = rx.el.div(
        _pair(
            _line("if_field", FORM.if_field, "chains.if_field", "chains.if_field_hint"),
            _select("if_op", FORM.if_op, t("chains.if_op"), *[rx.select.item(t(f"chains.op_{o}"), value=o) for o in OPERATORS]),
        ),
        _line("if_value", FORM.if_value, "chains.if_value"),
        _select(
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


def _pair(one: rx.Component, other: rx.Component) -> rx.Component:
    return rx.el.div(
        one, other, style={"display": "grid", "grid_template_columns": "1fr 1fr", "gap": "12px", "align_items": "start"}
    )


def _line(name: str, value: Any, label: str, hint: str = "") -> rx.Component:
    return field(
        t(label), rx.text_field(id=f"step-{name}", name=name, default_value=value, max_length=2000),
        field_id=f"step-{name}", hint=t(hint) if hint else None,
    )  # fmt: skip


def _number(name: str, value: Any, label: str, least: int, most: int) -> rx.Component:
    return field(
        t(label),
        rx.text_field(
            id=f"step-{name}", name=name, type="number", min=least, max=most, default_value=value.to_string()
        ),
        field_id=f"step-{name}",
    )


def _time(name: str, value: Any, label: str, hint: str = "") -> rx.Component:
    return field(
        t(label), rx.text_field(id=f"step-{name}", name=name, type="time", default_value=value),
        field_id=f"step-{name}", hint=t(hint) if hint else None,
    )  # fmt: skip


def _check(name: str, value: Any, label: str) -> rx.Component:
    return rx.el.label(
        rx.checkbox(name=name, size="2", default_checked=value, aria_label=t(label)), t(label), class_name="ps-check"
    )


def _stop_condition() -> rx.Component:
    """One comparison, such as a stage that the customer system wrote into a field."""
    operators = [rx.select.item(t(f"chains.op_{o}"), value=o) for o in OPERATORS]
    return rx.fragment(
        _pair(
            _line("stop_field", RULES.stop_field, "chains.stop_field", "chains.stop_field_hint"),
            _select("stop_op", RULES.stop_op, t("chains.if_op"), *operators),
        ),
        _line("stop_value", RULES.stop_value, "chains.if_value"),
    )


def _working_hours() -> rx.Component:
    def day(name: str) -> rx.Component:
        control = rx.text_field(
            id=f"step-hours_{name}", name=f"hours_{name}", default_value=RULES.hours[name], placeholder="09:00–18:00",
        )  # fmt: skip
        return field(t(f"settings.hours_{name}"), control, field_id=f"step-hours_{name}")

    return rx.el.details(
        rx.el.summary(t("chains.hours"), class_name="ps-more"),
        rx.el.div(
            rx.el.p(t("chains.hours_hint"), class_name="ps-hint", style={"margin": "0"}),
            rx.el.div(
                *[day(name) for name in WEEKDAYS],
                style={
                    "display": "grid",
                    "grid_template_columns": "repeat(auto-fill, minmax(150px, 1fr))",
                    "gap": "12px",
                },
            ),
            class_name="ps-form",
            style={"padding_top": "8px", "max_width": "none"},
        ),
        custom_attrs={"open": RULES.has_hours},
    )


def rules_dialog() -> rx.Component:
    """What holds for the whole chain."""
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("chains.rules"), size="5"),
            rx.dialog.description(t("chains.rules_lead"), class_name="ps-hint", style={"margin": "0 0 16px"}),
            rx.form(
                rx.el.div(
                    rx.el.fieldset(
                        rx.el.legend(t("chains.stop"), class_name="ps-label"),
                        _check("on_reply", RULES.on_reply, "chains.stop_reply"),
                        _line("tags", RULES.tags, "chains.stop_tags", "chains.tags_hint"),
                        _line("results", RULES.results, "chains.stop_results", "chains.stop_results_hint"),
                        _line("stages", RULES.stages, "chains.stop_stages", "chains.stop_stages_hint"),
                        rx.cond(RULES.is_stop_kept, rx.el.p(t("chains.stop_kept"), class_name="ps-hint"), _stop_condition()),
                        class_name="ps-fieldset",
                    ),
                    rx.el.fieldset(
                        rx.el.legend(t("chains.quiet"), class_name="ps-label"),
                        _check("has_quiet", RULES.has_quiet, "chains.has_quiet"),
                        _pair(
                            _time("quiet_start", RULES.quiet_start, "chains.hours_from"),
                            _time("quiet_end", RULES.quiet_end, "chains.hours_until"),
                        ),
                        class_name="ps-fieldset",
                    ),
                    _working_hours(),
                    rx.el.fieldset(
                        rx.el.legend(t("chains.caps"), class_name="ps-label"),
                        rx.el.p(t("chains.caps_hint"), class_name="ps-hint", style={"margin": "0"}),
                        _pair(
                            _number("per_day", RULES.per_day, "chains.per_day", 0, 100),
                            _number("spacing", RULES.spacing, "chains.spacing", 0, 10_080),
                        ),
                        _pair(
                            _number("per_hour", RULES.per_hour, "chains.per_hour", 0, 1_000_000),
                            _number("per_channel_day", RULES.per_channel_day, "chains.per_channel_day", 0, 1_000_000),
                        ),
                        _number("jitter", RULES.jitter, "chains.jitter", 0, 240),
                        class_name="ps-fieldset",
                    ),
                    _pair(
                        _line("zone", RULES.zone, "chains.zone", "chains.zone_hint"),
                        _line("country", RULES.country, "chains.country", "chains.country_hint"),
                    ),
                    class_name="ps-form",
                    style={"max_width": "none"},
                ),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(t("chains.keep_rules"), type="submit", data_testid="save-rules"),
                    spacing="3", justify="end", class_name="ps-panel-foot",
                ),
                key=RULES.key,
                on_submit=ChainPage.save_rules,
            ),
            class_name="ps-side",
        ),
        open=ChainPage.is_rules_open,
        on_open_change=ChainPage.open_rules,
    )  # fmt: skip
