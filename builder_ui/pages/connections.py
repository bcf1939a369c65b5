"""Connections: every credential of the workspace, how it is, who uses it, and how to mend it."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import confirm, empty, field, head, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t, t_of
from builder_ui.pages.connection_rows import LinkedItem
from builder_ui.pages.connections_state import Connections
from builder_ui.pages.who_may_use import who_may_use, who_may_use_item
from builder_ui.rows import ConnectorItem, FormItem


def connections_page() -> rx.Component:
    """Web services and customer systems that steps use."""
    return page(
        head(t("links.title"), t("links.lead"), rx.cond(Connections.may_manage, _add_button("add-link"), rx.fragment())),
        rx.cond(Connections.is_loaded, _list(), skeleton(3)),
        rx.el.p(t("links.who"), class_name="ps-hint"),
        rx.el.p(
            t("links.models_hint"), " ", rx.link(t("nav.models"), href="/models"), ".", class_name="ps-hint",
            style={"margin_top": "4px"},
        ),
        _form(),
        who_may_use(),
        confirm(
            is_open=Connections.doomed_id != "",
            title=t("links.delete_title", name=Connections.doomed_name),
            text=rx.cond(
                Connections.doomed_agents.length() > 0,
                rx.fragment(
                    rx.el.p(t("links.delete_text"), style={"margin": "0 0 8px"}),
                    rx.el.ul(
                        rx.foreach(Connections.doomed_agents, rx.el.li), style={"margin": 0, "padding_left": "20px"}
                    ),
                ),
                rx.el.p(t("links.delete_unused"), style={"margin": 0}),
            ),
            do=t("links.delete_do"),
            on_do=Connections.delete,
            on_close=Connections.keep,
        ),
        title=t("links.title"),
        place="connections",
        width="narrow",
    )  # fmt: skip


def _add_button(test_id: str) -> rx.Component:
    # Loading closes what an earlier visit left open; a dialog opened before that would close, too.
    return rx.button(
        rx.icon("plus", size=16), t("links.add"), on_click=Connections.begin_adding, disabled=~Connections.is_loaded,
        data_testid=test_id,
    )  # fmt: skip


def _list() -> rx.Component:
    return rx.cond(
        Connections.links.length() > 0,
        rx.el.section(
            rx.el.div(rx.foreach(Connections.links, _link), class_name="ps-list", role="list"),
            aria_label=t("links.list"),
            style={"margin_bottom": "16px"},
        ),
        rx.box(
            empty(
                "cable",
                t("links.empty_title"),
                t("links.empty_text"),
                rx.cond(Connections.may_manage, _add_button("add-first-link"), rx.fragment()),
            ),
            margin_bottom="16px",
        ),
    )


def _link(link: rx.Var[LinkedItem]) -> rx.Component:
    colors = (("works", "green"), ("fails", "red"), ("needs_reconnect", "red"), ("none", "amber"))
    facts = rx.el.div(
        link.connector_label,
        rx.cond(link.details != "", " · " + link.details, ""),
        class_name="ps-sub ps-truncate",
    )
    return rx.el.div(
        rx.el.div(
            rx.flex(
                rx.el.span(link.label, style={"font_weight": 600}, class_name="ps-truncate"),
                rx.badge(
                    t_of(link.state, "links.state_"),
                    color_scheme=rx.match(link.state, *colors, "gray"),
                    high_contrast=True,
                ),
                spacing="2",
                align="center",
            ),
            facts,
            rx.cond(
                (link.message != "") & ((link.state == "fails") | (link.state == "needs_reconnect")),
                rx.el.div(link.message, class_name="ps-sub", style={"color": "var(--red-11)"}),
            ),
            rx.el.div(
                rx.cond(link.used_by > 0, t("links.used_by", names=link.agents), t("links.unused")),
                rx.cond(
                    link.used_at != "", rx.fragment(" · ", t("links.last_used"), " ", When.create(iso=link.used_at))
                ),
                rx.cond(
                    (link.used_at == "") & (link.checked_at != ""),
                    rx.fragment(" · ", t("links.checked"), " ", When.create(iso=link.checked_at)),
                ),
                class_name="ps-sub",
            ),
            rx.cond(link.is_limited, rx.el.div(t("serving.only_for", names=link.only_for), class_name="ps-sub")),
            rx.cond(link.hears != "", _hears(link)),
            style={"min_width": 0},
        ),
        rx.cond(link.is_model, rx.link(t("links.managed"), href="/models", size="1"), _actions(link)),
        class_name="ps-row ps-row-two",
        role="listitem",
        key=link.id,
    )


def _hears(link: rx.Var[LinkedItem]) -> rx.Component:
    """Whether what people change there is heard, and what to do about it."""
    failed = link.hears == "failed"
    words = rx.match(
        link.hears,
        ("told", t("links.hears_told")),
        ("by_hand", t("links.hears_by_hand")),
        ("failed", link.hears_problem),
        t("links.hears_off"),
    )
    icon = rx.cond(
        failed,
        rx.icon("triangle-alert", size=14),
        rx.cond(link.hears == "off", rx.icon("ear-off", size=14), rx.icon("ear", size=14)),
    )
    return rx.el.div(
        rx.flex(
            rx.box(icon, style={"flex": "none", "padding_top": "2px"}, aria_hidden="true"),
            rx.el.span(
                words,
                rx.cond(link.heard_at != "", rx.fragment(" · ", t("links.heard"), " ", When.create(iso=link.heard_at))),
            ),
            rx.cond(
                Connections.may_manage & ((link.hears == "off") | failed) & (link.state != "none") & (link.state != "needs_reconnect"),
                rx.button(
                    t("links.listen"), variant="ghost", size="1", on_click=Connections.listen(link.id), data_testid="listen-link",
                    style={"flex": "none"},
                ),
            ),
            spacing="2",
            align="start",
        ),
        rx.cond(
            link.hook != "",
            rx.el.code(
                Connections.hook_base + link.hook, class_name="ps-mono", style={"overflow_wrap": "anywhere", "font_size": "12px"}
            ),
        ),
        class_name="ps-sub",
        style=rx.cond(failed, {"color": "var(--red-11)"}, {}),
        data_testid="link-hears",
    )  # fmt: skip


def _actions(link: rx.Var[LinkedItem]) -> rx.Component:
    waits = (link.state == "none") | (link.state == "needs_reconnect")
    connect = rx.button(
        rx.cond(link.state == "none", t("links.connect"), t("links.connect_again")),
        size="1",
        on_click=Connections.connect(link.id),
        data_testid="connect-link",
    )
    check = rx.button(
        t("links.check"), variant="soft", size="1", loading=Connections.checking_id == link.id,
        on_click=Connections.check(link.id),
    )  # fmt: skip
    menu = rx.dropdown_menu.root(
        rx.dropdown_menu.trigger(
            rx.icon_button(
                rx.icon("ellipsis", size=17), variant="ghost", color_scheme="gray", aria_label=t("common.more")
            )
        ),
        rx.dropdown_menu.content(
            rx.dropdown_menu.item(
                rx.icon("pencil", size=15), t("links.change"), on_select=Connections.begin_changing(link.id)
            ),
            who_may_use_item(link.id, "links"),
            rx.cond(
                link.signs_in & ~waits,
                rx.dropdown_menu.item(
                    rx.icon("rotate-cw", size=15), t("links.connect_again"), on_select=Connections.connect(link.id)
                ),
            ),
            rx.cond(
                (link.hears == "off") | (link.hears == "failed"),
                rx.dropdown_menu.item(
                    rx.icon("ear", size=15), t("links.listen"), disabled=waits, on_select=Connections.listen(link.id)
                ),
            ),
            rx.cond(
                (link.hears != "") & (link.hears != "off"),
                rx.dropdown_menu.item(
                    rx.icon("ear-off", size=15),
                    t("links.listen_no_more"),
                    on_select=Connections.listen_no_more(link.id),
                ),
            ),
            rx.dropdown_menu.separator(),
            rx.dropdown_menu.item(
                rx.icon("trash-2", size=15), t("links.delete"), color="red", on_select=Connections.ask_delete(link.id)
            ),
            align="end",
        ),
    )
    return rx.flex(
        rx.cond(waits & Connections.may_manage, connect, check),
        rx.cond(Connections.may_manage, menu, rx.fragment()),
        spacing="4",
        align="center",
    )


def _form() -> rx.Component:
    is_changing = Connections.changing_id != ""
    kinds = rx.el.div(
        rx.foreach(Connections.offers, _offer),
        class_name="ps-vendors",
        role="radiogroup",
        aria_label=t("links.what"),
    )
    redirect = rx.cond(
        Connections.redirect != "",
        rx.el.p(t("links.redirect"), " ", rx.el.code(Connections.redirect, class_name="ps-mono"), class_name="ps-hint"),
    )
    more = rx.el.details(
        rx.el.summary(t("common.more_options"), class_name="ps-more"),
        rx.el.div(
            rx.foreach(Connections.extra_fields, _field),
            class_name="ps-form",
            style={"max_width": "none", "margin_top": "12px"},
        ),
    )
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(
                rx.cond(is_changing, t("links.change_title", name=Connections.changing_name), t("links.add_title")),
                size="5",
                margin_bottom="12px",
            ),
            rx.cond(is_changing, rx.fragment(), kinds),
            rx.form(
                rx.el.div(
                    field(
                        t("links.label"),
                        rx.text_field(
                            id="link-label", name="label", max_length=80, auto_complete=False,
                            default_value=rx.cond(is_changing, Connections.changing_name, ""),
                        ),
                        field_id="link-label",
                        hint=t("links.label_hint"),
                    ),
                    rx.foreach(Connections.fields, _field),
                    redirect,
                    rx.cond(Connections.extra_fields.length() > 0, more, rx.fragment()),
                    class_name="ps-form",
                    style={"max_width": "none", "margin_top": "18px"},
                    key=Connections.offer + Connections.changing_id,
                ),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(t("links.save"), type="submit", loading=Connections.is_saving, data_testid="save-link"),
                    spacing="3",
                    justify="end",
                    margin_top="20px",
                ),
                on_submit=Connections.save,
            ),
            max_width="540px",
            aria_describedby=None,
        ),
        open=Connections.is_adding | is_changing,
        on_open_change=Connections.close_form,
    )  # fmt: skip


def _offer(offer: rx.Var[ConnectorItem]) -> rx.Component:
    return rx.el.button(
        rx.el.b(offer.label),
        rx.el.span(offer.summary),
        type="button",
        role="radio",
        class_name="ps-template",
        custom_attrs={"aria-checked": Connections.offer == offer.id},
        on_click=Connections.choose(offer.id),
        key=offer.id,
    )


def _field(item: rx.Var[FormItem]) -> rx.Component:
    common: dict[str, Any] = {
        "id": "link-" + item.key,
        "name": item.key,
        "placeholder": item.placeholder,
        "default_value": item.value,
        "required": item.is_required,
        "auto_complete": False,
        "max_length": 4000,
    }
    select = rx.el.select(
        rx.foreach(item.options, lambda o: rx.el.option(o[1], value=o[0])),
        id="link-" + item.key,
        name=item.key,
        default_value=item.value,
        on_change=lambda value: Connections.pick(item.key, value),
        class_name="ps-select",
    )
    switch = rx.el.label(
        rx.el.input(type="checkbox", name=item.key, id="link-" + item.key, default_checked=item.value == "on"),
        item.label,
        class_name="ps-check",
    )
    secret_hint = rx.cond(Connections.changing_id != "", t("links.secret_keep"), t("links.secret_hint"))
    return rx.el.div(
        rx.cond(item.kind == "switch", rx.fragment(), rx.el.label(item.label, html_for="link-" + item.key)),
        rx.match(
            item.kind,
            ("select", select),
            ("switch", switch),
            ("password", rx.text_field(type="password", **common)),
            rx.text_field(**common),
        ),
        rx.cond(item.help != "", rx.el.p(item.help, class_name="ps-hint", style={"margin": 0})),
        rx.cond(item.kind == "password", rx.el.p(secret_hint, class_name="ps-hint", style={"margin": 0})),
        class_name="ps-field",
        key=item.key,
    )
