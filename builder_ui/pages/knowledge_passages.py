"""What a document was split into, as agents find it."""

from __future__ import annotations

import reflex as rx

from builder_ui.i18n import t
from builder_ui.pages.knowledge_base_state import KnowledgeBase, PassageItem
from builder_ui.pages.knowledge_beside import beside


def passages_dialog() -> rx.Component:
    """The passages of the document that was opened."""

    def passage(item: rx.Var[PassageItem]) -> rx.Component:
        return rx.el.div(
            rx.cond(
                (item.heading != "") | (item.page > 0),
                rx.el.div(
                    item.heading,
                    rx.cond(item.page > 0, rx.fragment(" · ", t("knowledge.page_n", n=item.page))),
                    class_name="ps-sub",
                    style={"font_weight": 500},
                ),
            ),
            rx.el.p(item.text),
            class_name="ps-found",
            key=item.key,
        )

    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(KnowledgeBase.opened.title, size="5"),
            rx.dialog.description(t("knowledge.passages_lead"), class_name="ps-lead", style={"margin": "0 0 14px"}),
            rx.cond(
                KnowledgeBase.passages.length() > 0,
                rx.el.div(rx.foreach(KnowledgeBase.passages, passage), style={"display": "grid", "gap": "10px"}),
                rx.el.p(t("knowledge.no_passages"), class_name="ps-lead"),
            ),
            beside(),
            rx.flex(
                rx.dialog.close(rx.button(t("common.close"), variant="soft", color_scheme="gray")),
                justify="end",
                margin_top="16px",
            ),
            max_width="760px",
        ),
        open=KnowledgeBase.opened.id != "",
        on_open_change=KnowledgeBase.close_look,
    )
