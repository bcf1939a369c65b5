"""The webhooks on an agent's page: a list, a form to add one, the secret once, and a question before deleting."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import CopyButton, SiteLink, When
from builder_ui.components.parts import card, confirm, field, secret_once
from builder_ui.i18n import t
from builder_ui.pages.agent_webhooks_state import SECRET_FIELD, WebhookItem, Webhooks


def webhooks() -> rx.Component:
    """The section with everything about webhooks."""
    return rx.fragment(
        card(
            t("webhook.title"),
            secret_once(
            SECRET_FIELD,
            title=rx.el.h3(t("webhook.fresh_title"), style={"margin": 0, "font_size": "15px"}),
            text=t("webhook.fresh_text"),
            label=t("webhook.fresh_field"),
            is_shown=Webhooks.is_fresh_shown,
            on_done=Webhooks.forget,
        ),
            rx.cond(
                Webhooks.hooks.length() > 0,
                rx.el.div(rx.foreach(Webhooks.hooks, _hook), class_name="ps-list", role="list"),
            ),
            rx.flex(
                rx.button(
                    rx.icon("plus", size=15), t("webhook.add"), variant="soft", on_click=Webhooks.set_adding(True),
                    data_testid="add-webhook",
                ),
                margin_top="14px",
            ),
            hint=t("webhook.text"),
        ),
        _add_dialog(),
        confirm(
            is_open=Webhooks.doomed_id != "",
            title=t("webhook.delete_title", name=Webhooks.doomed_name),
            text=rx.el.p(t("webhook.delete_text"), style={"margin": 0}),
            do=t("webhook.delete_do"),
            on_do=Webhooks.delete,
            on_close=Webhooks.keep,
        ),
    )  # fmt: skip


def _hook(hook: rx.Var[WebhookItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.flex(
                rx.el.span(hook.name, style={"font_weight": 600}, class_name="ps-truncate"),
                rx.cond(hook.is_paused, rx.badge(t("webhook.paused"), color_scheme="amber", high_contrast=True)),
                rx.cond(hook.is_private, rx.badge(t("webhook.private"), color_scheme="gray")),
                spacing="2",
                align="center",
                min_width="0",
            ),
            rx.el.div(t("webhook.sends_to"), " ", rx.el.span(hook.url, class_name="ps-mono"), class_name="ps-sub ps-truncate"),
            rx.flex(
                rx.el.span(t("webhook.post_to"), class_name="ps-sub"),
                SiteLink.create(path=hook.path),
                CopyButton.create(text="{origin}" + hook.path, label=t("webhook.copy_path")),
                spacing="2",
                align="center",
                wrap="wrap",
            ),
            rx.cond(
                hook.previous_until != "",
                rx.el.div(t("webhook.previous_until"), " ", When.create(iso=hook.previous_until), class_name="ps-sub"),
            ),
            style={"min_width": 0, "display": "grid", "gap": "4px"},
        ),
        rx.flex(
            rx.switch(
                checked=hook.is_on,
                on_change=lambda is_on: Webhooks.switch(hook.id, is_on),
                aria_label=t("webhook.switch", name=hook.name),
            ),
            rx.button(
                t("webhook.renew"), variant="soft", color_scheme="gray", size="1", on_click=Webhooks.renew(hook.id)
            ),
            rx.icon_button(
                rx.icon("trash-2", size=15),
                variant="ghost",
                color_scheme="gray",
                aria_label=t("webhook.delete", name=hook.name),
                on_click=Webhooks.ask_delete(hook.id),
            ),
            spacing="3",
            align="center",
        ),
        class_name="ps-row ps-row-two",
        role="listitem",
        key=hook.id,
    )  # fmt: skip


def _add_dialog() -> rx.Component:
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("webhook.add"), size="5"),
            rx.form(
                rx.el.div(
                    field(
                        t("webhook.url"),
                        rx.text_field(
                            id="webhook-url", name="url", type="url", required=True, max_length=2000,
                            placeholder="https://example.com/patchcord",
                        ),
                        field_id="webhook-url",
                        hint=t("webhook.url_hint"),
                    ),
                    field(
                        t("webhook.label"),
                        rx.text_field(id="webhook-label", name="label", max_length=120),
                        field_id="webhook-label",
                    ),
                    rx.cond(
                        Webhooks.may_reach_inside,
                        rx.el.label(
                            rx.checkbox(name="allow_private_host", size="2"), t("webhook.allow_private"), class_name="ps-check"
                        ),
                    ),
                    class_name="ps-form",
                    style={"max_width": "none"},
                ),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(t("webhook.add"), type="submit", loading=Webhooks.is_saving, data_testid="save-webhook"),
                    spacing="3",
                    justify="end",
                    margin_top="20px",
                ),
                on_submit=Webhooks.add,
            ),
            max_width="480px",
        ),
        open=Webhooks.is_adding,
        on_open_change=Webhooks.set_adding,
    )  # fmt: skip
