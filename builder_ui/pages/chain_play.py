"""Playing a chain before it goes live: for whom and from when, what would happen, answering as the contact, skipping ahead."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import empty, field
from builder_ui.i18n import t, t_of
from builder_ui.pages.chain_play_state import CALL_ENDS, SOMEBODY, ChainPlayer, PlayItem
from builder_ui.pages.chain_state import ChainPage
from builder_ui.pages.chain_words import kind_icon

HERE = ChainPlayer


def play() -> rx.Component:
    """The part of the page."""
    return rx.cond(
        ChainPage.may_edit,
        rx.cond(
            ChainPage.steps.length() > 0,
            rx.el.section(
                rx.el.h2(t("chains.play")),
                rx.el.p(t("chains.play_lead"), class_name="ps-hint"),
                rx.cond(HERE.is_begun, _running(), _setup()),
                class_name="ps-card",
            ),
            empty("play", t("chains.no_steps_title"), t("chains.no_steps_text"), level="h3"),
        ),
        empty("lock", t("chains.play_locked_title"), t("chains.play_locked_text"), level="h3"),
    )


def _setup() -> rx.Component:
    return rx.fragment(
        rx.flex(
            rx.button(
                rx.icon("user-round-pen", size=14), t("chains.play_somebody"), size="1",
                variant=rx.cond(HERE.whom == SOMEBODY, "solid", "soft"), on_click=HERE.choose(SOMEBODY),
                custom_attrs={"aria-pressed": HERE.whom == SOMEBODY},
            ),
            rx.text_field(
                placeholder=t("chains.find_contact"), aria_label=t("chains.find_contact"), type="search", size="1",
                on_change=HERE.search.debounce(250), style={"width": "180px"},
            ),
            rx.foreach(
                HERE.known,
                lambda c: rx.button(
                    c.name, size="1", variant=rx.cond(HERE.whom == c.id, "solid", "soft"),
                    color_scheme=rx.cond(HERE.whom == c.id, "iris", "gray"), on_click=HERE.choose(c.id),
                    custom_attrs={"aria-pressed": HERE.whom == c.id},
                ),
            ),
            spacing="2", wrap="wrap", align="center", margin="14px 0",
        ),
        rx.cond(
            HERE.refused != "",
            rx.callout.root(
                rx.callout.icon(rx.icon("circle-alert", size=16)),
                rx.callout.text(t_of(HERE.refused, "chains.not_enrolled_", otherwise=HERE.refused)),
                color_scheme="red", size="1", margin_bottom="12px",
            ),
        ),
        rx.form(
            rx.el.div(
                rx.cond(
                    HERE.whom == SOMEBODY,
                    rx.fragment(
                        _line("name", "chains.play_name", "Marta"),
                        _line("phone", "chains.play_phone", "+380 67 123 45 67"),
                        _line("time_zone", "chains.play_zone", "Europe/Kyiv"),
                    ),
                ),
                field(
                    t("chains.play_starts"),
                    rx.text_field(id="play-starts", name="starts", type="datetime-local", default_value=HERE.starts, required=True),
                    field_id="play-starts",
                    hint=t("chains.play_starts_hint"),
                ),
                rx.cond(
                    HERE.has_calls,
                    field(
                        t("chains.play_calls"),
                        rx.select.root(
                            rx.select.trigger(id="play-calls", aria_label=t("chains.play_calls"), width="100%"),
                            rx.select.content(*[rx.select.item(t(f"chains.play_call_{e}"), value=e) for e in CALL_ENDS]),
                            name="call_ends",
                            default_value=HERE.call_ends,
                        ),
                        field_id="play-calls",
                    ),
                ),
                class_name="ps-play-form",
            ),
            rx.flex(
                rx.button(
                    rx.icon("play", size=15), t("chains.play_begin"), type="submit", loading=HERE.is_playing,
                    data_testid="play-chain",
                ),
                margin_top="16px",
            ),
            key=HERE.starts,
            on_submit=HERE.begin,
        ),
    )  # fmt: skip


def _line(name: str, label: str, example: str) -> rx.Component:
    return field(
        t(label), rx.text_field(id=f"play-{name}", name=name, placeholder=example, max_length=200), field_id=f"play-{name}"
    )  # fmt: skip


def _running() -> rx.Component:
    goes_on = HERE.state == "active"

    def skip(how: str, label: str, icon: str) -> rx.Component:
        return rx.button(
            rx.icon(icon, size=15), t(label), variant="soft", disabled=~goes_on | HERE.is_playing,
            on_click=HERE.go_on(how), data_testid=f"play-{how or 'end'}",
        )  # fmt: skip

    return rx.fragment(
        rx.flex(
            rx.el.span(
                rx.el.b(rx.cond(HERE.whom_name != "", HERE.whom_name, t("chains.play_somebody"))), " · ", HERE.zone,
                class_name="ps-sub",
            ),
            rx.button(
                rx.icon("rotate-ccw", size=14), t("chains.play_restart"), size="1", variant="ghost", color_scheme="gray",
                on_click=HERE.restart, data_testid="play-restart",
            ),
            justify="between", align="center", wrap="wrap", gap="8px", margin="12px 0 4px",
        ),
        rx.el.div(rx.foreach(HERE.items, _item), class_name="ps-agenda", role="log", data_testid="play-log"),
        rx.el.p(
            rx.cond(
                goes_on,
                rx.cond(HERE.next_at != "", t("chains.play_next", at=HERE.next_at), ""),
                rx.cond(HERE.state == "done", t("chains.play_done"), t("chains.play_over")),
            ),
            class_name="ps-hint ps-num",
            aria_live="polite",
        ),
        rx.flex(
            skip("next", "chains.play_skip_next", "skip-forward"),
            skip("day", "chains.play_skip_day", "sunrise"),
            skip("", "chains.play_skip_end", "fast-forward"),
            spacing="2", wrap="wrap", margin="12px 0",
        ),
        rx.cond(
            goes_on,
            rx.form(
                rx.flex(
                    rx.text_field(
                        name="answer", placeholder=t("chains.play_answer"), aria_label=t("chains.play_answer"), required=True,
                        max_length=4000, style={"flex": "1 1 220px"},
                    ),
                    rx.button(
                        rx.icon("reply", size=15), t("chains.play_send"), type="submit", variant="soft", color_scheme="gray",
                        loading=HERE.is_playing, data_testid="play-answer",
                    ),
                    spacing="2", wrap="wrap",
                ),
                on_submit=HERE.answer,
                reset_on_submit=True,
            ),
        ),
    )  # fmt: skip


def _item(one: rx.Var[PlayItem]) -> rx.Component:
    sign = rx.match(
        one.what,
        ("answered", rx.el.span(rx.icon("reply", size=14), class_name="ps-tile", custom_attrs={"aria-hidden": "true"})),
        (
            "enrolled",
            rx.el.span(rx.icon("log-in", size=14), class_name="ps-tile", custom_attrs={"aria-hidden": "true"}),
        ),
        ("finished", rx.el.span(rx.icon("flag", size=14), class_name="ps-tile", custom_attrs={"aria-hidden": "true"})),
        (
            "stopped",
            rx.el.span(rx.icon("octagon-x", size=14), class_name="ps-tile", custom_attrs={"aria-hidden": "true"}),
        ),
        kind_icon(one.kind, 14),
    )
    return rx.fragment(
        rx.cond(one.is_new_day, rx.el.h3(When.create(iso=one.day, kind="date"))),
        rx.el.div(
            rx.el.span(one.time, class_name="ps-num", style={"min_width": "44px", "font_weight": 500}),
            sign,
            rx.el.span(
                t_of(one.what, "chains.play_did_"),
                rx.cond(one.step > 0, rx.fragment(" · ", t("chains.step_n", number=one.step), " ", t_of(one.kind, "chains.do_"))),
                rx.cond(one.channel != "", rx.fragment(" (", one.channel, ")")),
                rx.cond(one.reason != "", rx.fragment(": ", t_of(one.reason, "chains.why_", otherwise=one.reason))),
                rx.cond(one.until != "", rx.fragment(" → ", one.until)),
                rx.cond(one.text != "", rx.el.div(one.text, class_name="ps-play-text", custom_attrs={"data-side": one.what})),
                style={"overflow_wrap": "anywhere", "flex": "1 1 auto", "min_width": 0},
            ),
            class_name="ps-agenda-line",
            style={"align_items": "start"},
        ),
    )  # fmt: skip
