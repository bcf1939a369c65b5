"""Below an answer in a transcript: what it rests on; a press opens the passages."""

from __future__ import annotations

import reflex as rx

from builder_ui.i18n import t
from builder_ui.pages.answer_sources_state import AnswerSource, MeantPassage
from builder_ui.sources import SourceItem


def source_chips(sources: rx.Var[list[SourceItem]]) -> rx.Component:
    """One for each source."""

    def chip(source: rx.Var[SourceItem]) -> rx.Component:
        return rx.cond(
            source.document_id != "",
            rx.el.button(
                source.label,
                type="button",
                on_click=AnswerSource.open(source.document_id, source.heading, source.page),
                class_name="ps-source",
                data_testid="answer-source",
            ),
            rx.el.span(source.label, class_name="ps-source"),
        )

    return rx.cond(
        sources.length() > 0,
        rx.el.div(
            rx.foreach(sources, chip), class_name="ps-sources", role="group", aria_label=t("exchange.answer_sources")
        ),
    )


def source_dialog() -> rx.Component:
    """The passages of the source that was opened."""

    def passage(item: rx.Var[MeantPassage]) -> rx.Component:
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
            data_goes=item.is_meant.to_string(),
            key=item.key,
            data_testid="source-passage",
        )

    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(AnswerSource.title, size="5"),
            rx.dialog.description(t("exchange.source_lead"), class_name="ps-lead", style={"margin": "0 0 14px"}),
            rx.cond(
                AnswerSource.passages.length() > 0,
                rx.el.div(
                    rx.foreach(AnswerSource.passages, passage),
                    style={"display": "grid", "gap": "10px", "max_height": "60vh", "overflow": "auto"},
                ),
                rx.el.p(t("knowledge.no_passages"), class_name="ps-lead"),
            ),
            rx.flex(
                rx.link(
                    rx.icon("book-open", size=14),
                    t("exchange.open_document"),
                    href=AnswerSource.path,
                    class_name="ps-step",
                ),
                rx.dialog.close(rx.button(t("common.close"), variant="soft", color_scheme="gray")),
                justify="between",
                align="center",
                margin_top="16px",
            ),
            max_width="680px",
        ),
        open=AnswerSource.title != "",
        on_open_change=AnswerSource.close,
    )
