"""Beside a document: its attachments and what to see also, with ways to add and take away."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import DropFiles
from builder_ui.components.parts import search_box
from builder_ui.i18n import t, t_of
from builder_ui.pages.knowledge_base_state import KnowledgeBase
from builder_ui.pages.knowledge_beside_state import BesideItem, KnowledgeBeside


def beside() -> rx.Component:
    """Of the document that is open."""
    return rx.el.section(
        rx.cond(
            (KnowledgeBeside.beside.length() > 0) | KnowledgeBase.may_edit,
            rx.el.h3(t("exchange.beside"), class_name="ps-label", style={"margin": "18px 0 8px"}),
        ),
        rx.el.ul(rx.foreach(KnowledgeBeside.beside, _item), class_name="ps-uploads", style={"margin": 0}),
        rx.cond(
            KnowledgeBase.may_edit,
            rx.el.div(
                rx.el.div(
                    search_box(t("exchange.see_also_find"), KnowledgeBeside.words, KnowledgeBeside.find),
                    rx.foreach(
                        KnowledgeBeside.offered,
                        lambda d: rx.button(
                            rx.icon("plus", size=13), rx.el.span(d.title, class_name="ps-truncate"), variant="soft",
                            color_scheme="gray", size="2", on_click=KnowledgeBeside.relate(d.id), data_testid="relate",
                            style={"justify_content": "flex-start", "min_width": 0},
                        ),
                    ),
                    style={"display": "grid", "gap": "6px"},
                ),
                rx.cond(
                    KnowledgeBeside.is_article,
                    DropFiles.create(
                        base=KnowledgeBase.base.id, article=KnowledgeBeside.document_id, on_done=KnowledgeBeside.again,
                    ),
                ),
                style={"display": "grid", "gap": "12px", "margin_top": "8px"},
            ),
        ),
        aria_label=t("exchange.beside"),
    )  # fmt: skip


def _item(item: rx.Var[BesideItem]) -> rx.Component:
    return rx.el.li(
        rx.cond(item.is_attached, rx.icon("paperclip", size=15), rx.icon("link", size=15)),
        rx.el.button(
            item.title,
            type="button",
            class_name="ps-title-button ps-truncate",
            on_click=[KnowledgeBase.look(item.id), KnowledgeBeside.look(item.id)],
        ),
        rx.el.span(
            rx.cond(item.is_attached, t("exchange.attached"), t("exchange.see_also")),
            " · ",
            t_of(item.state, "knowledge.state_"),
            rx.cond(
                item.file_path != "",
                rx.fragment(" · ", rx.link(t("knowledge.download"), href=item.file_path, is_external=True, size="1")),
            ),
            class_name="ps-sub ps-truncate",
        ),
        rx.cond(
            KnowledgeBase.may_edit,
            rx.icon_button(
                rx.icon("x", size=14),
                type="button",
                variant="ghost",
                color_scheme="gray",
                size="1",
                aria_label=t("exchange.take_away", name=item.title),
                on_click=KnowledgeBeside.remove(item.id),
            ),
        ),
        key=item.id,
        data_testid="beside",
    )
