"""The tab "Phone" of an agent's page: its lines, how to connect one, and whether calls arrive."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.browser import CodeBlock, CopyButton, When
from builder_ui.components.parts import card, confirm, field, secret_once
from builder_ui.i18n import LANGUAGE_NAMES, t, t_of
from builder_ui.pages.agent_call_me import call_me_button, call_me_dialog
from builder_ui.pages.agent_phone_state import PLAN_FIELD, SAME, SECRET_FIELD, LineItem, PhoneLines
from builder_ui.pages.agent_speech import speech_card
from builder_ui.rows import FieldItem

STEPS = 5


def phone() -> rx.Component:
    """Everything about calls."""
    return rx.fragment(
        card(
            t("phone.title"),
            _fresh(),
            rx.cond(
                PhoneLines.lines.length() > 0,
                rx.el.div(rx.foreach(PhoneLines.lines, _line), class_name="ps-list", role="list"),
            ),
            rx.flex(
                rx.button(
                    rx.icon("plus", size=15), t("phone.add"), variant="soft", on_click=PhoneLines.begin(""),
                    data_testid="add-line",
                ),
                rx.cond(
                    PhoneLines.lines.length() > 0,
                    rx.button(
                        rx.icon("refresh-cw", size=15), t("phone.look"), variant="soft", color_scheme="gray",
                        on_click=PhoneLines.look,
                    ),
                ),
                margin_top="14px",
                spacing="2",
                wrap="wrap",
            ),
            hint=t("phone.text"),
        ),
        card(
            t("phone.connect_title"),
            rx.el.ol(*[rx.el.li(t(f"phone.step_{n}")) for n in range(1, STEPS + 1)], class_name="ps-steps"),
            rx.el.details(
                rx.el.summary(t("phone.dialplan_open")),
                rx.el.div(
                    CodeBlock.create(code=PhoneLines.dialplan, label=t("phone.dialplan")), style={"margin_top": "12px"}
                ),
                style={"margin_top": "14px"},
            ),
            hint=t("phone.connect_text"),
        ),
        speech_card(),
        _form(),
        call_me_dialog(),
        confirm(
            is_open=PhoneLines.doomed_id != "",
            title=t("phone.delete_title", name=PhoneLines.doomed_name),
            text=rx.el.p(t("phone.delete_text"), style={"margin": 0}),
            do=t("phone.delete_do"),
            on_do=PhoneLines.delete,
            on_close=PhoneLines.keep,
        ),
    )  # fmt: skip


def _fresh() -> rx.Component:
    return rx.fragment(
        secret_once(
            SECRET_FIELD,
            title=rx.el.h3(t("phone.fresh_title"), style={"margin": 0, "font_size": "15px"}),
            text=t("phone.fresh_text"),
            label=t("phone.fresh_field"),
            is_shown=PhoneLines.is_fresh_shown,
            on_done=PhoneLines.forget,
        ),
        rx.el.section(
            rx.flex(
                rx.el.h3(t("phone.dialplan"), style={"margin": 0, "font_size": "15px"}),
                CopyButton.create(source=PLAN_FIELD, text="", label=t("phone.copy_dialplan")),
                justify="between",
                align="center",
                wrap="wrap",
                gap="8px",
            ),
            rx.el.textarea(
                id=PLAN_FIELD, read_only=True, aria_label=t("phone.dialplan"), class_name="ps-plan ps-mono", rows=12,
                spell_check=False,
            ),
            hidden=~PhoneLines.is_fresh_shown,
            style={"margin": "0 0 16px"},
        ),
    )  # fmt: skip


def _line(line: rx.Var[LineItem]) -> rx.Component:
    name = rx.cond(line.name != "", line.name, t("phone.unnamed"))
    return rx.el.div(
        rx.el.div(
            rx.flex(
                rx.icon("phone", size=15, aria_hidden="true"),
                rx.el.span(name, style={"font_weight": 600}, class_name="ps-truncate"),
                rx.cond(
                    line.call_state == "",
                    rx.badge(t("phone.waiting"), color_scheme="gray"),
                    rx.badge(t("phone.works"), color_scheme="green", high_contrast=True),
                ),
                spacing="2",
                align="center",
                min_width="0",
                wrap="wrap",
            ),
            rx.el.div(
                rx.cond(line.language == SAME, t("phone.language_same"), t_of(line.language, "phone.language_")),
                " · ",
                rx.el.span(line.dial_template, class_name="ps-mono"),
                class_name="ps-sub ps-truncate",
            ),
            rx.cond(
                line.call_state == "",
                rx.el.div(t("phone.no_call"), class_name="ps-sub"),
                rx.el.div(
                    t("phone.last_call"),
                    " ",
                    rx.cond(line.call_from != "", line.call_from, t("phone.hidden_number")),
                    ", ",
                    When.create(iso=line.call_at),
                    ", ",
                    t_of(line.call_state, "phone.state_"),
                    class_name="ps-sub ps-num",
                ),
            ),
            rx.cond(
                line.previous_until != "",
                rx.el.div(t("webhook.previous_until"), " ", When.create(iso=line.previous_until), class_name="ps-sub"),
            ),
            style={"min_width": 0, "display": "grid", "gap": "4px"},
        ),
        rx.flex(
            rx.switch(
                checked=line.is_on,
                on_change=lambda is_on: PhoneLines.switch(line.id, is_on),
                aria_label=t("phone.switch", name=name),
            ),
            call_me_button(line),
            rx.button(t("phone.edit"), variant="soft", color_scheme="gray", size="1", on_click=PhoneLines.begin(line.id)),
            rx.button(
                t("webhook.renew"), variant="soft", color_scheme="gray", size="1", on_click=PhoneLines.renew(line.id)
            ),
            rx.icon_button(
                rx.icon("trash-2", size=15),
                variant="ghost",
                color_scheme="gray",
                aria_label=t("phone.delete", name=name),
                on_click=PhoneLines.ask_delete(line.id),
            ),
            spacing="3",
            align="center",
            wrap="wrap",
        ),
        class_name="ps-row ps-row-two ps-row-line",
        role="listitem",
        key=line.id,
    )  # fmt: skip


def _form() -> rx.Component:
    edited = PhoneLines.edited
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(rx.cond(edited.id != "", t("phone.edit_title"), t("phone.add")), size="5"),
            rx.form(
                rx.el.div(
                    _text("label", t("webhook.label"), edited.name),
                    field(
                        t("phone.language"),
                        rx.select.root(
                            rx.select.trigger(id="line-language", aria_label=t("phone.language"), width="100%"),
                            rx.select.content(
                                rx.select.item(t("phone.language_same"), value=SAME),
                                *[rx.select.item(name, value=code) for code, name in LANGUAGE_NAMES.items()],
                            ),
                            name="language",
                            default_value=edited.language,
                        ),
                        field_id="line-language",
                    ),
                    _text("dial_template", t("phone.dial"), edited.dial_template, hint=t("phone.dial_hint")),
                    rx.el.details(
                        rx.el.summary(t("phone.voice_open")),
                        rx.el.div(
                            *[
                                _text(f"voice_{code}", t("phone.voice", language=name), getattr(edited, f"voice_{code}"))
                                for code, name in LANGUAGE_NAMES.items()
                            ],
                            _text("rate", t("phone.rate"), edited.rate, hint=t("phone.rate_hint")),
                            _text("endpoint_ms", t("phone.endpoint"), edited.endpoint_ms, hint=t("phone.endpoint_hint")),
                            _text("no_input_ms", t("phone.no_input"), edited.no_input_ms),
                            class_name="ps-form",
                            style={"max_width": "none", "margin_top": "14px"},
                        ),
                    ),
                    rx.el.details(
                        rx.el.summary(t("phone.more_open")),
                        rx.el.div(
                            rx.foreach(PhoneLines.more, _more),
                            class_name="ps-form",
                            style={"max_width": "none", "margin_top": "14px"},
                        ),
                    ),
                    class_name="ps-form",
                    style={"max_width": "none"},
                ),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(
                        rx.cond(edited.id != "", t("phone.save"), t("phone.add")), type="submit",
                        loading=PhoneLines.is_saving, data_testid="save-line",
                    ),
                    spacing="3",
                    justify="end",
                    margin_top="20px",
                ),
                on_submit=PhoneLines.save,
                key=edited.id,
            ),
            max_width="480px",
        ),
        open=PhoneLines.is_editing,
        on_open_change=PhoneLines.set_editing,
    )  # fmt: skip


def _more(item: rx.Var[FieldItem]) -> rx.Component:
    name = "line-" + item.key
    switch = rx.el.label(
        rx.switch(id=name, name=item.key, default_checked=item.default != "", size="1"), item.label,
        html_for=name, style={"display": "flex", "gap": "8px", "align_items": "center"},
    )  # fmt: skip
    text = rx.text_field(
        id=name, name=item.key, default_value=item.default, placeholder=item.placeholder, max_length=400,
        type=rx.cond(item.kind == "password", "password", "text"), auto_complete=False,
    )  # fmt: skip
    select = rx.el.select(
        rx.foreach(item.options, lambda o: rx.el.option(o[1], value=o[0])),
        id=name, name=item.key, default_value=item.default, class_name="ps-select",
    )  # fmt: skip
    labeled = rx.fragment(rx.el.label(item.label, html_for=name), rx.cond(item.kind == "select", select, text))
    return rx.el.div(
        rx.cond(item.kind == "switch", switch, labeled),
        rx.cond(item.help != "", rx.el.p(item.help, class_name="ps-hint", style={"margin": 0})),
        rx.cond(item.kind == "password", rx.el.p(t("phone.secret_stays"), class_name="ps-hint", style={"margin": 0})),
        class_name="ps-field",
        key=item.key,
    )


def _text(name: str, label: rx.Var[str], value: rx.Var[Any], hint: rx.Var[str] | None = None) -> rx.Component:
    control = rx.text_field(id=f"line-{name}", name=name, default_value=value, max_length=150)
    return field(label, control, field_id=f"line-{name}", hint=hint)
