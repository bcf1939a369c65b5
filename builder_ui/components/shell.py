"""The frame of every page: navigation, title, notices, and the gate pages without navigation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import reflex as rx

from builder_ui.browser import InboxBadge, LanguageChoice, PageSetup, sign_out
from builder_ui.i18n import t
from builder_ui.session import Session


@dataclass(frozen=True)
class Place:
    """An entry of the navigation."""

    key: str
    icon: str
    path: str


GROUPS: Final = (
    (Place("agents", "bot", "/"), Place("knowledge", "book-open", "/knowledge")),
    (
        Place("inbox", "inbox", "/inbox"),
        Place("conversations", "messages-square", "/conversations"),
        Place("calls", "phone", "/calls"),
        Place("contacts", "contact", "/contacts"),
        Place("follow_ups", "calendar-clock", "/follow-ups"),
    ),
    (
        Place("models", "brain", "/models"),
        Place("connections", "cable", "/connections"),
        Place("events", "webhook", "/events"),
        Place("letters", "mail-warning", "/undelivered"),
        Place("work", "gauge", "/work"),
        Place("api_keys", "key-round", "/api-keys"),
        Place("settings", "settings", "/settings"),
    ),
)
"""What is built, the people it talks to, and what it all stands on."""
PLACES: Final = tuple(place for group in GROUPS for place in group)


def page(*content: rx.Component, title: rx.Var[str], place: str, width: str = "wide") -> rx.Component:
    """A page inside the navigation; `place` is the key of the current entry, `width` is wide, narrow or full."""
    return rx.fragment(
        PageSetup.create(title=title, member=Session.me, notice=Session.notice),
        rx.el.a(t("nav.skip"), href="#content", class_name="ps-skip"),
        rx.el.div(
            _navigation(place),
            _top_bar(),
            rx.el.main(rx.el.div(*content, class_name="ps-page", data_width=width), id="content", class_name="ps-main"),
            class_name="ps-shell",
        ),
    )


def gate(*content: rx.Component, title: rx.Var[str], lead: rx.Var[str]) -> rx.Component:
    """A page for people who are not signed in."""
    return rx.fragment(
        PageSetup.create(title=title, notice=Session.notice),
        rx.el.div(
            rx.el.header(brand(), LanguageChoice.create(), class_name="ps-gate-top"),
            rx.el.main(
                rx.heading(title, as_="h1", size="6", align="center", trim="start"),
                rx.el.p(lead, class_name="ps-lead", style={"text_align": "center", "margin": "8px 0 22px"}),
                rx.el.div(*content, class_name="ps-gate-panel"),
                class_name="ps-gate-card",
            ),
            rx.el.footer(),
            class_name="ps-gate",
        ),
    )


def brand() -> rx.Component:
    """The mark (a cord between two sockets) and the name; leads home."""
    mark = rx.el.svg(
        rx.el.svg.rect(width="24", height="24", rx="7", fill="var(--accent-9)"),
        rx.el.svg.path(
            d="M7 8.2v3.1a3.2 3.2 0 0 0 3.2 3.2h3.6a3.2 3.2 0 0 1 3.2 3.2",
            stroke="#fff", stroke_width="2", fill="none", stroke_linecap="round",
        ),
        rx.el.svg.circle(cx="7", cy="7", r="2.3", fill="#fff"),
        rx.el.svg.circle(cx="17", cy="17", r="2.3", fill="#fff"),
        width="24", height="24", view_box="0 0 24 24", custom_attrs={"aria-hidden": "true"},
    )  # fmt: skip
    return rx.link(
        mark, rx.el.span("Patchcord", class_name="ps-brand-name"),
        href="/", class_name="ps-brand", underline="none", high_contrast=True, size="3",
    )  # fmt: skip


def _navigation(current: str) -> rx.Component:
    return rx.el.nav(
        brand(),
        *[
            rx.el.div(*[_entry(p, is_current=p.key == current) for p in group], class_name="ps-nav-group")
            for group in GROUPS
        ],
        rx.el.div(_account(), class_name="ps-nav-foot"),
        class_name="ps-nav",
        aria_label=t("nav.label"),
    )


def _entry(place: Place, *, is_current: bool) -> rx.Component:
    link = _link(place, is_current=is_current)
    # Who only looks on answers nobody.
    return rx.cond(Session.me.role != "viewer", link) if place.key in {"inbox", "work"} else link


def _link(place: Place, *, is_current: bool) -> rx.Component:
    return rx.link(
        rx.icon(place.icon, size=17, custom_attrs={"aria-hidden": "true"}),
        rx.el.span(t(f"nav.{place.key}"), class_name="ps-nav-label"),
        InboxBadge.create() if place.key == "inbox" else rx.fragment(),
        href=place.path,
        class_name="ps-nav-item",
        underline="none",
        title=t(f"nav.{place.key}"),
        custom_attrs={"aria-current": "page"} if is_current else {},
    )


def _account() -> rx.Component:
    return rx.dropdown_menu.root(
        rx.dropdown_menu.trigger(
            rx.el.button(
                rx.avatar(fallback=Session.me.name[:1], size="2", radius="full", variant="soft"),
                rx.el.span(
                    rx.el.span(
                        Session.me.name, class_name="ps-truncate", style={"font_weight": 500, "font_size": "13px"}
                    ),
                    rx.el.span(Session.me.workspace, class_name="ps-truncate ps-sub"),
                    class_name="ps-account-words",
                ),
                class_name="ps-account",
                aria_label=t("nav.account"),
                type="button",
            )
        ),
        rx.dropdown_menu.content(
            rx.dropdown_menu.item(rx.icon("settings", size=15), t("nav.settings"), on_select=rx.redirect("/settings")),
            rx.dropdown_menu.separator(),
            rx.dropdown_menu.item(rx.icon("log-out", size=15), t("nav.sign_out"), on_select=sign_out()),
            side="top",
            align="start",
        ),
    )


def _top_bar() -> rx.Component:
    """The navigation of a narrow screen."""
    return rx.el.header(
        brand(),
        rx.dropdown_menu.root(
            rx.dropdown_menu.trigger(
                rx.icon_button(rx.icon("menu", size=20), variant="ghost", color_scheme="gray", aria_label=t("nav.open"))
            ),
            rx.dropdown_menu.content(
                *[
                    rx.dropdown_menu.item(rx.icon(p.icon, size=16), t(f"nav.{p.key}"), on_select=rx.redirect(p.path))
                    for p in PLACES
                ],
                rx.dropdown_menu.separator(),
                rx.dropdown_menu.item(rx.icon("log-out", size=16), t("nav.sign_out"), on_select=sign_out()),
                size="2",
                align="end",
            ),
        ),
        class_name="ps-top",
    )
