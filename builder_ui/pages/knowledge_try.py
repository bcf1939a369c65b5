"""Trying a query: each passage with what found it, how sure it is, and whether a model would be given it."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import CodeBlock
from builder_ui.components.parts import empty, field
from builder_ui.i18n import t, t_of
from builder_ui.pages.knowledge_try_state import FoundItem, KnowledgeTry, VoteItem


def try_tab() -> rx.Component:
    """The form and what came of it."""
    return rx.el.div(_form(), rx.cond(KnowledgeTry.is_asked, _results(), rx.fragment()), class_name="ps-try")


def _form() -> rx.Component:
    return rx.form(
        rx.el.div(
            field(
                t("knowledge.try_query"),
                rx.text_field(
                    id="try-query", name="query", required=True, max_length=2000, default_value=KnowledgeTry.query,
                    placeholder=t("knowledge.try_placeholder"),
                ),
                field_id="try-query",
            ),
            style={"flex": "1 1 320px"},
        ),
        field(
            t("knowledge.try_mode"),
            rx.select.root(
                rx.select.trigger(id="try-mode", aria_label=t("knowledge.try_mode")),
                rx.select.content(
                    *[rx.select.item(t(f"knowledge.mode_{mode}"), value=mode) for mode in ("hybrid", "keyword", "semantic")]
                ),
                value=KnowledgeTry.mode,
                on_change=KnowledgeTry.choose_mode,
            ),
            field_id="try-mode",
        ),
        field(
            t("knowledge.try_top"),
            rx.text_field(id="try-top", name="top_k", type="number", min=1, max=20, default_value="5", width="76px"),
            field_id="try-top",
        ),
        field(
            t("knowledge.try_threshold"),
            rx.text_field(
                id="try-threshold", name="threshold", type="number", min=0, max=1, step=0.05, default_value="0.4",
                width="92px",
            ),
            field_id="try-threshold",
        ),
        field(
            t("exchange.try_language"),
            rx.select.root(
                rx.select.trigger(id="try-language", aria_label=t("exchange.try_language")),
                rx.select.content(
                    rx.select.item(t("exchange.any_language"), value="any"),
                    *[rx.select.item(t(f"knowledge.language_{code}"), value=code) for code in ("en", "ru", "uk")],
                ),
                name="language",
                default_value="any",
            ),
            field_id="try-language",
        ),
        field(
            t("exchange.try_days"),
            rx.text_field(
                id="try-days", name="days", type="number", min=0, max=3650, default_value="0", width="92px",
            ),
            field_id="try-days",
        ),
        rx.button(
            rx.icon("search", size=15), t("knowledge.try_it"), type="submit", loading=KnowledgeTry.is_asking,
            data_testid="try",
        ),
        on_submit=KnowledgeTry.ask,
    )  # fmt: skip


def _results() -> rx.Component:
    return rx.fragment(
        rx.el.div(
            t("knowledge.looked_for", words=KnowledgeTry.words),
            rx.foreach(
                KnowledgeTry.corrected,
                lambda pair: rx.fragment(
                    " · ", rx.badge(rx.icon("spell-check", size=12), pair, color_scheme="amber", high_contrast=True)
                ),
            ),
            " · ",
            t("knowledge.took_ms", ms=KnowledgeTry.ms),
            class_name="ps-sub ps-num",
            role="status",
        ),
        rx.cond(
            KnowledgeTry.trouble != "",
            rx.callout(
                t("knowledge.trouble", about=KnowledgeTry.trouble),
                icon="triangle-alert",
                color_scheme="amber",
                size="1",
            ),
        ),
        rx.cond(
            KnowledgeTry.away != "",
            rx.callout(
                t("stores.away", about=KnowledgeTry.away),
                icon="triangle-alert",
                color_scheme="amber",
                size="1",
                data_testid="away",
            ),
        ),
        rx.cond(
            KnowledgeTry.unranked != "",
            rx.callout(
                t("rerank.unranked", about=KnowledgeTry.unranked),
                icon="triangle-alert",
                color_scheme="amber",
                size="1",
                data_testid="unranked",
            ),
        ),
        rx.cond(
            KnowledgeTry.found.length() > 0,
            rx.fragment(
                rx.el.div(
                    rx.cond(
                        KnowledgeTry.going > 0,
                        t("knowledge.going_n", n=KnowledgeTry.going),
                        t("knowledge.going_none"),
                    ),
                    style={"font_weight": 500, "font_size": "14px"},
                ),
                rx.foreach(KnowledgeTry.found, _found),
                rx.cond(
                    KnowledgeTry.prompt != "",
                    rx.el.details(
                        rx.el.summary(t("knowledge.prompt"), style={"cursor": "pointer", "font_size": "13.5px"}),
                        rx.el.div(
                            CodeBlock.create(code=KnowledgeTry.prompt, label=t("knowledge.prompt")),
                            style={"margin_top": "8px"},
                        ),
                    ),
                ),
            ),
            empty("search-x", t("knowledge.found_nothing_title"), t("knowledge.found_nothing_text")),
        ),
    )


def _found(item: rx.Var[FoundItem]) -> rx.Component:
    def vote(v: rx.Var[VoteItem]) -> rx.Component:
        return rx.el.span(
            t_of(v.way, "knowledge.way_"),
            " № ",
            v.rank,
            " (",
            v.score,
            ")",
            rx.cond(v.words != "", rx.fragment(": ", v.words)),
            class_name="ps-sub ps-num",
        )

    return rx.el.article(
        rx.el.div(
            rx.el.b(item.title, style={"font_size": "14px"}),
            rx.cond(item.heading != "", rx.el.span(item.heading, class_name="ps-sub")),
            rx.el.span(t("knowledge.sure_n", n=item.sure), class_name="ps-sub ps-num", style={"margin_left": "auto"}),
            rx.cond(
                item.goes,
                rx.badge(rx.icon("check", size=12), t("knowledge.goes"), color_scheme="iris", high_contrast=True),
                rx.badge(t("knowledge.stays"), color_scheme="gray", high_contrast=True),
            ),
            class_name="ps-found-head",
        ),
        rx.el.p(rx.foreach(item.pieces, lambda p: rx.cond(p.is_hit, rx.el.mark(p.text), rx.el.span(p.text)))),
        rx.el.div(rx.foreach(item.votes, vote), class_name="ps-found-head"),
        class_name="ps-found",
        data_goes=item.goes,
        data_testid="found",
        key=item.key,
    )
