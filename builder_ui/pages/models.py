"""Models and keys: what may answer, which key it uses, and what answers when nothing is chosen."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import confirm, empty, field, head, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t, t_of
from builder_ui.pages.agent_state import DEMO
from builder_ui.pages.models_state import Models
from builder_ui.pages.who_may_use import who_may_use, who_may_use_item
from builder_ui.rows import ConnectorItem, CredentialItem, FieldItem


def models_page() -> rx.Component:
    """Keys of model vendors."""
    # Loading closes what an earlier visit left open; a dialog opened before that would close, too.
    add = rx.button(
        rx.icon("plus", size=16), t("models.add"), on_click=Models.begin_adding, disabled=~Models.is_loaded,
        data_testid="add-key",
    )  # fmt: skip
    return page(
        head(t("models.title"), t("models.lead"), add),
        rx.cond(Models.is_loaded, rx.fragment(_keys(), _default(), _demo()), skeleton(3)),
        _add_dialog(),
        _replace_dialog(),
        who_may_use(),
        confirm(
            is_open=Models.doomed_id != "",
            title=t("models.delete_title", name=Models.doomed_name),
            text=rx.cond(
                Models.doomed_bases.length() > 0,
                rx.fragment(
                    rx.el.p(t("models.delete_vectors"), style={"margin": "0 0 8px"}),
                    rx.el.ul(rx.foreach(Models.doomed_bases, rx.el.li), style={"margin": 0, "padding_left": "20px"}),
                ),
                rx.cond(
                    Models.doomed_agents.length() > 0,
                    rx.fragment(
                        rx.el.p(t("models.delete_text"), style={"margin": "0 0 8px"}),
                        rx.el.ul(
                            rx.foreach(Models.doomed_agents, rx.el.li), style={"margin": 0, "padding_left": "20px"}
                        ),
                    ),
                    rx.el.p(t("models.delete_unused"), style={"margin": 0}),
                ),
            ),
            do=t("models.delete_do"),
            on_do=Models.delete,
            on_close=Models.keep,
        ),
        title=t("models.title"),
        place="models",
        width="narrow",
    )


def _keys() -> rx.Component:
    return rx.cond(
        Models.keys.length() > 0,
        rx.el.section(
            rx.el.div(rx.foreach(Models.keys, _key), class_name="ps-list", role="list"),
            aria_label=t("models.keys"),
            style={"margin_bottom": "16px"},
        ),
        rx.box(
            empty(
                "key-round",
                t("models.empty_title"),
                t("models.empty_text"),
                rx.button(rx.icon("plus", size=16), t("models.add"), on_click=Models.begin_adding),
            ),
            margin_bottom="16px",
        ),
    )


def _key(key: rx.Var[CredentialItem]) -> rx.Component:
    facts = rx.el.div(
        rx.cond(key.connector_label != key.label, key.connector_label + " · ", ""),
        rx.cond(key.details != "", key.details + " · ", ""),
        rx.cond(key.used_by > 0, t("models.used_n", n=key.used_by), t("models.unused")),
        class_name="ps-sub ps-truncate",
    )
    return rx.el.div(
        rx.el.div(
            rx.flex(
                rx.el.span(key.label, style={"font_weight": 600}, class_name="ps-truncate"),
                rx.badge(
                    t_of(key.state, "models.state_"),
                    color_scheme=rx.match(key.state, ("works", "green"), ("fails", "red"), "gray"),
                ),
                spacing="2",
                align="center",
            ),
            facts,
            rx.cond(key.is_limited, rx.el.div(t("serving.only_for", names=key.only_for), class_name="ps-sub")),
            rx.cond(
                key.state == "fails", rx.el.div(key.message, class_name="ps-sub", style={"color": "var(--red-11)"})
            ),
            rx.cond(
                key.checked_at != "",
                rx.el.div(t("models.checked"), " ", When.create(iso=key.checked_at), class_name="ps-sub"),
            ),
            style={"min_width": 0},
        ),
        rx.flex(
            rx.button(
                t("models.check"),
                variant="soft",
                size="1",
                loading=Models.checking_id == key.id,
                on_click=Models.check(key.id),
            ),
            rx.dropdown_menu.root(
                rx.dropdown_menu.trigger(
                    rx.icon_button(
                        rx.icon("ellipsis", size=17), variant="ghost", color_scheme="gray", aria_label=t("common.more")
                    )
                ),
                rx.dropdown_menu.content(
                    rx.dropdown_menu.item(
                        rx.icon("rotate-cw", size=15), t("models.replace"), on_select=Models.begin_replacing(key.id)
                    ),
                    who_may_use_item(key.id, "models"),
                    rx.dropdown_menu.separator(),
                    rx.dropdown_menu.item(
                        rx.icon("trash-2", size=15),
                        t("models.delete"),
                        color="red",
                        on_select=Models.ask_delete(key.id),
                    ),
                    align="end",
                ),
            ),
            spacing="4",
            align="center",
        ),
        class_name="ps-row ps-row-two",
        role="listitem",
        key=key.id,
    )


def _default() -> rx.Component:
    return rx.el.section(
        rx.el.h2(t("models.default_title")),
        rx.el.p(t("models.default_text"), class_name="ps-hint"),
        rx.flex(
            rx.select.root(
                rx.select.trigger(aria_label=t("models.default_title"), width="260px"),
                rx.select.content(
                    rx.select.item(t("models.demo_title"), value=DEMO),
                    rx.foreach(Models.answering, lambda k: rx.select.item(k.label, value=k.id)),
                ),
                value=Models.default_choice,
                on_change=Models.choose_default,
            ),
            rx.cond(
                Models.default_choice != DEMO,
                rx.el.div(
                    rx.text_field(
                        default_value=Models.default_model,
                        key=Models.default_choice + Models.default_model,
                        aria_label=t("models.model"),
                        placeholder=t("models.model"),
                        on_blur=Models.name_default,
                        list="known-models",
                        width="260px",
                    ),
                    rx.el.datalist(rx.foreach(Models.suggested, lambda m: rx.el.option(value=m)), id="known-models"),
                    rx.el.p(t("models.model_hint"), class_name="ps-hint", style={"margin": "6px 0 0"}),
                ),
            ),
            spacing="3",
            wrap="wrap",
            margin_top="14px",
        ),
        class_name="ps-card",
    )


def _demo() -> rx.Component:
    return rx.el.section(
        rx.flex(
            rx.el.h2(t("models.demo_title")),
            rx.badge(t("models.demo_badge"), color_scheme="gray"),
            spacing="2",
            align="center",
        ),
        rx.el.p(t("models.demo_text"), class_name="ps-lead", style={"font_size": "13.5px"}),
        class_name="ps-card",
    )


def _add_dialog() -> rx.Component:
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("models.add_title"), size="5", margin_bottom="12px"),
            rx.el.div(
                rx.foreach(Models.vendors, _vendor),
                class_name="ps-vendors",
                role="radiogroup",
                aria_label=t("models.provider"),
            ),
            rx.form(
                rx.el.div(
                    field(
                        t("models.label"),
                        rx.text_field(id="key-label", name="label", max_length=80, auto_complete=False),
                        field_id="key-label",
                        hint=t("models.label_hint"),
                    ),
                    _fields(),
                    class_name="ps-form",
                    style={"max_width": "none", "margin_top": "18px"},
                    key=Models.vendor,
                ),
                _form_buttons(),
                on_submit=Models.add,
            ),
            max_width="520px",
            aria_describedby=None,
        ),
        open=Models.is_adding,
        on_open_change=Models.close_form,
    )


def _replace_dialog() -> rx.Component:
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("models.replace_title", name=Models.replacing_name), size="4"),
            rx.form(
                rx.el.div(_fields(), class_name="ps-form", style={"max_width": "none"}),
                _form_buttons(),
                on_submit=Models.replace,
            ),
            max_width="460px",
        ),
        open=Models.replacing_id != "",
        on_open_change=Models.close_form,
    )


def _form_buttons() -> rx.Component:
    return rx.flex(
        rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
        rx.button(t("models.save_and_check"), type="submit", loading=Models.is_saving, data_testid="save-key"),
        spacing="3",
        justify="end",
        margin_top="20px",
    )


def _vendor(vendor: rx.Var[ConnectorItem]) -> rx.Component:
    return rx.el.button(
        rx.el.b(vendor.label),
        rx.el.span(vendor.summary),
        type="button",
        role="radio",
        class_name="ps-template",
        custom_attrs={"aria-checked": Models.vendor == vendor.id},
        on_click=Models.choose(vendor.id),
        key=vendor.id,
    )


def _fields() -> rx.Component:
    more = rx.el.details(
        rx.el.summary(t("common.more_options"), class_name="ps-more"),
        rx.el.div(
            rx.foreach(Models.extra_fields, _field),
            class_name="ps-form",
            style={"max_width": "none", "margin_top": "12px"},
        ),
    )
    return rx.fragment(
        rx.foreach(Models.fields, _field), rx.cond(Models.extra_fields.length() > 0, more, rx.fragment())
    )


def _field(item: rx.Var[FieldItem]) -> rx.Component:
    common: dict[str, Any] = {
        "id": "key-" + item.key,
        "name": item.key,
        "placeholder": item.placeholder,
        "default_value": item.default,
        "required": item.is_required,
        "auto_complete": False,
        "max_length": 4000,
    }
    select = rx.el.select(
        rx.foreach(item.options, lambda o: rx.el.option(o[1], value=o[0])),
        id="key-" + item.key,
        name=item.key,
        default_value=item.default,
        class_name="ps-select",
    )
    switch = rx.el.label(
        rx.el.input(type="checkbox", name=item.key, id="key-" + item.key, default_checked=item.default == "on"),
        item.label,
        class_name="ps-check",
    )
    return rx.el.div(
        rx.cond(item.kind == "switch", rx.fragment(), rx.el.label(item.label, html_for="key-" + item.key)),
        rx.match(
            item.kind,
            ("select", select),
            ("switch", switch),
            ("password", rx.text_field(type="password", **common)),
            rx.text_field(**common),
        ),
        rx.cond(item.help != "", rx.el.p(item.help, class_name="ps-hint", style={"margin": 0})),
        rx.cond(item.kind == "password", rx.el.p(t("models.secret_hint"), class_name="ps-hint", style={"margin": 0})),
        class_name="ps-field",
        key=item.key,
    )
