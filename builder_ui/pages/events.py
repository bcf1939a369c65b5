"""Who is told what happens: the list of event subscriptions."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import empty, head, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t, t_of
from builder_ui.pages.event_form import form_dialog, fresh_secret
from builder_ui.pages.events_state import FRESH_FIELD, Events, SubscriptionItem


def events_page() -> rx.Component:
    """The list of subscriptions."""
    subscribe = rx.button(rx.icon("plus", size=16), t("events.add"), on_click=Events.begin, data_testid="add-events")
    return page(
        head(t("events.title"), t("events.lead"), rx.cond(Events.may_manage, subscribe)),
        fresh_secret(FRESH_FIELD, Events.is_fresh_shown, Events.forget),
        rx.cond(
            Events.is_loaded,
            rx.cond(
                Events.may_manage,
                rx.cond(
                    Events.subscriptions.length() > 0,
                    rx.el.div(rx.foreach(Events.subscriptions, _subscription), class_name="ps-list", role="list"),
                    empty(
                        "webhook",
                        t("events.empty_title"),
                        t("events.empty_text"),
                        rx.button(rx.icon("plus", size=16), t("events.add"), on_click=Events.begin),
                    ),
                ),
                empty("lock", t("events.denied_title"), t("events.denied_text")),
            ),
            skeleton(2),
        ),
        form_dialog(Events, t("events.add")),
        title=t("events.title"),
        place="events",
        width="narrow",
    )


def state_badge(item: rx.Var[SubscriptionItem]) -> rx.Component:
    """How it goes, in a word and a sign; never by colour alone."""

    def badge(icon: str, color: str) -> rx.Component:
        return rx.badge(
            rx.icon(icon, size=12, custom_attrs={"aria-hidden": "true"}),
            t_of(item.state, "events.state_", otherwise=item.state),
            color_scheme=color,
            high_contrast=True,
        )

    return rx.match(
        item.state,
        ("works", badge("check", "green")),
        ("waits", badge("clock", "gray")),
        ("paused", badge("pause", "amber")),
        ("failing", badge("triangle-alert", "amber")),
        ("off_member", badge("power-off", "gray")),
        badge("circle-x", "red"),
    )


def _subscription(item: rx.Var[SubscriptionItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.flex(
                rx.link(item.name, href=item.path, class_name="ps-cover ps-truncate", underline="none"),
                state_badge(item),
                spacing="2",
                align="center",
                min_width="0",
            ),
            rx.el.div(item.url, class_name="ps-sub ps-mono ps-truncate"),
            rx.el.div(
                t("events.types_n", n=item.types.length()),
                " · ",
                t("events.sent_n", n=item.sent),
                rx.cond(item.waiting > 0, rx.fragment(" · ", t("events.waiting_n", n=item.waiting))),
                rx.cond(
                    item.failed > 0,
                    rx.fragment(
                        " · ", rx.el.span(t("events.failed_n", n=item.failed), style={"color": "var(--red-11)"})
                    ),
                ),
                rx.cond(item.state_at != "", rx.fragment(" · ", When.create(iso=item.state_at))),
                class_name="ps-sub ps-num",
            ),
            style={"min_width": 0, "display": "grid", "gap": "3px"},
        ),
        rx.el.div(
            rx.switch(
                checked=item.is_on,
                on_change=lambda is_on: Events.switch(item.id, is_on),
                aria_label=t("events.switch", name=item.name),
            ),
            class_name="ps-above",
        ),
        class_name="ps-row ps-row-two",
        role="listitem",
        data_link="true",
        key=item.id,
    )
