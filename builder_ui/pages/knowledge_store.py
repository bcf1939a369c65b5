"""Where a base is searched by meaning: PostgreSQL or another store, with what is there and what is wrong."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import Ticker
from builder_ui.components.parts import card, field
from builder_ui.i18n import t, t_of
from builder_ui.pages.knowledge_store_state import CopyItem, KnowledgeStore


def store_card() -> rx.Component:
    """A part of the settings of a base."""
    return rx.el.div(
        Ticker.create(active=KnowledgeStore.is_busy, every=2000, on_tick=KnowledgeStore.tick),
        card(
            t("stores.title"),
            rx.cond(
                (KnowledgeStore.stores.length() > 0) | (KnowledgeStore.copies.length() > 0),
                rx.fragment(
                    _form(),
                    rx.el.div(
                        rx.foreach(KnowledgeStore.copies, _copy), role="status", data_testid="copies",
                        style={"display": "grid", "gap": "8px", "margin_top": "12px"},
                    ),
                    _ways_out(),
                ),
                rx.link(t("knowledge.add_key"), href="/models"),
            ),
            hint=t("stores.hint"),
        ),
        on_mount=KnowledgeStore.load,
        style={"margin": "16px 0"},
    )  # fmt: skip


def _form() -> rx.Component:
    return rx.form(
        rx.el.div(
            field(
                t("stores.store"),
                rx.select.root(
                    rx.select.trigger(id="set-store", aria_label=t("stores.store")),
                    rx.select.content(
                        rx.select.item(t("stores.postgresql"), value="postgresql"),
                        rx.foreach(KnowledgeStore.stores, lambda s: rx.select.item(s.name, value=s.id)),
                    ),
                    name="store",
                    value=KnowledgeStore.picked,
                    on_change=KnowledgeStore.pick,
                ),
                field_id="set-store",
                hint=t("stores.stays"),
            ),
            rx.el.div(
                rx.button(
                    t("common.save"), type="submit", loading=KnowledgeStore.is_saving, data_testid="save-store",
                ),
                rx.button(
                    t("models.check"), type="button", variant="soft", loading=KnowledgeStore.is_checking,
                    disabled=KnowledgeStore.picked == "postgresql", on_click=KnowledgeStore.check,
                    data_testid="check-store",
                ),
                style={"display": "flex", "gap": "8px", "flex_wrap": "wrap"},
            ),
            class_name="ps-form",
        ),
        on_submit=KnowledgeStore.save,
    )  # fmt: skip


def _copy(item: rx.Var[CopyItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.b(item.label, style={"font_size": "14px"}),
            rx.badge(
                t_of(item.state, "stores.state_"), high_contrast=True,
                color_scheme=rx.match(item.state, ("serving", "green"), ("filling", "iris"), "gray"),
            ),
            rx.cond(
                item.waiting > 0,
                rx.el.span(t("stores.waiting_n", n=item.waiting), class_name="ps-sub ps-num"),
            ),
            style={"display": "flex", "gap": "8px", "align_items": "center", "flex_wrap": "wrap"},
        ),
        rx.cond(
            item.state == "filling",
            rx.progress(value=item.percent, size="1", aria_label=t("stores.state_filling")),
        ),
        rx.cond(
            item.error != "",
            rx.callout(
                rx.fragment(item.error, " ", t("stores.again", at=item.again)), icon="triangle-alert",
                color_scheme="amber", size="1",
            ),
        ),
        key=item.key,
        data_state=item.state,
        style={"display": "grid", "gap": "6px"},
    )  # fmt: skip


def _ways_out() -> rx.Component:
    return rx.el.div(
        rx.cond(
            KnowledgeStore.has_trouble,
            rx.button(
                t("stores.try_now"), variant="soft", on_click=KnowledgeStore.look_again, data_testid="try-store-now"
            ),
        ),
        rx.cond(
            KnowledgeStore.chosen != "postgresql",
            rx.button(
                t("stores.fill_again"), variant="soft", color_scheme="gray", high_contrast=True,
                on_click=KnowledgeStore.fill_again, data_testid="fill-again",
            ),
        ),
        style={"display": "flex", "gap": "8px", "flex_wrap": "wrap", "margin_top": "12px"},
    )  # fmt: skip
