"""The Telegram bots on an agent's page: a list with how each is doing, and the way from a token to a working bot."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import card, confirm, field
from builder_ui.i18n import t, t_of
from builder_ui.pages.agent_telegram_state import BUTTONS, GROUPS, BotItem, TelegramBots


def telegram() -> rx.Component:
    """The section with everything about Telegram."""
    return rx.fragment(
        card(
            t("telegram.title"),
            rx.cond(
                TelegramBots.bots.length() > 0,
                rx.el.div(rx.foreach(TelegramBots.bots, _bot), class_name="ps-list", role="list"),
            ),
            rx.flex(
                rx.button(
                    rx.icon("send", size=15), t("telegram.connect"), variant="soft",
                    on_click=TelegramBots.set_adding(True), data_testid="add-telegram",
                ),
                rx.cond(
                    TelegramBots.bots.length() > 0,
                    rx.button(
                        rx.icon("refresh-cw", size=15), t("telegram.refresh"), variant="ghost", color_scheme="gray",
                        on_click=TelegramBots.refresh, data_testid="refresh-telegram",
                    ),
                ),
                margin_top="14px",
                spacing="4",
                align="center",
                wrap="wrap",
            ),
            hint=t("telegram.text"),
        ),
        _dialog(),
        _changing(),
        confirm(
            is_open=TelegramBots.doomed_id != "",
            title=t("telegram.disconnect_title", name=TelegramBots.doomed_name),
            text=rx.el.p(t("telegram.disconnect_text"), style={"margin": 0}),
            do=t("telegram.disconnect_do"),
            on_do=TelegramBots.disconnect,
            on_close=TelegramBots.keep,
        ),
    )  # fmt: skip


def _bot(bot: rx.Var[BotItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.flex(
                rx.el.span(bot.name, style={"font_weight": 600}, class_name="ps-truncate"),
                rx.el.span("@" + bot.username, class_name="ps-sub ps-truncate"),
                _state(bot),
                spacing="2",
                align="center",
                wrap="wrap",
                min_width="0",
            ),
            rx.cond(
                bot.is_troubled,
                rx.el.p(t_of(bot.error, "telegram.error_"), role="status", style={"margin": 0, "font_size": "13px"}),
                rx.el.div(t_of(bot.mode, "telegram.mode_"), class_name="ps-sub"),
            ),
            rx.el.div(
                rx.cond(
                    bot.last_event != "",
                    rx.fragment(t("telegram.last_event"), " ", When.create(iso=bot.last_event)),
                    t("telegram.no_event"),
                ),
                class_name="ps-sub",
            ),
            rx.flex(
                rx.link(
                    rx.button(
                        rx.icon("external-link", size=14), t("telegram.open"), size="1", variant="surface", tab_index=-1
                    ),
                    href=bot.link,
                    is_external=True,
                ),
                rx.cond(
                    bot.is_troubled,
                    rx.button(t("telegram.retry"), size="1", variant="soft", on_click=TelegramBots.retry(bot.id)),
                ),
                spacing="2",
                margin_top="4px",
                wrap="wrap",
            ),
            style={"min_width": 0, "display": "grid", "gap": "4px"},
        ),
        rx.flex(
            rx.switch(
                checked=bot.is_on,
                on_change=lambda is_on: TelegramBots.switch(bot.id, is_on),
                aria_label=t("telegram.switch", name=bot.name),
            ),
            rx.icon_button(
                rx.icon("settings-2", size=15),
                variant="ghost",
                color_scheme="gray",
                aria_label=t("telegram.change", name=bot.name),
                on_click=TelegramBots.begin_changing(bot.id),
            ),
            rx.icon_button(
                rx.icon("trash-2", size=15),
                variant="ghost",
                color_scheme="gray",
                aria_label=t("telegram.disconnect", name=bot.name),
                on_click=TelegramBots.ask_disconnect(bot.id),
            ),
            spacing="3",
            align="center",
        ),
        class_name="ps-row ps-row-two",
        role="listitem",
        key=bot.id,
        data_testid="telegram-bot",
    )  # fmt: skip


def _state(bot: rx.Var[BotItem]) -> rx.Component:
    return rx.cond(
        bot.is_on,
        rx.cond(
            bot.is_troubled,
            rx.badge(t("telegram.trouble"), color_scheme="amber", high_contrast=True),
            rx.cond(bot.is_connected, rx.badge(t("telegram.works"), color_scheme="green", high_contrast=True)),
        ),
        rx.badge(t("telegram.off"), color_scheme="gray"),
    )


def _dialog() -> rx.Component:
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("telegram.connect"), size="5"),
            rx.el.ol(
                rx.el.li(t("telegram.step_1")),
                rx.el.li(t("telegram.step_2")),
                style={"margin": "0 0 12px", "padding_inline_start": "20px", "list_style": "decimal", "display": "grid", "gap": "6px",
                       "font_size": "14px"},
            ),
            rx.link(
                rx.button(
                    rx.icon("external-link", size=14), t("telegram.open_botfather"), size="1", variant="surface",
                    tab_index=-1,
                ),
                href="https://t.me/BotFather",
                is_external=True,
            ),
            rx.form(
                rx.el.div(
                    field(
                        t("telegram.token"),
                        rx.text_field(
                            id="bot-token", name="bot_token", type="password", required=True, max_length=200,
                            placeholder="123456789:AAF…", auto_complete="off", class_name="ps-mono",
                        ),
                        field_id="bot-token",
                        hint=t("telegram.token_hint"),
                    ),
                    rx.el.details(
                        rx.el.summary(
                            t("telegram.change_title"), style={"cursor": "pointer", "font_size": "13px"}
                        ),
                        rx.el.div(
                            *_behavior("bot", GROUPS[0], BUTTONS[0], ""),
                            style={"display": "grid", "gap": "12px", "margin_top": "10px"},
                        ),
                    ),
                    rx.cond(TelegramBots.may_reach_inside, _own_server()),
                    class_name="ps-form",
                    style={"max_width": "none", "margin_top": "14px"},
                ),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(
                        t("telegram.connect"), type="submit", loading=TelegramBots.is_saving,
                        data_testid="connect-telegram",
                    ),
                    spacing="3",
                    justify="end",
                    margin_top="20px",
                ),
                on_submit=TelegramBots.connect,
            ),
            max_width="480px",
        ),
        open=TelegramBots.is_adding,
        on_open_change=TelegramBots.set_adding,
    )  # fmt: skip


def _behavior(prefix: str, groups: object, buttons: object, commands: object) -> tuple[rx.Component, ...]:
    """Fields of how a bot behaves. `prefix`: of the ids, as two forms of the page have them."""
    return (
        _choice(f"{prefix}-groups", "groups", GROUPS, groups),
        _choice(f"{prefix}-buttons", "buttons", BUTTONS, buttons),
        field(
            t("telegram.commands"),
            rx.text_area(
                id=f"{prefix}-commands", name="commands", default_value=commands, rows="3", max_length=4000,
                placeholder=t("telegram.commands_example"), class_name="ps-mono",
            ),
            field_id=f"{prefix}-commands",
            hint=t("telegram.commands_hint"),
        ),
    )  # fmt: skip


def _choice(field_id: str, name: str, options: tuple[str, ...], chosen: object) -> rx.Component:
    return field(
        t(f"telegram.{name}"),
        rx.select.root(
            rx.select.trigger(id=field_id, aria_label=t(f"telegram.{name}"), width="100%"),
            rx.select.content(*[rx.select.item(t(f"telegram.{name}_{option}"), value=option) for option in options]),
            name=name,
            default_value=chosen,
        ),
        field_id=field_id,
    )


def _changing() -> rx.Component:
    saved = (TelegramBots.changing_groups, TelegramBots.changing_buttons, TelegramBots.changing_commands)
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("telegram.change_title"), size="5"),
            rx.form(
                rx.el.div(*_behavior("saved", *saved), class_name="ps-form", style={"max_width": "none"}),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(
                        t("telegram.change_do"), type="submit", loading=TelegramBots.is_saving,
                        data_testid="save-telegram",
                    ),
                    spacing="3",
                    justify="end",
                    margin_top="20px",
                ),
                on_submit=TelegramBots.change,
            ),
            max_width="480px",
        ),
        open=TelegramBots.changing_id != "",
        on_open_change=TelegramBots.end_changing,
    )  # fmt: skip


def _own_server() -> rx.Component:
    return rx.el.details(
        rx.el.summary(t("telegram.own_server"), style={"cursor": "pointer", "font_size": "13px"}),
        rx.el.div(
            field(
                t("telegram.base_url"),
                rx.text_field(
                    id="bot-server", name="base_url", max_length=500, placeholder="https://api.telegram.org"
                ),
                field_id="bot-server",
            ),
            rx.el.label(
                rx.checkbox(name="allow_private_host", size="2"), t("telegram.allow_private"), class_name="ps-check"
            ),
            style={"display": "grid", "gap": "12px", "margin_top": "10px"},
        ),
    )  # fmt: skip
