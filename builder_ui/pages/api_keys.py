"""Keys with which programs reach the API."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import confirm, empty, field, head, secret_once, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t, t_of
from builder_ui.pages.api_keys_state import FRESH_FIELD, SCOPES, ApiKeys
from builder_ui.rows import ApiKeyItem


def api_keys_page() -> rx.Component:
    """The list of API keys."""
    create = rx.button(
        rx.icon("plus", size=16), t("keys.create"), on_click=ApiKeys.set_creating(True), data_testid="create-api-key"
    )
    return page(
        head(t("keys.title"), t("keys.lead"), create),
        secret_once(
            FRESH_FIELD,
            title=rx.el.h2(t("keys.fresh_title")),
            text=t("keys.fresh_text"),
            label=t("keys.fresh_field"),
            is_shown=ApiKeys.is_fresh_shown,
            on_done=ApiKeys.forget,
        ),
        rx.cond(
            ApiKeys.is_loaded,
            rx.cond(
                ApiKeys.keys.length() > 0,
                rx.el.div(rx.foreach(ApiKeys.keys, _key), class_name="ps-list", role="list"),
                empty(
                    "key-round",
                    t("keys.empty_title"),
                    t("keys.empty_text"),
                    rx.button(rx.icon("plus", size=16), t("keys.create"), on_click=ApiKeys.set_creating(True)),
                ),
            ),
            skeleton(2),
        ),
        _create_dialog(),
        confirm(
            is_open=ApiKeys.doomed_id != "",
            title=t("keys.revoke_title", name=ApiKeys.doomed_name),
            text=rx.el.p(t("keys.revoke_text"), style={"margin": 0}),
            do=t("keys.revoke_do"),
            on_do=ApiKeys.revoke,
            on_close=ApiKeys.keep,
        ),
        title=t("keys.title"),
        place="api_keys",
        width="narrow",
    )


def _key(key: rx.Var[ApiKeyItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.flex(
                rx.el.span(key.name, style={"font_weight": 600}, class_name="ps-truncate"),
                rx.el.span(key.prefix, class_name="ps-mono ps-sub"),
                spacing="2",
                align="baseline",
            ),
            rx.el.div(
                t("keys.created"), " ", When.create(iso=key.created_at), " · ",
                rx.cond(
                    key.last_used_at != "",
                    rx.fragment(t("keys.used"), " ", When.create(iso=key.last_used_at)),
                    t("keys.unused"),
                ),
                class_name="ps-sub",
            ),
            rx.flex(
                rx.foreach(
                    key.scopes,
                    lambda s: rx.badge(t_of(s, "keys.scope_", otherwise=s), color_scheme="gray", variant="surface"),
                ),
                spacing="1",
                wrap="wrap",
                margin_top="6px",
            ),
            style={"min_width": 0},
        ),
        rx.button(
            t("keys.revoke"), variant="soft", color_scheme="gray", size="1", on_click=ApiKeys.ask_revoke(key.id)
        ),
        class_name="ps-row ps-row-two",
        role="listitem",
        key=key.id,
    )  # fmt: skip


def _create_dialog() -> rx.Component:
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("keys.create"), size="5"),
            rx.form(
                rx.el.div(
                    field(
                        t("keys.name"),
                        rx.text_field(
                            id="key-name", name="name", required=True, max_length=80,
                            placeholder=t("keys.name_placeholder"),
                        ),
                        field_id="key-name",
                    ),
                    rx.el.fieldset(
                        rx.el.legend(t("keys.scopes"), class_name="ps-label"),
                        *[
                            rx.el.label(
                                rx.checkbox(name=scope, default_checked=scope.startswith("conversations"), size="2"),
                                t(f"keys.scope_{scope}"),
                                class_name="ps-check",
                            )
                            for scope in SCOPES
                        ],
                        class_name="ps-fieldset",
                    ),
                    class_name="ps-form",
                    style={"max_width": "none"},
                ),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(t("keys.create"), type="submit", loading=ApiKeys.is_saving, data_testid="save-api-key"),
                    spacing="3",
                    justify="end",
                    margin_top="20px",
                ),
                on_submit=ApiKeys.create,
            ),
            max_width="460px",
        ),
        open=ApiKeys.is_creating,
        on_open_change=ApiKeys.set_creating,
    )  # fmt: skip
