"""Conversations: a live list, and the transcript with the step beside each message."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import FollowEnd, MessageFile, When
from builder_ui.components.parts import confirm, empty, head, search_box, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t, t_of
from builder_ui.pages.answer_sources import source_chips, source_dialog
from builder_ui.pages.conversations_state import ALL, STATES, Talks
from builder_ui.rows import ConversationItem
from builder_ui.transcript import CallItem, MessageItem


def conversations_page() -> rx.Component:
    """The list and one transcript side by side; on a narrow screen one at a time."""
    return page(
        rx.box(
            head(t("talks.title"), t("talks.lead")),
            rx.cond(
                Talks.is_loaded,
                rx.fragment(
                    _tools(),
                    rx.cond(
                        Talks.rows.length() > 0,
                        rx.el.div(_list(), _transcript(), class_name="ps-split", data_open=Talks.chosen.id != ""),
                        _nothing(),
                    ),
                ),
                skeleton(6),
            ),
            _end_dialog(),
            source_dialog(),
            on_unmount=Talks.leave,
        ),
        title=t("talks.title"),
        place="conversations",
    )


def _tools() -> rx.Component:
    return rx.el.div(
        search_box(t("talks.search"), Talks.search, Talks.find),
        rx.select.root(
            rx.select.trigger(aria_label=t("talks.filter_agent")),
            rx.select.content(
                rx.select.item(t("talks.all_agents"), value=ALL),
                rx.foreach(Talks.agents, lambda a: rx.select.item(a.name, value=a.id)),
            ),
            value=Talks.agent,
            on_change=Talks.choose_agent,
        ),
        rx.select.root(
            rx.select.trigger(aria_label=t("talks.filter_state")),
            rx.select.content(
                rx.select.item(t("talks.all_states"), value=ALL),
                *[rx.select.item(t(f"talks.status_{s}"), value=s) for s in STATES],
            ),
            value=Talks.status,
            on_change=Talks.choose_status,
        ),
        rx.el.label(
            rx.switch(checked=Talks.is_test, on_change=Talks.show_tests, size="1", aria_label=t("talks.tests")),
            t("talks.tests"),
            class_name="ps-check",
        ),
        class_name="ps-tools",
    )


def _nothing() -> rx.Component:
    is_narrowed = (Talks.search != "") | (Talks.agent != ALL) | (Talks.status != ALL) | Talks.is_test
    return rx.cond(
        is_narrowed,
        empty("search-x", t("talks.nothing_title"), t("talks.nothing_text")),
        empty(
            "messages-square",
            t("talks.empty_title"),
            t("talks.empty_text"),
            rx.link(rx.button(t("missing.home"), tab_index=-1), href="/"),
        ),
    )


def _list() -> rx.Component:
    return rx.el.section(
        rx.el.div(rx.foreach(Talks.rows, _row), class_name="ps-list", role="list"),
        rx.cond(
            Talks.has_more,
            rx.button(t("common.show_more"), variant="soft", margin_top="12px", on_click=Talks.show_more),
        ),
        class_name="ps-talks",
        aria_label=t("talks.title"),
    )


def _name(talk: rx.Var[ConversationItem]) -> rx.Var[str]:
    return rx.cond(talk.who != "", talk.who, t("talks.somebody")).to(str)


def _row(talk: rx.Var[ConversationItem]) -> rx.Component:
    return rx.el.div(
        rx.el.button(
            _name(talk),
            type="button",
            class_name="ps-talk ps-truncate",
            on_click=Talks.open(talk.id),
            custom_attrs={"aria-current": rx.cond(Talks.chosen.id == talk.id, "true", "false")},
        ),
        rx.el.div(When.create(iso=talk.updated_at), class_name="ps-sub"),
        rx.el.div(
            rx.cond(talk.preview != "", talk.preview, t("talks.no_words")),
            class_name="ps-cell ps-truncate",
            style={"grid_column": "1 / -1"},
        ),
        rx.flex(
            rx.el.span(class_name="ps-dot", data_kind=talk.status, custom_attrs={"aria-hidden": "true"}),
            rx.el.span(t_of(talk.status, "talks.status_")),
            rx.el.span("·"),
            rx.el.span(t_of(talk.channel, "talks.channel_", otherwise=talk.channel)),
            rx.el.span("·"),
            rx.el.span(talk.agent, class_name="ps-truncate"),
            class_name="ps-sub",
            style={"grid_column": "1 / -1", "min_width": 0},
            spacing="2",
            align="center",
        ),
        class_name="ps-row",
        data_link="true",
        data_chosen=Talks.chosen.id == talk.id,
        role="listitem",
        key=talk.id,
    )


def _transcript() -> rx.Component:
    return rx.el.section(
        rx.cond(
            Talks.chosen.id != "",
            rx.fragment(_transcript_head(), rx.foreach(Talks.calls, _call), _messages()),
            rx.center(rx.el.p(t("talks.choose"), class_name="ps-hint"), height="100%"),
        ),
        class_name="ps-transcript",
        aria_label=t("talks.transcript"),
    )


def _transcript_head() -> rx.Component:
    talk = Talks.chosen
    return rx.el.header(
        rx.icon_button(
            rx.icon("arrow-left", size=18),
            variant="ghost",
            color_scheme="gray",
            aria_label=t("common.back"),
            class_name="ps-only-narrow",
            on_click=Talks.close,
        ),
        rx.el.div(
            rx.heading(_name(talk), as_="h2", size="3", class_name="ps-truncate"),
            rx.el.div(
                talk.agent, " · ",
                rx.cond(Talks.version > 0, t("talks.version", n=Talks.version), t("talks.draft")), " · ",
                t_of(talk.channel, "talks.channel_", otherwise=talk.channel),
                class_name="ps-sub",
            ),
            class_name="ps-transcript-words",
        ),
        rx.badge(
            t_of(talk.status, "talks.status_"),
            rx.cond(talk.waits != "", ", " + t_of(talk.waits, "talks.waits_"), ""),
            color_scheme=rx.match(talk.status, ("open", "green"), ("quarantined", "red"), "gray"),
        ),
        rx.cond(
            (talk.status == "open") & (talk.channel != "phone") & (talk.channel != "test") & (Talks.me.role != "viewer"),
            rx.link(rx.button(t("talks.take"), size="1", variant="soft", tab_index=-1), href="/inbox?id=" + talk.id),
        ),
        rx.cond(
            talk.status == "open",
            rx.button(
                t("talks.end"), variant="soft", color_scheme="gray", size="1", on_click=Talks.ask_end(True)
            ),
        ),
        class_name="ps-transcript-head",
    )  # fmt: skip


def _call(call: rx.Var[CallItem]) -> rx.Component:
    return rx.el.div(
        rx.icon("phone", size=14, aria_hidden="true"),
        rx.el.span(
            rx.cond(call.from_number != "", call.from_number, t("phone.hidden_number")),
            rx.cond(call.did != "", " → " + call.did, ""),
            class_name="ps-num",
        ),
        rx.cond(
            call.talked != "", rx.el.span(t("talks.call_talked", time=call.talked)), rx.el.span(t_of(call.state, "phone.state_"))
        ),
        rx.cond(call.transfer != "", rx.el.span(t_of(call.transfer, "talks.transfer_", otherwise=call.transfer))),
        rx.cond(
            call.sound != "",
            rx.fragment(
                rx.el.audio(src=call.sound, controls=True, preload="none", aria_label=t("talks.call_sound")),
                rx.link(t("talks.call_save"), href=call.sound + "?save=true", download=True, underline="hover"),
            ),
        ),
        class_name="ps-call",
        key=call.id,
    )  # fmt: skip


def _messages() -> rx.Component:
    return FollowEnd.create(
        rx.el.div(
            _line(t("talks.began")),
            rx.foreach(Talks.messages, line_of),
            rx.cond(Talks.chosen.status == "ended", _line(t("talks.over"))),
            class_name="ps-chat",
        ),
        mark=Talks.chosen.id + Talks.messages.length().to_string(),
        label=t("talks.transcript"),
    )


def _line(text: rx.Var[str]) -> rx.Component:
    return rx.el.div(rx.el.span(text), class_name="ps-line")


def line_of(message: rx.Var[MessageItem]) -> rx.Component:
    return rx.match(
        message.side,
        (
            "system",
            rx.cond(
                message.event != "", _line(t_of(message.event, "talks.person_", name=message.by)), _line(message.text)
            ),
        ),
        ("failed", _line(t("talks.failed", reason=message.text))),
        bubble(message),
    )


def bubble(message: rx.Var[MessageItem]) -> rx.Component:
    return rx.el.div(
        rx.cond(message.text != "", rx.el.div(message.text, class_name="ps-bubble")),
        rx.foreach(message.files, lambda file: MessageFile.create(file=file)),
        rx.cond(
            message.options.length() > 0,
            rx.el.div(
                rx.foreach(message.options, lambda label: rx.el.span(label, class_name="ps-option")),
                class_name="ps-options",
            ),
        ),
        source_chips(message.sources),
        rx.el.div(
            rx.cond(
                message.step_path != "",
                rx.link(
                    rx.icon("workflow", size=12),
                    message.step,
                    href=message.step_path,
                    class_name="ps-step",
                    underline="hover",
                    aria_label=t("talks.step", name=message.step),
                ),
                rx.cond(message.step != "", rx.el.span(message.step)),
            ),
            rx.cond(message.by != "", rx.el.span(message.by)),
            rx.match(
                message.sending,
                ("pending", rx.el.span(rx.icon("clock", size=12), t("talks.sending"), class_name="ps-sending")),
                ("sending", rx.el.span(rx.icon("clock", size=12), t("talks.sending"), class_name="ps-sending")),
                ("sent", rx.el.span(rx.icon("check", size=12), t("talks.sent"), class_name="ps-sending")),
                rx.fragment(),
            ),
            rx.cond(message.approval != "", _approval(message)),
            rx.cond(message.heard == "file", rx.badge(t("talks.from_speech"), color_scheme="gray", size="1")),
            rx.cond(message.heard == "digits", rx.badge(t("talks.keys"), color_scheme="gray", size="1")),
            rx.cond(
                message.cut != "",
                rx.badge(t_of(message.cut, "talks.cut_"), color_scheme="amber", high_contrast=True, size="1"),
            ),
            rx.cond(message.latency_ms > 0, _waterfall(message)),
            rx.cond(
                message.is_twice,
                rx.badge(
                    t("talks.twice"), color_scheme="amber", high_contrast=True, size="1", title=t("talks.twice_why")
                ),
            ),
            rx.cond(
                message.undelivered != "",
                rx.badge(
                    t_of(message.undelivered, "talks.undelivered_", otherwise=t("talks.undelivered")),
                    color_scheme="red",
                    size="1",
                ),
            ),
            When.create(iso=message.created_at, kind="time"),
            class_name="ps-under",
        ),
        class_name="ps-message",
        data_side=message.side,
        data_approval=message.approval,
        key=message.key,
    )


def _approval(message: rx.Var[MessageItem]) -> rx.Component:
    """What became of a message that somebody approves; both versions where something else was sent."""
    words = rx.cond(
        (message.approved_by != "") & ((message.approval == "withdrawn") | (message.approval == "rejected")),
        t_of(message.approval, "approval.by_", who=message.approved_by),
        t_of(message.approval, "approval.was_", who=message.approved_by),
    )
    by_somebody = (message.approval == "sent") | (message.approval == "edited") | (message.approval == "replaced")
    shown = rx.cond(by_somebody & (message.approved_by == ""), t("approval.was_sent_by_time"), words)
    return rx.cond(
        message.original != "",
        rx.el.details(
            rx.el.summary(shown),
            rx.el.div(rx.el.b(t("approval.original")), rx.el.span(message.original), class_name="ps-original"),
            class_name="ps-approved",
        ),
        rx.el.span(shown, class_name="ps-approved"),
    )


def _waterfall(message: rx.Var[MessageItem]) -> rx.Component:
    """Where the time went between the caller's last word and the agent's first: each stretch with its name and length."""
    return rx.el.details(
        rx.el.summary(t("talks.latency", ms=message.latency_ms), title=t("talks.latency_why"), class_name="ps-num"),
        rx.el.div(
            rx.foreach(
                message.stages,
                lambda stage: rx.fragment(
                    rx.el.span(t_of(stage.key, "talks.stage_")),
                    rx.el.span(
                        rx.el.i(style={"left": f"{stage.left}%", "width": f"{stage.width}%"}, data_kind=stage.key),
                        class_name="ps-fall-track",
                        custom_attrs={"aria-hidden": "true"},
                    ),
                    rx.el.span(t("talks.latency", ms=stage.ms), class_name="ps-num"),
                ),
            ),
            class_name="ps-fall",
            role="group",
            aria_label=t("talks.latency_why"),
        ),
        class_name="ps-fall-box",
    )


def _end_dialog() -> rx.Component:
    return confirm(
        is_open=Talks.is_ending,
        title=t("talks.end_title"),
        text=rx.el.p(t("talks.end_text"), style={"margin": 0}),
        do=t("talks.end"),
        on_do=Talks.end,
        on_close=Talks.ask_end,
    )
