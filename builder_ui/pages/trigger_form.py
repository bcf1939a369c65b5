"""The form of a trigger: when, details of its kind, conditions, what it does, how often, and trying it out."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.components.parts import field
from builder_ui.i18n import t, t_of
from builder_ui.pages.trigger_form_state import Choice
from builder_ui.pages.trigger_rows import ACTIONS, OPERATORS, USES, ActionItem, ConditionItem, LeafItem, TimeItem
from graph_runtime.contract.triggers import EVENTS, PERIOD_HOURS

MATCHES = ("words", "exact", "command", "pattern", "any")
EVERY = ("day", "weekday", "week", "month", "once", "cron")
UNITS = ("1", "60", "1440")
NONE = "-"


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
                _text(state, "name", t("triggers.name"), placeholder=t("triggers.name_placeholder")),
                _when(state),
                _group(t("triggers.only_if"), t("triggers.only_if_hint"), _conditions(state)),
                _group(t("triggers.then"), None, _actions(state)),
                _group(t("triggers.limits"), t("triggers.limits_hint"), _limits(state)),
                _group(t("triggers.trial"), t("triggers.trial_hint"), _trial(state)),
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


def _group(title: rx.Var[str], hint: rx.Var[str] | None, *content: rx.Component) -> rx.Component:
    words = [rx.el.legend(title, class_name="ps-label")]
    if hint is not None:
        words.append(rx.el.p(hint, class_name="ps-hint", style={"margin": "0 0 8px"}))
    return rx.el.fieldset(*words, *content, class_name="ps-fieldset")


def _text(
    state: Any, name: str, label: rx.Var[str], *, hint: rx.Var[str] | None = None, placeholder: Any = "", kind: str = "text",
    width: str = "100%",
) -> rx.Component:  # fmt: skip
    field_id = f"trigger-{name}"
    return field(
        label,
        rx.el.input(
            id=field_id, type=kind, default_value=state.form[name], key=f"{field_id}-{state.form['id']}",
            placeholder=placeholder, max_length=200, on_blur=lambda value: state.put(name, value), class_name="ps-input",
            style={"width": width, "max_width": "100%"},
        )
        if kind in ("date", "time")
        else rx.text_field(
            id=field_id, type=kind, default_value=state.form[name], placeholder=placeholder, max_length=200,
            on_blur=lambda value: state.put(name, value), width=width,
        ),
        field_id=field_id,
        hint=hint,
    )  # fmt: skip


def _select(
    state: Any, name: str, label: rx.Var[str], options: list[rx.Component], *, hint: rx.Var[str] | None = None
) -> rx.Component:
    field_id = f"trigger-{name}"
    return field(
        label,
        rx.select.root(
            rx.select.trigger(id=field_id, aria_label=label, width="100%"),
            rx.select.content(*options),
            value=rx.cond(state.form[name] == "", NONE, state.form[name]),
            on_change=lambda value: state.put(name, value),
        ),
        field_id=field_id,
        hint=hint,
    )


def _check(state: Any, name: str, label: rx.Var[str]) -> rx.Component:
    return rx.el.label(
        rx.checkbox(
            size="2", checked=state.form[name] == "1", on_change=lambda is_on: state.switch_field(name, is_on), aria_label=label
        ),
        label,
        class_name="ps-check",
    )  # fmt: skip


def _of(prefix: str, values: tuple[str, ...]) -> list[rx.Component]:
    return [rx.select.item(t(f"triggers.{prefix}_{v}"), value=v) for v in values]


def _of_choices(choices: rx.Var[list[Choice]], nothing: rx.Var[str] | None = None) -> list[rx.Component]:
    first = [rx.select.item(nothing, value=NONE)] if nothing is not None else []
    return [*first, rx.foreach(choices, lambda c: rx.select.item(c.name, value=rx.cond(c.id == "", NONE, c.id)))]


def _when(state: Any) -> rx.Component:
    channels = [
        rx.select.item(t("triggers.all_channels"), value=NONE),
        rx.foreach(state.kinds_of_channels, lambda c: rx.select.item(t_of(c, "talks.channel_", otherwise=c), value=c)),
    ]
    message = rx.fragment(
        _two(
            _select(state, "match", t("triggers.match"), _of("match", MATCHES)),
            _select(state, "channel", t("triggers.channel"), channels),
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
        _check(state, "interrupts", t("triggers.interrupts")),
    )  # fmt: skip
    event = rx.fragment(
        _select(state, "event", t("triggers.event"), _of("event", EVENTS)),
        rx.cond(
            state.form["event"] == "flow.finished",
            _text(state, "results", t("triggers.results"), hint=t("triggers.results_hint"), placeholder="lost"),
        ),
        rx.cond(
            state.form["event"] == "contact.tag_added", _text(state, "tags", t("triggers.tags"), hint=t("triggers.tags_hint"))
        ),
    )  # fmt: skip
    silence = rx.fragment(
        _two(
            _text(state, "amount", t("triggers.silence"), kind="number"),
            _select(state, "unit", t("triggers.unit"), _of("unit", UNITS)),
        ),
        _check(state, "ended", t("triggers.ended")),
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


def _two(*parts: rx.Component) -> rx.Component:
    return rx.el.div(*parts, class_name="ps-form-two")


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
        _two(
            _select(state, "every", t("triggers.every"), _of("every", EVERY)),
            rx.cond(plain, _text(state, "at", t("triggers.at"), kind="time"),
                    _text(state, "cron", t("triggers.cron"), hint=t("triggers.cron_hint"))),
        ),
        rx.match(
            state.form["every"],
            ("week", days),
            ("month", _select(state, "day", t("triggers.day"), [*day, rx.select.item(t("triggers.last_day"), value="0")],
                              hint=t("triggers.day_hint"))),
            ("once", _text(state, "on", t("triggers.on"), kind="date")),
            rx.fragment(),
        ),
        _two(
            _text(state, "zone", t("triggers.zone"), placeholder="Europe/Kyiv"),
            _select(state, "catch_up", t("triggers.catch_up"), _of("catch_up", ("skip", "once", "all")), hint=t("triggers.catch_up_hint")),
        ),
        _two(
            _select(state, "audience", t("triggers.audience"), _of("audience", ("contacts", "nobody"))),
            rx.cond(
                state.form["audience"] == "contacts",
                _select(state, "segment_id", t("triggers.segment"), _of_choices(state.segments, t("triggers.any_segment"))),
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
        _two(
            _select(state, "auth", t("triggers.auth"), _of("auth", ("signature", "secret")), hint=auth_hint),
            _select(state, "channel_id", t("triggers.id_channel"), _of_choices(state.channels, t("triggers.no_channel")),
                    hint=t("triggers.id_channel_hint")),
        ),
        _group(
            t("triggers.mapping"),
            t("triggers.mapping_hint"),
            rx.cond(
                state.leaves.length() > 0,
                rx.el.div(rx.foreach(state.leaves, lambda leaf: _leaf(state, leaf)), class_name="ps-list", role="list"),
                rx.callout.root(rx.callout.icon(rx.icon("pointer", size=15)), rx.callout.text(t("triggers.no_sample")),
                                size="1", color_scheme="gray"),
            ),
        ),
        _text(state, "dedupe", t("triggers.dedupe"), hint=t("triggers.dedupe_hint"), placeholder="/order/id"),
        _check(state, "creates_contacts", t("triggers.creates_contacts")),
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
            rx.select.content(rx.select.item(t("triggers.use_nothing"), value=NONE), *_of("use", USES)),
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


def _conditions(state: Any) -> rx.Component:
    return rx.fragment(
        rx.foreach(state.conditions, lambda item, place: _condition(state, item, place)),
        rx.button(
            rx.icon("plus", size=14), t("triggers.add_condition"), variant="soft", color_scheme="gray", size="1",
            on_click=state.add_condition, justify_self="start", type="button",
        ),
    )  # fmt: skip


def _condition(state: Any, item: rx.Var[ConditionItem], place: rx.Var[int]) -> rx.Component:
    return rx.el.div(
        rx.text_field(
            default_value=item.ref, aria_label=t("triggers.condition_what"), placeholder="contact.city", flex="1 1 150px",
            on_blur=lambda value: state.put_condition(place, "ref", value),
        ),
        rx.select.root(
            rx.select.trigger(aria_label=t("triggers.condition_how"), width="150px"),
            rx.select.content(*_of("op", OPERATORS)),
            value=item.op,
            on_change=lambda value: state.put_condition(place, "op", value),
        ),
        rx.cond(
            (item.op != "empty") & (item.op != "not_empty") & (item.op != "is_true"),
            rx.text_field(
                default_value=item.value, aria_label=t("triggers.condition_value"), flex="1 1 110px",
                on_blur=lambda value: state.put_condition(place, "value", value),
            ),
        ),
        _drop(t("triggers.drop_condition"), state.drop_condition(place)),
        style={"display": "flex", "flex_wrap": "wrap", "gap": "8px", "margin_bottom": "8px", "align_items": "center"},
    )  # fmt: skip


def _drop(label: rx.Var[str], on_click: Any) -> rx.Component:
    return rx.icon_button(
        rx.icon("x", size=15), variant="ghost", color_scheme="gray", aria_label=label, on_click=on_click, type="button",
        margin="0",
    )  # fmt: skip


def _actions(state: Any) -> rx.Component:
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
            pick("flow_id", t("triggers.flow"), item.flow_id, _of_choices(state.flows)),
            pick("channel", t("triggers.channel"), item.channel, [
                rx.select.item(t("triggers.last_channel"), value=NONE),
                rx.foreach(state.kinds_of_channels, lambda c: rx.select.item(t_of(c, "talks.channel_", otherwise=c), value=c)),
            ]),
            rx.cond(state.form["kind"] != "message",
                    pick("if_open", t("triggers.if_open"), item.if_open, _of("if_open", ("skip", "interrupt")))),
        )),
        ("enroll", pick("chain_id", t("triggers.chain"), item.chain_id, [choose, *_of_choices(state.chains)])),
        ("leave", pick("chain_id", t("triggers.chain"), item.chain_id, _of_choices(state.chains, t("triggers.all_chains")))),
        ("change_contact", chosen(
            words("name", t("triggers.field_name"), item.name), words("text", t("triggers.field_value"), item.text),
            words("add_tags", t("triggers.add_tags"), item.add_tags), words("remove_tags", t("triggers.remove_tags"), item.remove_tags),
        )),
        ("notify", chosen(pick("member_id", t("triggers.member"), item.member_id, _of_choices(state.members, t("triggers.everybody"))), note)),
        ("send_webhook", chosen(
            pick("subscription_id", t("triggers.subscription"), item.subscription_id, [choose, *_of_choices(state.subscriptions)]), note,
        )),
        rx.fragment(),
    )  # fmt: skip
    return rx.el.div(
        rx.el.div(
            rx.select.root(
                rx.select.trigger(aria_label=t("triggers.action"), flex="1 1 auto"),
                rx.select.content(*_of("do", ACTIONS)),
                value=item.do,
                on_change=lambda do: state.put_action(place, "do", do),
            ),
            _drop(t("triggers.drop_action"), state.drop_action(place)),
            style={"display": "flex", "gap": "8px", "align_items": "center"},
        ),
        rx.el.div(details, style={"display": "flex", "flex_wrap": "wrap", "gap": "8px"}),
        style={"display": "grid", "gap": "8px", "padding": "10px", "border": "1px solid var(--gray-5)", "border_radius": "10px",
               "margin_bottom": "8px"},
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
                rx.select.content(*_of("period", tuple(PERIOD_HOURS))),
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
