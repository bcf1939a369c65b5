"""Calls over all agents and lines: what goes on now, how the others ended, and their recordings."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import confirm, empty, head, search_box, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t, t_of
from builder_ui.pages.calls_state import ALL, CHOICES, Calls, LineOfAll, LoggedCallItem


def calls_page() -> rx.Component:
    """Lines above, calls below."""
    live = rx.cond(
        Calls.live > 0, rx.badge(rx.icon("phone-call", size=13), t("calls.live_n", n=Calls.live), color_scheme="green", size="2", high_contrast=True)
    )  # fmt: skip
    return page(
        rx.box(
            head(t("calls.title"), t("calls.lead"), live),
            rx.cond(
                Calls.is_loaded,
                rx.cond(
                    (Calls.lines.length() > 0) | (Calls.rows.length() > 0),
                    rx.fragment(_lines(), _tools(), _list()),
                    empty(
                        "phone", t("calls.no_lines_title"), t("calls.no_lines_text"),
                        rx.link(rx.button(t("calls.to_agents"), tab_index=-1), href="/"),
                    ),
                ),
                skeleton(6),
            ),
            confirm(
                is_open=Calls.doomed_id != "",
                title=t("calls.delete_title"),
                text=rx.el.p(t("calls.delete_text"), style={"margin": 0}),
                do=t("calls.delete_do"),
                on_do=Calls.delete,
                on_close=Calls.keep,
            ),
            on_unmount=Calls.leave,
        ),
        title=t("calls.title"),
        place="calls",
    )  # fmt: skip


def _lines() -> rx.Component:
    return rx.el.section(
        rx.heading(t("calls.lines"), as_="h2", size="3", margin_bottom="8px"),
        rx.el.div(rx.foreach(Calls.lines, _line), class_name="ps-list", role="list"),
        style={"margin_bottom": "24px"},
        aria_label=t("calls.lines"),
    )


def _line(line: rx.Var[LineOfAll]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.flex(
                rx.link(_name(line.name), href=line.path, class_name="ps-cover ps-truncate", underline="none"),
                rx.cond(~line.is_on, rx.badge(t("calls.line_off"), color_scheme="gray")),
                spacing="2",
                align="center",
                min_width="0",
            ),
            rx.el.div(
                line.agent,
                rx.cond(line.numbers != "", rx.fragment(" · ", rx.el.span(line.numbers, class_name="ps-num"))),
                " · ",
                rx.cond(line.can_call, t("calls.in_and_out"), t("calls.only_in")),
                class_name="ps-sub ps-truncate",
            ),
            style={"min_width": 0, "display": "grid", "gap": "3px"},
        ),
        rx.el.div(
            rx.el.div(t("calls.now_of", n=line.live, most=line.most_calls), class_name="ps-num"),
            rx.el.div(t("calls.today_n", n=line.today), class_name="ps-sub ps-num"),
            style={"text_align": "right", "font_size": "13px"},
        ),
        class_name="ps-row ps-row-two",
        data_link="true",
        role="listitem",
        key=line.id,
    )


def _name(name: rx.Var[str]) -> rx.Var[str]:
    return rx.cond(name != "", name, t("phone.unnamed")).to(str)


def _tools() -> rx.Component:
    return rx.el.div(
        search_box(t("calls.search"), Calls.number, Calls.find),
        rx.select.root(
            rx.select.trigger(aria_label=t("calls.filter_kind")),
            rx.select.content(*[rx.select.item(t(f"calls.kind_{kind}"), value=kind) for kind in CHOICES]),
            value=Calls.kind,
            on_change=Calls.choose_kind,
        ),
        rx.select.root(
            rx.select.trigger(aria_label=t("talks.filter_agent")),
            rx.select.content(
                rx.select.item(t("talks.all_agents"), value=ALL),
                rx.foreach(Calls.agents, lambda a: rx.select.item(a.name, value=a.id)),
            ),
            value=Calls.agent,
            on_change=Calls.choose_agent,
        ),
        rx.select.root(
            rx.select.trigger(aria_label=t("calls.filter_line")),
            rx.select.content(
                rx.select.item(t("calls.all_lines"), value=ALL),
                rx.foreach(
                    Calls.lines, lambda line: rx.select.item(line.agent + ": " + _name(line.name), value=line.id)
                ),
            ),
            value=Calls.line,
            on_change=Calls.choose_line,
        ),
        class_name="ps-tools",
    )


def _list() -> rx.Component:
    is_narrowed = (Calls.number != "") | (Calls.agent != ALL) | (Calls.line != ALL) | (Calls.kind != ALL)
    return rx.cond(
        Calls.rows.length() > 0,
        rx.fragment(
            rx.el.div(rx.foreach(Calls.rows, _call), class_name="ps-list", role="list", aria_label=t("calls.title")),
            rx.cond(
                Calls.has_more,
                rx.button(t("common.show_more"), variant="soft", margin_top="12px", on_click=Calls.show_more),
            ),
        ),
        rx.cond(
            is_narrowed,
            empty("search-x", t("calls.nothing_title"), t("calls.nothing_text")),
            empty("phone-incoming", t("calls.empty_title"), t("calls.empty_text")),
        ),
    )


def _outcome(call: rx.Var[LoggedCallItem]) -> rx.Component:
    color = rx.match(
        call.outcome,
        ("ringing", "amber"), ("talking", "green"), ("moving", "green"), ("talked", "gray"), ("transferred", "blue"),
        "red",
    )  # fmt: skip
    return rx.badge(
        t_of(call.outcome, "calls.outcome_", otherwise=call.outcome), color_scheme=color, high_contrast=True
    )


def _call(call: rx.Var[LoggedCallItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.flex(
                rx.cond(
                    call.is_out,
                    rx.icon("phone-outgoing", size=15, aria_label=t("calls.kind_out")),
                    rx.icon("phone-incoming", size=15, aria_label=t("calls.kind_in")),
                ),
                rx.el.span(
                    rx.cond(call.number != "", call.number, t("phone.hidden_number")),
                    class_name="ps-num ps-truncate",
                    style={"font_weight": 600},
                ),
                _outcome(call),
                spacing="2",
                align="center",
                min_width="0",
                wrap="wrap",
            ),
            rx.el.div(
                call.agent, " · ", _name(call.line),
                rx.cond(call.own_number != "", rx.el.span(" · ", call.own_number, class_name="ps-num")),
                rx.cond(call.transfer_to != "", rx.fragment(" · ", t("calls.moved_to", whom=call.transfer_to))),
                class_name="ps-sub ps-truncate",
            ),
            style={"min_width": 0, "display": "grid", "gap": "3px"},
        ),
        rx.flex(
            rx.el.span(
                When.create(iso=call.started_at),
                rx.cond(call.talked != "", rx.fragment(" · ", t("calls.talked", time=call.talked))),
                rx.cond(call.since != "", rx.fragment(" · ", t("calls.since"), " ", When.create(iso=call.since, kind="time"))),
                class_name="ps-sub ps-num",
            ),
            rx.cond(
                call.sound != "",
                rx.button(
                    rx.icon("volume-2", size=14), t("calls.listen"), variant="soft", color_scheme="gray", size="1",
                    on_click=Calls.hear(call.id),
                    custom_attrs={"aria-expanded": rx.cond(Calls.heard_id == call.id, "true", "false")},
                ),
            ),
            rx.cond(
                call.talk_path != "",
                rx.link(t("calls.transcript"), href=call.talk_path, size="2", underline="hover"),
            ),
            spacing="3",
            align="center",
            wrap="wrap",
        ),
        rx.cond((Calls.heard_id == call.id) & (call.sound != ""), _player(call)),
        class_name="ps-row ps-row-two ps-row-line",
        role="listitem",
        key=call.id,
    )  # fmt: skip


def _player(call: rx.Var[LoggedCallItem]) -> rx.Component:
    return rx.flex(
        rx.el.audio(
            src=call.sound, controls=True, preload="metadata", aria_label=t("talks.call_sound"),
            style={"height": "36px", "flex": "1 1 240px", "max_width": "520px"},
        ),
        rx.link(t("talks.call_save"), href=call.sound + "?save=true", download=True, underline="hover", size="2"),
        rx.button(
            rx.icon("trash-2", size=14), t("calls.delete"), variant="soft", color_scheme="red", size="1",
            on_click=Calls.ask_delete(call.id), data_testid="delete-recording",
        ),
        spacing="3",
        align="center",
        wrap="wrap",
        style={"grid_column": "1 / -1"},
    )  # fmt: skip
