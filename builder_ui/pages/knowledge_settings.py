"""Settings of a knowledge base: its name, who may open sources, search by meaning and where, a reranker, and deleting it."""

from __future__ import annotations

import reflex as rx

from builder_ui.components.parts import card, field
from builder_ui.i18n import t
from builder_ui.pages.knowledge_base_state import KnowledgeBase
from builder_ui.pages.knowledge_store import store_card


def settings_tab() -> rx.Component:
    return rx.el.div(
        card(
            t("knowledge.about"),
            rx.form(
                rx.el.div(
                    field(
                        t("knowledge.name"),
                        rx.text_field(
                            id="set-name", name="name", required=True, max_length=200, default_value=KnowledgeBase.base.name
                        ),
                        field_id="set-name",
                    ),
                    field(
                        t("knowledge.description"),
                        rx.text_field(
                            id="set-description", name="description", max_length=1000,
                            default_value=KnowledgeBase.base.description,
                        ),
                        field_id="set-description",
                    ),
                    rx.el.label(
                        rx.checkbox(
                            name="is_public", size="2", default_checked=KnowledgeBase.base.is_public,
                            aria_label=t("knowledge.is_public"),
                        ),
                        rx.el.span(
                            t("knowledge.is_public"),
                            rx.el.span(t("knowledge.is_public_hint"), class_name="ps-hint", style={"display": "block"}),
                        ),
                        class_name="ps-check ps-check-two",
                    ),
                    rx.button(t("common.save"), type="submit", width="fit-content"),
                    class_name="ps-form",
                ),
                on_submit=KnowledgeBase.save_settings,
            ),
        ),
        card(
            t("knowledge.meaning"),
            rx.cond(
                (KnowledgeBase.embedders.length() > 0) | (KnowledgeBase.base.embedder != ""),
                rx.form(
                    rx.el.div(
                        field(
                            t("knowledge.embedder"),
                            rx.select.root(
                                rx.select.trigger(id="set-embedder", aria_label=t("knowledge.embedder")),
                                rx.select.content(
                                    rx.select.item(t("knowledge.by_words"), value="none"),
                                    rx.foreach(KnowledgeBase.embedders, lambda e: rx.select.item(e.name, value=e.id)),
                                ),
                                name="embedder",
                                default_value=rx.cond(KnowledgeBase.base.embedder == "", "none", KnowledgeBase.base.embedder),
                            ),
                            field_id="set-embedder",
                        ),
                        field(
                            t("knowledge.embedder_model"),
                            rx.fragment(
                                rx.text_field(
                                    id="set-model", name="model", max_length=200, placeholder="text-embedding-3-small",
                                    default_value=KnowledgeBase.base.embedder_model, list="embedder-models",
                                ),
                                rx.el.datalist(
                                    rx.foreach(KnowledgeBase.models, lambda m: rx.el.option(value=m)), id="embedder-models"
                                ),
                            ),
                            field_id="set-model",
                            hint=t("knowledge.embedder_model_hint"),
                        ),
                        rx.button(t("common.save"), type="submit", width="fit-content"),
                        class_name="ps-form",
                    ),
                    on_submit=KnowledgeBase.save_embedder,
                ),
                rx.link(t("knowledge.add_key"), href="/models"),
            ),
            hint=t("knowledge.meaning_hint"),
        ),
        store_card(),
        card(
            t("rerank.title"),
            rx.cond(
                (KnowledgeBase.rerankers.length() > 0) | (KnowledgeBase.base.reranker != ""),
                rx.form(
                    rx.el.div(
                        field(
                            t("rerank.key"),
                            rx.select.root(
                                rx.select.trigger(id="set-reranker", aria_label=t("rerank.key")),
                                rx.select.content(
                                    rx.select.item(t("rerank.off"), value="none"),
                                    rx.foreach(KnowledgeBase.rerankers, lambda r: rx.select.item(r.name, value=r.id)),
                                ),
                                name="reranker",
                                default_value=rx.cond(KnowledgeBase.base.reranker == "", "none", KnowledgeBase.base.reranker),
                            ),
                            field_id="set-reranker",
                            hint=t("rerank.cost"),
                        ),
                        rx.button(t("common.save"), type="submit", width="fit-content", data_testid="save-reranker"),
                        class_name="ps-form",
                    ),
                    on_submit=KnowledgeBase.save_reranker,
                ),
                rx.fragment(
                    rx.el.p(t("rerank.cost"), class_name="ps-hint", style={"margin": "0 0 8px"}),
                    rx.link(t("knowledge.add_key"), href="/models"),
                ),
            ),
            hint=t("rerank.hint"),
        ),
        card(
            t("knowledge.delete_base"),
            rx.button(
                t("knowledge.delete_base"), color_scheme="red", variant="soft", on_click=KnowledgeBase.ask_delete_base
            ),
            hint=t("knowledge.delete_base_hint"),
        ),
        style={"max_width": "760px"},
    )  # fmt: skip
