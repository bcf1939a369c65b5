"""One event subscription: how it goes, what it is told, and the log of what was sent."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import CodeBlock, When
from builder_ui.components.parts import confirm, empty, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t, t_of
from builder_ui.pages.event_form import form_dialog, fresh_secret
from builder_ui.pages.event_page_state import SECRET_FIELD, SINCE_HOURS, DeliveryItem, EventPage
from builder_ui.pages.events import state_badge

FILTERS = ("all", "sent", "pending", "failed")


def event_page() -> rx.Component:
    """A subscription with its log."""
    return page(
        rx.link(
            rx.icon("arrow-left", size=14), t("events.back"), href="/events", size="2", color_scheme="gray",
            class_name="ps-back",
        ),
        rx.cond(
            EventPage.is_missing,
            empty("webhook", t("missing.title"), t("error.not_found"), level="h1"),
            rx.cond(
                EventPage.is_loaded,
                rx.fragment(
                    _head(),
                    fresh_secret(SECRET_FIELD, EventPage.is_fresh_shown, EventPage.forget),
                    _notice(),
                    _about(),
                    _log(),
                ),
                skeleton(),
            ),
        ),
        form_dialog(EventPage, t("events.edit")),
        _delivery_dialog(),
        _since_dialog(),
        confirm(
            is_open=EventPage.is_doomed,
            title=t("events.delete_title", name=EventPage.item.name),
            text=rx.el.p(t("events.delete_text"), style={"margin": 0}),
            do=t("events.delete_do"),
            on_do=EventPage.delete,
            on_close=EventPage.keep,
        ),
        title=rx.cond(EventPage.item.name != "", EventPage.item.name, t("events.title")),
        place="events",
        width="narrow",
    )  # fmt: skip


def _head() -> rx.Component:
    return rx.el.header(
        rx.el.div(
            rx.flex(
                rx.heading(EventPage.item.name, as_="h1", size="6", trim="start", class_name="ps-truncate"),
                state_badge(EventPage.item),
                spacing="3", align="center", min_width="0",
            ),
            rx.el.div(EventPage.item.url, class_name="ps-sub ps-mono", style={"overflow_wrap": "anywhere", "margin_top": "4px"}),
            class_name="ps-head-words",
        ),
        rx.flex(
            rx.switch(
                checked=EventPage.item.is_on,
                on_change=EventPage.switch,
                aria_label=t("events.switch", name=EventPage.item.name),
            ),
            rx.button(
                rx.icon("send", size=15), t("events.test"), variant="soft", on_click=EventPage.send_test,
                disabled=~EventPage.item.is_on, data_testid="test-event",
            ),
            rx.dropdown_menu.root(
                rx.dropdown_menu.trigger(
                    rx.icon_button(
                        rx.icon("ellipsis", size=16), variant="soft", color_scheme="gray", aria_label=t("common.more"),
                        data_testid="event-more",
                    )
                ),
                rx.dropdown_menu.content(
                    rx.dropdown_menu.item(t("events.edit"), on_select=EventPage.begin),
                    rx.dropdown_menu.item(t("webhook.renew"), on_select=EventPage.renew),
                    rx.dropdown_menu.separator(),
                    rx.dropdown_menu.item(t("common.delete"), color="red", on_select=EventPage.ask_delete),
                    align="end",
                ),
            ),
            spacing="3",
            align="center",
            wrap="wrap",
        ),
        class_name="ps-head",
    )  # fmt: skip


def _notice() -> rx.Component:
    """What somebody has to know or do about it."""

    def callout(icon: str, color: str, text: rx.Var[str]) -> rx.Component:
        return rx.callout.root(
            rx.callout.icon(rx.icon(icon, size=16)),
            rx.callout.text(text, " ", When.create(iso=EventPage.item.state_at)),
            color_scheme=color,
            high_contrast=True,
            size="1",
            margin_bottom="16px",
            role="status",
        )

    return rx.fragment(
        rx.match(
            EventPage.item.state,
            ("off_failing", callout("circle-x", "red", t("events.notice_off_failing"))),
            ("off_gone", callout("circle-x", "red", t("events.notice_off_gone"))),
            ("failing", callout("triangle-alert", "amber", t("events.notice_failing"))),
            ("paused", callout("pause", "amber", t("events.notice_paused"))),
            rx.fragment(),
        ),
        rx.cond(
            EventPage.item.previous_until != "",
            rx.el.p(
                t("events.previous_until"), " ", When.create(iso=EventPage.item.previous_until),
                class_name="ps-hint", style={"margin": "0 0 12px"},
            ),
        ),
    )  # fmt: skip


def _about() -> rx.Component:
    return rx.el.section(
        rx.el.h2(t("events.told")),
        rx.flex(
            rx.foreach(
                EventPage.item.types,
                lambda kind: rx.badge(
                    t_of(kind, "events.type_", otherwise=kind), color_scheme="gray", variant="surface"
                ),
            ),
            spacing="1",
            wrap="wrap",
            margin_top="10px",
        ),
        rx.el.p(
            rx.cond(
                EventPage.agents.length() > 0,
                rx.fragment(t("events.about_agents"), " ", EventPage.agents.join(", ")),
                t("events.all_agents"),
            ),
            class_name="ps-sub",
            style={"margin": "10px 0 0"},
        ),
        class_name="ps-card",
        style={"margin_bottom": "20px"},
    )


def _log() -> rx.Component:
    return rx.el.section(
        rx.el.div(
            rx.el.h2(t("events.log"), class_name="ps-card-title", style={"flex": "1 1 auto"}),
            rx.select.root(
                rx.select.trigger(aria_label=t("events.filter")),
                rx.select.content(*[rx.select.item(t(f"events.filter_{f}"), value=f) for f in FILTERS]),
                value=EventPage.filter,
                on_change=EventPage.choose,
            ),
            rx.cond(
                EventPage.item.failed > 0,
                rx.button(
                    t("events.replay_failed"), variant="soft", color_scheme="gray", on_click=EventPage.ask_since(True),
                    disabled=~EventPage.item.is_on, data_testid="replay-failed",
                ),
            ),
            rx.icon_button(
                rx.icon("refresh-cw", size=15), variant="soft", color_scheme="gray", aria_label=t("events.refresh"),
                on_click=EventPage.refresh, loading=EventPage.is_testing,
            ),
            class_name="ps-tools",
        ),
        rx.cond(
            EventPage.log.length() > 0,
            rx.el.div(rx.foreach(EventPage.log, _delivery), class_name="ps-list", role="list"),
            empty("inbox", t("events.log_empty_title"), t("events.log_empty_text"), level="h3"),
        ),
        rx.cond(
            EventPage.has_more,
            rx.flex(
                rx.button(t("common.show_more"), variant="soft", color_scheme="gray", on_click=EventPage.more),
                justify="center",
                margin_top="12px",
            ),
        ),
    )  # fmt: skip


def _delivery_badge(delivery: rx.Var[DeliveryItem]) -> rx.Component:
    def badge(icon: str, color: str) -> rx.Component:
        return rx.badge(
            rx.icon(icon, size=12, custom_attrs={"aria-hidden": "true"}),
            t_of(delivery.state, "events.filter_", otherwise=delivery.state),
            color_scheme=color,
            high_contrast=True,
        )

    return rx.match(
        delivery.state,
        ("sent", badge("check", "green")),
        ("failed", badge("circle-x", "red")),
        ("held", badge("pause", "amber")),
        rx.cond(delivery.attempts > 0, badge("rotate-cw", "amber"), badge("clock", "gray")),
    )


def _why(delivery: rx.Var[DeliveryItem]) -> rx.Var[str]:
    return t_of(delivery.reason, "events.reason_", otherwise=delivery.error)


def _delivery(delivery: rx.Var[DeliveryItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.button(
                t_of(delivery.type, "events.type_", otherwise=delivery.type),
                on_click=EventPage.open(delivery.id),
                class_name="ps-talk",
                type="button",
            ),
            rx.el.div(
                When.create(iso=delivery.at),
                rx.cond(delivery.attempts > 0, rx.fragment(" · ", t("letters.attempts", n=delivery.attempts))),
                rx.cond(delivery.status != "", rx.fragment(" · ", t("events.status", status=delivery.status))),
                rx.cond(
                    delivery.next_at != "",
                    rx.fragment(" · ", t("events.next"), " ", When.create(iso=delivery.next_at, kind="time")),
                ),
                class_name="ps-sub ps-num",
            ),
            rx.cond(
                (delivery.reason != "") & (delivery.state != "sent"),
                rx.el.div(_why(delivery), class_name="ps-hint"),
            ),
            style={"min_width": 0},
        ),
        _delivery_badge(delivery),
        class_name="ps-row ps-row-two",
        role="listitem",
        data_link="true",
        key=delivery.id,
    )


def _delivery_dialog() -> rx.Component:
    opened = EventPage.opened
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t_of(opened.type, "events.type_", otherwise=opened.type), size="5"),
            rx.dialog.description(
                _delivery_badge(opened), " ", When.create(iso=opened.at, kind="exact"), as_="div",
                style={"margin_bottom": "14px", "font_size": "13px"},
            ),
            rx.el.dl(
                _fact(t("events.key"), rx.el.code(opened.key, class_name="ps-mono")),
                _fact(t("events.attempts"), opened.attempts.to(str)),
                rx.cond(opened.status != "", _fact(t("events.answered"), t("events.answer_ms", status=opened.status, ms=opened.ms))),
                rx.cond((opened.reason != "") & (opened.state != "sent"), _fact(t("events.problem"), _why(opened))),
                rx.cond(opened.next_at != "", _fact(t("events.next_attempt"), When.create(iso=opened.next_at, kind="exact"))),
                class_name="ps-facts",
            ),
            rx.el.h3(t("events.body"), class_name="ps-label", style={"margin": "14px 0 6px"}),
            CodeBlock.create(code=opened.payload, label=t("events.body")),
            rx.cond(
                opened.answer != "",
                rx.fragment(
                    rx.el.h3(t("events.answer_body"), class_name="ps-label", style={"margin": "14px 0 6px"}),
                    CodeBlock.create(code=opened.answer, label=t("events.answer_body")),
                ),
            ),
            rx.flex(
                rx.cond(
                    opened.conversation_path != "",
                    rx.button(
                        t("letters.open"), variant="soft", color_scheme="gray",
                        on_click=rx.redirect(opened.conversation_path),
                    ),
                ),
                rx.button(
                    t("events.send_again"), on_click=EventPage.replay(opened.id), disabled=~EventPage.item.is_on,
                    data_testid="replay-event",
                ),
                rx.dialog.close(rx.button(t("common.close"), variant="soft", color_scheme="gray")),
                spacing="3",
                justify="end",
                wrap="wrap",
                margin_top="20px",
            ),
            max_width="640px",
        ),
        open=opened.id != "",
        on_open_change=EventPage.close,
    )  # fmt: skip


def _fact(name: rx.Var[str], value: rx.Component | rx.Var[str]) -> rx.Component:
    return rx.el.div(rx.el.dt(name), rx.el.dd(value))


def _since_dialog() -> rx.Component:
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("events.since_title"), size="4"),
            rx.dialog.description(t("events.since_text"), class_name="ps-lead", style={"font_size": "14px"}),
            rx.flex(
                *[
                    rx.button(t(f"events.since_{hours}"), variant="soft", on_click=EventPage.replay_failed(hours))
                    for hours in SINCE_HOURS
                ],
                direction="column",
                spacing="2",
                margin_top="16px",
            ),
            rx.flex(
                rx.dialog.close(rx.button(t("common.cancel"), variant="soft", color_scheme="gray")),
                justify="end",
                margin_top="16px",
            ),
            max_width="400px",
        ),
        open=EventPage.is_asking_since,
        on_open_change=EventPage.ask_since,
    )
