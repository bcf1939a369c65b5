"""One trigger: what it does, its next times, where programs post to it, and the log of every occasion with the reason."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import CopyButton, SiteLink, When
from builder_ui.components.parts import confirm, empty, secret_once, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t, t_of
from builder_ui.pages.trigger_form import form_dialog
from builder_ui.pages.trigger_page_state import FILTERS, SECRET_FIELD, TriggerPage
from builder_ui.pages.trigger_rows import OccasionItem
from builder_ui.pages.trigger_when import next_times


def trigger_page() -> rx.Component:
    """A trigger with its log."""
    return page(
        rx.link(
            rx.icon("arrow-left", size=14), t("triggers.back"), href=TriggerPage.agent_path, size="2", color_scheme="gray",
            class_name="ps-back",
        ),
        rx.cond(
            TriggerPage.is_missing,
            empty("zap", t("missing.title"), t("error.not_found"), level="h1"),
            rx.cond(TriggerPage.is_loaded, rx.fragment(_head(), _about(), _address(), _log()), skeleton()),
        ),
        form_dialog(TriggerPage),
        _fire_dialog(),
        confirm(
            is_open=TriggerPage.is_doomed,
            title=t("triggers.delete_title", name=TriggerPage.item.name),
            text=rx.el.p(t("triggers.delete_text"), style={"margin": 0}),
            do=t("triggers.delete_do"),
            on_do=TriggerPage.delete,
            on_close=TriggerPage.keep,
        ),
        title=rx.cond(TriggerPage.item.name != "", TriggerPage.item.name, t("triggers.title")),
        place="agents",
        width="narrow",
    )  # fmt: skip


def _head() -> rx.Component:
    item = TriggerPage.item
    return rx.el.header(
        rx.el.div(
            rx.heading(item.name, as_="h1", size="6", trim="start", class_name="ps-truncate"),
            rx.el.p(item.sentence, class_name="ps-lead", style={"overflow_wrap": "anywhere"}),
            class_name="ps-head-words",
        ),
        rx.flex(
            rx.switch(
                checked=item.is_on, on_change=TriggerPage.switch, disabled=~TriggerPage.may_edit,
                aria_label=t("triggers.switch", name=item.name),
            ),
            rx.cond(
                TriggerPage.may_edit,
                rx.button(rx.icon("pencil", size=15), t("triggers.edit"), on_click=TriggerPage.begin, data_testid="edit-trigger"),
            ),
            rx.dropdown_menu.root(
                rx.dropdown_menu.trigger(
                    rx.icon_button(
                        rx.icon("ellipsis", size=16), variant="soft", color_scheme="gray", aria_label=t("common.more"),
                        data_testid="trigger-more",
                    )
                ),
                rx.dropdown_menu.content(
                    rx.dropdown_menu.item(
                        t("triggers.fire"), on_select=TriggerPage.ask_fire(True), disabled=~TriggerPage.may_fire
                    ),
                    rx.cond(
                        (item.hook_path != "") & TriggerPage.may_edit,
                        rx.dropdown_menu.item(t("webhook.renew"), on_select=TriggerPage.renew),
                    ),
                    rx.dropdown_menu.separator(),
                    rx.dropdown_menu.item(
                        t("common.delete"), color="red", on_select=TriggerPage.ask_delete, disabled=~TriggerPage.may_edit
                    ),
                    align="end",
                ),
            ),
            spacing="3", align="center", wrap="wrap",
        ),
        class_name="ps-head",
    )  # fmt: skip


def _about() -> rx.Component:
    item = TriggerPage.item
    return rx.fragment(
        rx.cond(
            item.problem != "",
            rx.callout.root(
                rx.callout.icon(rx.icon("triangle-alert", size=16)), rx.callout.text(item.problem), color_scheme="amber",
                high_contrast=True, size="1", margin_bottom="16px", role="status",
            ),
        ),
        rx.cond(
            TriggerPage.coming.length() > 0,
            rx.el.section(
                next_times(TriggerPage.coming, t("triggers.preview", zone=TriggerPage.zone)), class_name="ps-card",
                style={"margin_bottom": "16px"},
            ),
        ),
    )  # fmt: skip


def _address() -> rx.Component:
    item = TriggerPage.item
    return rx.cond(
        item.hook_path != "",
        rx.fragment(
            secret_once(
                SECRET_FIELD, title=rx.el.h2(t("triggers.fresh_title")), text=t("triggers.fresh_text"), label=t("triggers.secret"),
                is_shown=TriggerPage.is_fresh_shown, on_done=TriggerPage.forget,
            ),
            rx.el.section(
                rx.el.h2(t("triggers.address")),
                rx.el.p(t("triggers.address_hint"), class_name="ps-hint"),
                rx.flex(
                    SiteLink.create(path=item.hook_path),
                    CopyButton.create(text="{origin}" + item.hook_path, label=t("webhook.copy_path")),
                    spacing="2", align="center", wrap="wrap", margin_top="10px",
                ),
                rx.flex(
                    rx.cond(
                        TriggerPage.captures,
                        rx.fragment(
                            rx.spinner(size="2"), rx.el.span(t("triggers.capturing"), role="status"),
                            rx.button(t("common.cancel"), variant="soft", color_scheme="gray", size="1",
                                      on_click=TriggerPage.capture(False)),
                            rx.button(rx.icon("refresh-cw", size=14), t("triggers.look_again"), variant="soft", size="1",
                                      on_click=TriggerPage.refresh),
                        ),
                        rx.fragment(
                            rx.button(
                                rx.icon("radio", size=15), t("triggers.capture"), variant="soft", disabled=~TriggerPage.may_edit,
                                on_click=TriggerPage.capture(True), data_testid="capture",
                            ),
                            rx.cond(
                                TriggerPage.sample_at != "",
                                rx.el.span(t("triggers.sample_from"), " ", When.create(iso=TriggerPage.sample_at), class_name="ps-sub"),
                            ),
                        ),
                    ),
                    spacing="3", align="center", wrap="wrap", margin_top="14px",
                ),
                class_name="ps-card", style={"margin_bottom": "16px"},
            ),
        ),
    )  # fmt: skip


def _log() -> rx.Component:
    return rx.el.section(
        rx.el.div(
            rx.el.h2(t("triggers.log"), class_name="ps-card-title", style={"flex": "1 1 auto"}),
            rx.text_field(
                placeholder=t("triggers.log_search"), aria_label=t("triggers.log_search"), default_value=TriggerPage.search,
                on_change=TriggerPage.look_for.debounce(300), width="170px",
            ),
            rx.select.root(
                rx.select.trigger(aria_label=t("triggers.log_filter")),
                rx.select.content(*[rx.select.item(t(f"triggers.state_{f}"), value=f) for f in FILTERS]),
                value=TriggerPage.filter,
                on_change=TriggerPage.choose,
            ),
            rx.icon_button(
                rx.icon("refresh-cw", size=15), variant="soft", color_scheme="gray", aria_label=t("events.refresh"),
                on_click=TriggerPage.refresh,
            ),
            class_name="ps-tools",
        ),
        rx.cond(
            TriggerPage.log.length() > 0,
            rx.el.div(rx.foreach(TriggerPage.log, _occasion), class_name="ps-list", role="list", data_testid="trigger-log"),
            empty("history", t("triggers.log_empty_title"), t("triggers.log_empty_text"), level="h3"),
        ),
        rx.cond(
            TriggerPage.has_more,
            rx.flex(
                rx.button(t("common.show_more"), variant="soft", color_scheme="gray", on_click=TriggerPage.more),
                justify="center", margin_top="12px",
            ),
        ),
    )  # fmt: skip


def _state_badge(item: rx.Var[OccasionItem]) -> rx.Component:
    def badge(icon: str, color: str) -> rx.Component:
        return rx.badge(
            rx.icon(icon, size=12, custom_attrs={"aria-hidden": "true"}), t_of(item.state, "triggers.state_"),
            color_scheme=color, high_contrast=True,
        )  # fmt: skip

    return rx.match(
        item.state,
        ("fired", badge("check", "green")),
        ("failed", badge("circle-x", "red")),
        ("waiting", badge("clock", "gray")),
        badge("circle-slash", "amber"),
    )


def _occasion(item: rx.Var[OccasionItem]) -> rx.Component:
    who = rx.cond(
        item.is_for_all,
        t("triggers.for_all", fits=item.fits, looked=item.looked),
        rx.cond(item.contact != "", item.contact, t("triggers.for_nobody")),
    )
    return rx.el.div(
        rx.el.div(
            rx.el.div(
                rx.cond(
                    item.conversation_path != "", rx.link(who, href=item.conversation_path, class_name="ps-truncate"),
                    rx.el.span(who, style={"font_weight": 500}),
                ),
            ),
            rx.cond(item.reason != "", rx.el.div(t_of(item.reason, "triggers.reason_", otherwise=item.reason), class_name="ps-hint")),
            rx.foreach(item.did, lambda line: rx.el.div("• ", line, class_name="ps-sub")),
            rx.el.div(
                t_of(item.source, "triggers.source_", otherwise=item.source), " · ", When.create(iso=item.at),
                rx.cond(item.depth > 0, rx.fragment(" · ", t("triggers.depth_n", n=item.depth))),
                class_name="ps-sub ps-num",
            ),
            style={"min_width": 0, "display": "grid", "gap": "2px"},
        ),
        _state_badge(item),
        class_name="ps-row ps-row-two",
        role="listitem",
        key=item.id,
    )  # fmt: skip


def _fire_dialog() -> rx.Component:
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("triggers.fire"), size="4"),
            rx.dialog.description(t("triggers.fire_text"), class_name="ps-lead", style={"font_size": "14px"}),
            rx.form(
                rx.text_field(
                    name="contact", placeholder=t("triggers.trial_contact"), aria_label=t("triggers.trial_contact"), margin_top="14px",
                ),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(t("triggers.fire_do"), type="submit", data_testid="fire-trigger"),
                    spacing="3", justify="end", margin_top="16px",
                ),
                on_submit=TriggerPage.fire,
            ),
            max_width="420px",
        ),
        open=TriggerPage.is_firing,
        on_open_change=TriggerPage.ask_fire,
    )  # fmt: skip
