"""Who is in a chain and what was done to them, putting people in, what is ahead, and how the steps went."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import empty, field, search_box
from builder_ui.i18n import t, t_of
from builder_ui.pages.chain_people_state import ALL, ChainPeople
from builder_ui.pages.chain_rows import AheadItem, DayChip, DayItem, FigureItem, LineItem, PersonItem
from builder_ui.pages.chain_words import kind_icon
from graph_runtime.services.chains import STATES

COLORS = {"active": "green", "paused": "amber", "done": "gray", "stopped": "gray", "failed": "red"}
ACTS = ("pause", "resume", "skip", "move", "stop")


def people() -> rx.Component:
    """The list with what can be done to one or to several."""
    return rx.fragment(
        rx.el.div(
            search_box(t("chains.search"), ChainPeople.search, ChainPeople.find),
            rx.select.root(
                rx.select.trigger(aria_label=t("chains.filter")),
                rx.select.content(
                    rx.select.item(t("chains.all_states"), value=ALL),
                    *[rx.select.item(t(f"chains.person_{s}"), value=s) for s in STATES],
                ),
                value=ChainPeople.filter,
                on_change=ChainPeople.choose_state,
            ),
            class_name="ps-tools",
        ),
        rx.cond(
            ChainPeople.chosen_count > 0,
            rx.flex(
                rx.text(t("chains.chosen_n", n=ChainPeople.chosen_count), size="2"),
                *[
                    rx.button(t(f"chains.act_{a}"), size="1", variant="soft", color_scheme="red" if a == "stop" else "gray",
                              on_click=ChainPeople.act(a, ""))
                    for a in ACTS
                ],
                spacing="2", align="center", wrap="wrap", margin_bottom="12px",
            ),
        ),
        rx.cond(
            ChainPeople.people.length() > 0,
            rx.el.div(rx.foreach(ChainPeople.people, _person), class_name="ps-list", role="list"),
            empty("users", t("chains.nobody_title"), t("chains.nobody_text"), level="h3"),
        ),
        rx.cond(
            ChainPeople.has_more,
            rx.flex(
                rx.button(t("common.show_more"), variant="soft", color_scheme="gray", on_click=ChainPeople.more),
                justify="center", margin_top="12px",
            ),
        ),
    )  # fmt: skip


def _person(one: rx.Var[PersonItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.flex(
                rx.cond(
                    ChainPeople.may_write,
                    rx.checkbox(
                        checked=one.is_chosen, on_change=lambda v: ChainPeople.choose(one.id, v), aria_label=one.name,
                        disabled=~one.goes_on & (one.state != "failed"),
                    ),
                ),
                rx.el.button(one.name, type="button", class_name="ps-chain-what ps-truncate", on_click=ChainPeople.open(one.id)),
                rx.badge(
                    t_of(one.state, "chains.person_"), high_contrast=True,
                    color_scheme=rx.match(one.state, *list(COLORS.items()), "gray"),
                ),
                rx.cond(one.reason != "", rx.el.span(t_of(one.reason, "chains.why_", otherwise=one.reason), class_name="ps-sub")),
                spacing="2", align="center", wrap="wrap",
            ),
            rx.el.div(
                rx.cond(one.about != "", rx.fragment(one.about, " · "), rx.fragment()),
                rx.cond(
                    one.step > 0,
                    rx.fragment(t("chains.step_n", number=one.step), " ", t_of(one.step_kind, "chains.do_"), " "),
                    rx.fragment(),
                ),
                rx.cond(one.due_at != "", rx.fragment(When.create(iso=one.due_at), " · "), rx.fragment()),
                rx.cond(one.note != "", rx.fragment(t_of(one.note, "chains.why_", otherwise=one.note), " · "), rx.fragment()),
                t("chains.entered"), " ", When.create(iso=one.enrolled_at),
                class_name="ps-sub ps-num",
            ),
            rx.cond(
                ChainPeople.opened.id == one.id,
                rx.el.ul(rx.foreach(ChainPeople.lines, _line), class_name="ps-chain-log"),
            ),
            style={"min_width": 0, "display": "grid", "gap": "4px"},
        ),
        rx.cond(
            ChainPeople.may_write & (one.goes_on | (one.state == "failed")),
            rx.dropdown_menu.root(
                rx.dropdown_menu.trigger(
                    rx.icon_button(
                        rx.icon("ellipsis", size=16), variant="ghost", color_scheme="gray",
                        aria_label=t("chains.acts_of", name=one.name),
                    )
                ),
                rx.dropdown_menu.content(
                    *[
                        rx.dropdown_menu.item(
                            t(f"chains.act_{a}"), on_select=ChainPeople.act(a, one.id), color="red" if a == "stop" else None
                        )
                        for a in ACTS
                    ],
                    align="end",
                ),
            ),
        ),
        class_name="ps-row ps-row-two", role="listitem", key=one.id,
    )  # fmt: skip


def _line(line: rx.Var[LineItem]) -> rx.Component:
    return rx.el.li(
        When.create(iso=line.at, kind="exact"), " — ",
        t_of(line.what, "chains.line_"),
        rx.cond(
            line.step > 0, rx.fragment(" · ", t("chains.step_n", number=line.step), " ", t_of(line.kind, "chains.do_")),
            rx.fragment(),
        ),
        rx.cond(line.reason != "", rx.fragment(": ", t_of(line.reason, "chains.why_", otherwise=line.reason)), rx.fragment()),
        rx.cond(line.until != "", rx.fragment(" → ", When.create(iso=line.until, kind="exact")), rx.fragment()),
        rx.cond(line.path != "", rx.fragment(" · ", rx.link(t("chains.open_talk"), href=line.path)), rx.fragment()),
    )  # fmt: skip


def enroll_dialog() -> rx.Component:
    """One contact, a segment, or a pasted list."""
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("chains.enroll"), size="5"),
            rx.dialog.description(t("chains.enroll_lead"), class_name="ps-hint", style={"margin": "0 0 16px"}),
            rx.tabs.root(
                rx.tabs.list(
                    rx.tabs.trigger(t("chains.enroll_one"), value="one"),
                    rx.tabs.trigger(t("chains.enroll_segment"), value="segment"),
                    rx.tabs.trigger(t("chains.enroll_list"), value="list"),
                    class_name="ps-tabs",
                ),
                rx.tabs.content(_one_contact(), value="one", padding_top="14px"),
                rx.tabs.content(_segment(), value="segment", padding_top="14px"),
                rx.tabs.content(_listed(), value="list", padding_top="14px"),
                default_value="one",
            ),
            max_width="520px",
        ),
        open=ChainPeople.is_enrolling,
        on_open_change=ChainPeople.ask_enroll,
    )


def _one_contact() -> rx.Component:
    return rx.fragment(
        rx.text_field(
            placeholder=t("chains.find_contact"), aria_label=t("chains.find_contact"),
            on_change=ChainPeople.look_up.debounce(250), type="search",
        ),
        rx.cond(
            ChainPeople.found.length() > 0,
            rx.el.div(
                rx.foreach(
                    ChainPeople.found,
                    lambda c: rx.el.div(
                        rx.el.span(c.name, class_name="ps-truncate"),
                        rx.button(t("chains.put_in"), size="1", variant="soft", on_click=ChainPeople.enroll(c.id)),
                        class_name="ps-row ps-row-two", role="listitem", key=c.id,
                    ),
                ),
                class_name="ps-list", role="list", style={"margin_top": "12px"},
            ),
            rx.el.p(t("chains.no_contacts"), class_name="ps-hint"),
        ),
    )  # fmt: skip


def _segment() -> rx.Component:
    return rx.cond(
        ChainPeople.segments.length() > 0,
        rx.el.div(
            rx.foreach(
                ChainPeople.segments,
                lambda s: rx.el.div(
                    rx.el.span(s.name, class_name="ps-truncate"),
                    rx.button(
                        t("chains.put_all_in"), size="1", variant="soft", loading=ChainPeople.is_busy,
                        on_click=ChainPeople.enroll_segment(s.id),
                    ),
                    class_name="ps-row ps-row-two", role="listitem", key=s.id,
                ),
            ),
            class_name="ps-list", role="list",
        ),
        rx.el.p(t("chains.no_segments"), class_name="ps-hint"),
    )  # fmt: skip


def _listed() -> rx.Component:
    return rx.form(
        field(
            t("chains.listed"),
            rx.text_area(id="listed", name="listed", rows="6", placeholder="+380 67 123 45 67\nanna@example.com"),
            field_id="listed",
            hint=t("chains.listed_hint"),
        ),
        rx.flex(rx.button(t("chains.put_all_in"), type="submit"), justify="end", margin_top="12px"),
        on_submit=ChainPeople.enroll_listed,
    )


def schedule() -> rx.Component:
    """What a sample contact would get, and what everybody inside gets in the next thirty days."""
    return rx.fragment(
        rx.el.section(
            rx.el.h2(t("chains.sample")),
            rx.el.p(
                rx.cond(
                    ChainPeople.sample_name == "", t("chains.sample_anybody"), t("chains.sample_of", name=ChainPeople.sample_name)
                ),
                class_name="ps-hint",
            ),
            rx.flex(
                rx.text_field(
                    placeholder=t("chains.find_contact"), aria_label=t("chains.find_contact"), type="search",
                    on_change=ChainPeople.look_up.debounce(250), style={"max_width": "280px"},
                ),
                rx.foreach(
                    ChainPeople.found[:4],
                    lambda c: rx.button(c.name, size="1", variant="soft", color_scheme="gray", on_click=ChainPeople.try_with(c.id)),
                ),
                spacing="2", wrap="wrap", margin="10px 0",
            ),
            rx.cond(
                ChainPeople.sample.length() > 0,
                rx.el.div(rx.foreach(ChainPeople.sample, _ahead), class_name="ps-agenda"),
                rx.el.p(t("chains.no_steps_text"), class_name="ps-hint"),
            ),
            class_name="ps-card",
        ),
        _month(),
        rx.el.section(
            rx.el.h2(t("chains.ahead")),
            rx.cond(
                ChainPeople.ahead.length() > 0,
                rx.el.div(rx.foreach(ChainPeople.ahead, _ahead), class_name="ps-agenda", style={"margin_top": "10px"}),
                rx.el.p(t("chains.nothing_ahead"), class_name="ps-hint"),
            ),
            class_name="ps-card",
            style={"margin_top": "16px"},
        ),
    )  # fmt: skip


def _month() -> rx.Component:
    """How many people get which step on which day."""

    def turn(icon: str, label: str, by: int) -> rx.Component:
        return rx.icon_button(
            rx.icon(icon, size=16), variant="soft", color_scheme="gray", aria_label=t(label), on_click=ChainPeople.turn_month(by),
            data_testid=f"month-{'next' if by > 0 else 'before'}",
        )  # fmt: skip

    return rx.el.section(
        rx.flex(
            rx.el.h2(t("chains.month"), style={"flex": "1 1 auto"}),
            turn("chevron-left", "chains.month_before", -1),
            rx.el.span(When.create(iso=ChainPeople.month, kind="month"), class_name="ps-month-name"),
            turn("chevron-right", "chains.month_after", 1),
            align="center",
            spacing="2",
        ),
        rx.el.p(t("chains.month_hint"), class_name="ps-hint"),
        rx.el.div(
            *[
                rx.el.span(When.create(iso=f"2024-01-0{n}T12:00:00", kind="weekday"), class_name="ps-month-day-name")
                for n in range(1, 8)
            ],
            rx.foreach(ChainPeople.days, _day),
            class_name="ps-month",
            data_testid="month",
        ),
        class_name="ps-card",
        style={"margin_top": "16px"},
    )


def _day(day: rx.Var[DayItem]) -> rx.Component:
    def chip(one: rx.Var[DayChip]) -> rx.Component:
        return rx.el.span(
            kind_icon(one.kind, 12), rx.el.span(one.count, class_name="ps-num"), class_name="ps-month-chip",
            title=rx.cond(one.step > 0, t("chains.step_n", number=one.step) + " · " + t_of(one.kind, "chains.do_"),
                          t_of(one.kind, "chains.do_")),
        )  # fmt: skip

    return rx.cond(
        day.number == 0,
        rx.el.span(),
        rx.el.div(
            rx.el.span(day.number, class_name="ps-month-number"),
            rx.foreach(day.chips, chip),
            class_name="ps-month-day",
            custom_attrs={"data-today": day.is_today, "data-busy": day.total > 0, "data-date": day.iso},
        ),
    )


def _ahead(one: rx.Var[AheadItem]) -> rx.Component:
    return rx.fragment(
        rx.cond(
            one.is_new_day,
            rx.el.h3(rx.cond(one.day == "", t("chains.skipped"), When.create(iso=one.day, kind="date"))),
        ),
        rx.el.div(
            rx.el.span(one.time, class_name="ps-num", title=one.zone, style={"min_width": "44px", "font_weight": 500}),
            kind_icon(one.kind, 14),
            rx.el.span(
                rx.cond(one.name != "", rx.fragment(rx.el.b(one.name), " · "), rx.fragment()),
                t("chains.step_n", number=one.step), " ", t_of(one.kind, "chains.do_"),
                rx.cond(one.text != "", rx.fragment(" — ", one.text), rx.fragment()),
                rx.cond(
                    one.reason != "",
                    rx.el.span(" · ", t_of(one.reason, "chains.why_", otherwise=one.reason), style={"color": "var(--amber-11)"}),
                ),
                style={"overflow_wrap": "anywhere", "flex": "1 1 auto"},
            ),
            rx.el.span(one.zone, class_name="ps-sub"),
            class_name="ps-agenda-line",
        ),
    )  # fmt: skip


def figures() -> rx.Component:
    """How the steps went, as a table."""
    columns = ("done", "delivered", "replied", "stopped", "skipped", "failed")
    return rx.cond(
        ChainPeople.figures.length() > 0,
        rx.el.div(
            rx.table.root(
                rx.table.header(
                    rx.table.row(
                        rx.table.column_header_cell(t("chains.step")),
                        *[rx.table.column_header_cell(t(f"chains.figure_{c}"), justify="end") for c in columns],
                    )
                ),
                rx.table.body(rx.foreach(ChainPeople.figures, _figure)),
                size="1",
                variant="surface",
            ),
            rx.el.p(t("chains.figures_hint"), class_name="ps-hint"),
            style={"overflow_x": "auto"},
        ),
        empty("chart-no-axes-column", t("chains.no_figures_title"), t("chains.no_figures_text"), level="h3"),
    )


def _figure(one: rx.Var[FigureItem]) -> rx.Component:
    def number(value: rx.Var[int]) -> rx.Component:
        return rx.table.cell(value, justify="end", class_name="ps-num")

    return rx.table.row(
        rx.table.row_header_cell(
            t("chains.step_n", number=one.step), " ", t_of(one.kind, "chains.do_"),
            rx.cond(one.wording != "", rx.fragment(" · ", one.wording.upper()), rx.fragment()),
            rx.cond(one.text != "", rx.el.div(one.text, class_name="ps-sub")),
        ),
        number(one.done), number(one.delivered),
        rx.table.cell(
            one.replied, rx.cond(one.done > 0, rx.el.span(" (", one.rate, " %)", class_name="ps-sub")), justify="end",
            class_name="ps-num",
        ),
        number(one.stopped), number(one.skipped), number(one.failed),
    )  # fmt: skip
