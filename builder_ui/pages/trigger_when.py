"""What starts a trigger: the part of its form that changes with the kind."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.components.parts import field
from builder_ui.i18n import t, t_of
from builder_ui.pages.trigger_fields import (
    NONE,
    check_row,
    group,
    options_of,
    options_of_choices,
    select_row,
    text_row,
    two,
)
from builder_ui.pages.trigger_rows import USES, LeafItem, TimeItem
from graph_runtime.contract.triggers import EVENTS

MATCHES = ("words", "exact", "command", "pattern", "any")
EVERY = ("day", "weekday", "week", "month", "once", "cron")
UNITS = ("1", "60", "1440")


def when_part(state: Any) -> rx.Component:
    channels = [
        rx.select.item(t("triggers.all_channels"), value=NONE),
        rx.foreach(state.kinds_of_channels, lambda c: rx.select.item(t_of(c, "talks.channel_", otherwise=c), value=c)),
    ]
    message = rx.fragment(
        two(
            select_row(state, "match", t("triggers.match"), options_of("match", MATCHES)),
            select_row(state, "channel", t("triggers.channel"), channels),
        ),
        rx.cond(
            state.form["match"] != "any",
            field(
                t("triggers.texts"),
                rx.text_area(
                    id="trigger-texts", default_value=state.form["texts"], rows="2", max_length=2000,
                    on_blur=lambda value: state.put("texts", value),
                ),
                field_id="trigger-texts",
                hint=t_of(state.form["match"], "triggers.texts_hint_"),
            ),
        ),
        check_row(state, "interrupts", t("triggers.interrupts")),
    )  # fmt: skip
    event = rx.fragment(
        select_row(state, "event", t("triggers.event"), options_of("event", EVENTS)),
        rx.cond(
            state.form["event"] == "flow.finished",
            text_row(state, "results", t("triggers.results"), hint=t("triggers.results_hint"), placeholder="lost"),
        ),
        rx.cond(
            state.form["event"] == "contact.tag_added", text_row(state, "tags", t("triggers.tags"), hint=t("triggers.tags_hint"))
        ),
        rx.cond(
            state.form["event"] == "crm.stage_changed",
            text_row(state, "stages", t("triggers.stages"), hint=t("triggers.stages_hint"), placeholder="Won"),
        ),
        rx.cond(
            state.form["event"].startswith("crm."),
            rx.el.p(t("triggers.crm_hint"), " ", rx.link(t("nav.connections"), href="/connections"), ".", class_name="ps-hint"),
        ),
    )  # fmt: skip
    silence = rx.fragment(
        two(
            text_row(state, "amount", t("triggers.silence"), kind="number"),
            select_row(state, "unit", t("triggers.unit"), options_of("unit", UNITS)),
        ),
        check_row(state, "ended", t("triggers.ended")),
    )
    return rx.match(
        state.form["kind"],
        ("message", message),
        ("schedule", _schedule(state)),
        ("event", event),
        ("webhook", _webhook(state, channels)),
        ("inactivity", silence),
        rx.fragment(),
    )


def _schedule(state: Any) -> rx.Component:
    plain = state.form["every"] != "cron"
    days = rx.el.div(
        *[
            rx.el.label(
                rx.checkbox(
                    size="1", checked=state.form["weekdays"].contains(str(d)), on_change=lambda _, d=d: state.toggle_day(str(d)),
                    aria_label=t(f"triggers.wd_{d}"),
                ),
                t(f"triggers.wd_{d}"), class_name="ps-check",
            )
            for d in range(7)
        ],
        style={"display": "flex", "flex_wrap": "wrap", "gap": "4px 14px"},
        role="group",
        aria_label=t("triggers.weekdays"),
    )  # fmt: skip
    day = [rx.select.item(str(d), value=str(d)) for d in range(1, 32)]
    return rx.fragment(
        two(
            select_row(state, "every", t("triggers.every"), options_of("every", EVERY)),
            rx.cond(plain, text_row(state, "at", t("triggers.at"), kind="time"),
                    text_row(state, "cron", t("triggers.cron"), hint=t("triggers.cron_hint"))),
        ),
        rx.match(
            state.form["every"],
            ("week", days),
            ("month", select_row(state, "day", t("triggers.day"), [*day, rx.select.item(t("triggers.last_day"), value="0")],
                              hint=t("triggers.day_hint"))),
            ("once", text_row(state, "on", t("triggers.on"), kind="date")),
            rx.fragment(),
        ),
        two(
            text_row(state, "zone", t("triggers.zone"), placeholder="Europe/Kyiv"),
            select_row(state, "catch_up", t("triggers.catch_up"), options_of("catch_up", ("skip", "once", "all")), hint=t("triggers.catch_up_hint")),
        ),
        two(
            select_row(state, "audience", t("triggers.audience"), options_of("audience", ("contacts", "nobody"))),
            rx.cond(
                state.form["audience"] == "contacts",
                select_row(state, "segment_id", t("triggers.segment"), options_of_choices(state.segments, t("triggers.any_segment"))),
            ),
        ),
        rx.cond(state.times.length() > 0, next_times(state.times, t("triggers.preview", zone=state.form["zone"]))),
    )  # fmt: skip


def next_times(times: rx.Var[list[TimeItem]], title: rx.Var[str]) -> rx.Component:
    """Moments to come, in the zone of the schedule."""
    return rx.el.div(
        rx.el.div(title, class_name="ps-label"),
        rx.el.ol(
            rx.foreach(
                times,
                lambda m: rx.el.li(
                    rx.el.span(t_of(m.weekday, "triggers.wd_"), style={"min_width": "2.4em", "display": "inline-block"}),
                    " ", m.day, " ", rx.el.strong(m.clock),
                ),
            ),
            class_name="ps-num",
            style={"columns": "2 180px", "margin": "6px 0 0", "padding": "0", "list_style": "none", "font_size": "13px"},
            data_testid="next-times",
        ),
    )  # fmt: skip


def _webhook(state: Any, _channels: list[rx.Component]) -> rx.Component:
    auth_hint = rx.cond(state.form["auth"] == "secret", t("triggers.auth_hint"), t("triggers.auth_signature_hint"))
    return rx.fragment(
        two(
            select_row(state, "auth", t("triggers.auth"), options_of("auth", ("signature", "secret")), hint=auth_hint),
            select_row(state, "channel_id", t("triggers.id_channel"), options_of_choices(state.channels, t("triggers.no_channel")),
                    hint=t("triggers.id_channel_hint")),
        ),
        group(
            t("triggers.mapping"),
            t("triggers.mapping_hint"),
            rx.cond(
                state.leaves.length() > 0,
                rx.el.div(rx.foreach(state.leaves, lambda leaf: _leaf(state, leaf)), class_name="ps-list", role="list"),
                rx.callout.root(rx.callout.icon(rx.icon("pointer", size=15)), rx.callout.text(t("triggers.no_sample")),
                                size="1", color_scheme="gray"),
            ),
        ),
        text_row(state, "dedupe", t("triggers.dedupe"), hint=t("triggers.dedupe_hint"), placeholder="/order/id"),
        check_row(state, "creates_contacts", t("triggers.creates_contacts")),
    )  # fmt: skip


def _leaf(state: Any, leaf: rx.Var[LeafItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.div(leaf.pointer, class_name="ps-mono ps-sub", style={"overflow_wrap": "anywhere"}),
            rx.el.div(leaf.value, class_name="ps-truncate"),
            style={"min_width": 0},
        ),
        rx.select.root(
            rx.select.trigger(aria_label=t("triggers.use_of", name=leaf.pointer), width="150px"),
            rx.select.content(rx.select.item(t("triggers.use_nothing"), value=NONE), *options_of("use", USES)),
            value=rx.cond(leaf.use == "", NONE, leaf.use),
            on_change=lambda use: state.use(leaf.pointer, use),
            size="1",
        ),
        rx.cond(
            (leaf.use == "variable") | (leaf.use == "field"),
            rx.text_field(
                default_value=leaf.name, size="1", aria_label=t("triggers.use_called"), width="130px",
                on_blur=lambda name: state.name_use(leaf.pointer, name),
            ),
        ),
        class_name="ps-row",
        style={"display": "flex", "flex_wrap": "wrap", "gap": "8px", "justify_content": "space-between", "padding": "8px 12px"},
        role="listitem",
        key=leaf.pointer,
    )  # fmt: skip
