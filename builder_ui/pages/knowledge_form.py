"""The forms of a knowledge base: an article with its preview, a question with its answer, a web page, a category."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import field
from builder_ui.i18n import t, t_of
from builder_ui.pages.knowledge_base_state import KnowledgeBase, VersionItem
from builder_ui.pages.knowledge_questions_state import KnowledgeQuestions


def document_dialog() -> rx.Component:
    """For a new document, or one that was written here."""
    is_new = KnowledgeBase.form_id == ""
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(
                rx.cond(
                    is_new,
                    t_of(KnowledgeBase.form_kind, "knowledge.add_", otherwise=""),
                    t_of(KnowledgeBase.form_kind, "knowledge.edit_", otherwise=""),
                ),
                size="5",
            ),
            rx.dialog.description(
                t_of(KnowledgeBase.form_kind, "knowledge.lead_", otherwise=""),
                class_name="ps-lead",
                style={"margin": "0 0 16px"},
            ),
            rx.form(
                rx.match(
                    KnowledgeBase.form_kind,
                    ("article", _article()),
                    ("pair", _pair()),
                    ("page", _page()),
                    rx.fragment(),
                ),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(
                        rx.match(
                            KnowledgeBase.form_kind,
                            ("page", t("knowledge.add_it")),
                            ("pair", t("common.save")),
                            t("knowledge.publish"),
                        ),
                        type="submit",
                        loading=KnowledgeBase.is_saving,
                        data_testid="save-document",
                    ),
                    spacing="3",
                    justify="end",
                    align="center",
                    margin_top="20px",
                ),
                on_submit=[KnowledgeBase.save, KnowledgeQuestions.again],
            ),
            max_width=rx.cond(KnowledgeBase.form_kind == "article", "980px", "560px"),
        ),
        open=KnowledgeBase.form_kind != "",
        on_open_change=KnowledgeBase.close_form,
    )


def _article() -> rx.Component:
    return rx.el.div(
        field(
            t("knowledge.article_title"),
            rx.text_field(
                id="article-title", name="title", required=True, max_length=500, default_value=KnowledgeBase.form_title
            ),
            field_id="article-title",
        ),
        rx.el.div(
            field(
                t("knowledge.text"),
                rx.text_area(
                    id="article-text", name="text", required=True, default_value=KnowledgeBase.form_text,
                    placeholder=t("knowledge.text_placeholder"), on_change=KnowledgeBase.wrote.debounce(400), rows="16",
                ),
                field_id="article-text",
                hint=t("knowledge.text_hint"),
            ),
            rx.el.div(
                rx.el.div(t("knowledge.preview"), class_name="ps-label", style={"margin_bottom": "6px"}),
                rx.cond(
                    KnowledgeBase.form_preview != "",
                    rx.html(KnowledgeBase.form_preview, class_name="ps-markdown"),
                    rx.el.div(t("knowledge.preview_empty"), class_name="ps-markdown ps-hint", style={"padding": "14px 16px"}),
                ),
                style={"min_width": 0},
            ),
            class_name="ps-editor",
        ),
        field(
            t("exchange.told_language"),
            rx.select.root(
                rx.select.trigger(id="article-language", width="220px", aria_label=t("exchange.told_language")),
                rx.select.content(
                    rx.select.item(t("exchange.language_found"), value="found"),
                    *[rx.select.item(t(f"knowledge.language_{code}"), value=code) for code in ("en", "ru", "uk")],
                ),
                name="language",
                default_value=KnowledgeBase.form_language,
            ),
            field_id="article-language",
        ),
        rx.el.label(
            rx.checkbox(name="is_draft", size="2", aria_label=t("knowledge.as_draft")),
            rx.el.span(
                t("knowledge.as_draft"),
                rx.el.span(
                    rx.cond(KnowledgeBase.form_is_published, t("knowledge.draft_hint"), t("knowledge.draft_hint_new")),
                    class_name="ps-hint", style={"display": "block"},
                ),
            ),
            class_name="ps-check ps-check-two",
        ),
        class_name="ps-form",
        style={"max_width": "none"},
    )  # fmt: skip


def _pair() -> rx.Component:
    return rx.el.div(
        field(
            t("knowledge.question"),
            rx.text_field(
                id="pair-question", name="title", required=True, max_length=500, default_value=KnowledgeBase.form_title,
                placeholder=t("knowledge.question_placeholder"),
            ),
            field_id="pair-question",
        ),
        field(
            t("knowledge.answer"),
            rx.text_area(id="pair-answer", name="text", required=True, default_value=KnowledgeBase.form_text, rows="6"),
            field_id="pair-answer",
        ),
        class_name="ps-form",
        style={"max_width": "none"},
    )  # fmt: skip


def _page() -> rx.Component:
    return rx.el.div(
        field(
            t("knowledge.url"),
            rx.text_field(
                id="page-url", name="url", type="url", required=True, max_length=2000,
                placeholder="https://example.com/delivery",
            ),
            field_id="page-url",
            hint=t("knowledge.url_hint"),
        ),
        rx.el.label(
            rx.checkbox(name="is_site", size="2", aria_label=t("knowledge.is_site")),
            rx.el.span(
                t("knowledge.is_site"),
                rx.el.span(t("knowledge.is_site_hint"), class_name="ps-hint", style={"display": "block"}),
            ),
            class_name="ps-check ps-check-two",
        ),
        field(
            t("knowledge.every_days"),
            rx.text_field(id="page-days", name="every_days", type="number", min=0, max=365, default_value="0", width="120px"),
            field_id="page-days",
            hint=t("knowledge.every_days_hint"),
        ),
        class_name="ps-form",
        style={"max_width": "none"},
    )  # fmt: skip


def category_dialog() -> rx.Component:
    """For the name of a category."""
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(
                rx.cond(KnowledgeBase.category_form == "new", t("knowledge.add_category"), t("knowledge.rename")), size="4"
            ),
            rx.form(
                field(
                    t("knowledge.category_name"),
                    rx.text_field(
                        id="category-name", name="name", required=True, max_length=200,
                        default_value=KnowledgeBase.category_name,
                    ),
                    field_id="category-name",
                ),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(t("common.save"), type="submit"),
                    spacing="3",
                    justify="end",
                    margin_top="20px",
                ),
                on_submit=KnowledgeBase.save_category,
            ),
            max_width="420px",
            aria_describedby="",
        ),
        open=KnowledgeBase.category_form != "",
        on_open_change=KnowledgeBase.close_category,
    )  # fmt: skip


def versions_dialog() -> rx.Component:
    """What an article said before, each with a way back."""

    def version(item: rx.Var[VersionItem]) -> rx.Component:
        return rx.el.div(
            rx.el.div(
                rx.el.b(t("knowledge.version_n", n=item.number), class_name="ps-num"),
                When.create(iso=item.at),
                rx.cond(item.member != "", rx.el.span(item.member)),
                rx.el.span(style={"margin_left": "auto"}),
                rx.cond(
                    item.is_newest,
                    rx.badge(t("knowledge.version_now"), color_scheme="green", high_contrast=True),
                    rx.cond(
                        KnowledgeBase.may_edit,
                        rx.button(
                            rx.icon("undo-2", size=14), t("knowledge.restore"), size="2", variant="soft",
                            on_click=KnowledgeBase.restore(item.number), data_testid="restore",
                        ),
                    ),
                ),
                class_name="ps-found-head ps-sub",
            ),
            rx.el.details(
                rx.el.summary(item.title, style={"cursor": "pointer", "font_size": "13.5px"}),
                rx.el.p(item.text, style={"margin_top": "8px", "max_height": "320px", "overflow": "auto"}),
            ),
            class_name="ps-found",
            key=item.number.to_string(),
            data_testid="version",
        )  # fmt: skip

    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(KnowledgeBase.aged.title, size="5"),
            rx.dialog.description(t("knowledge.versions_lead"), class_name="ps-lead", style={"margin": "0 0 14px"}),
            rx.el.div(rx.foreach(KnowledgeBase.versions, version), style={"display": "grid", "gap": "10px"}),
            rx.flex(
                rx.dialog.close(rx.button(t("common.close"), variant="soft", color_scheme="gray")),
                justify="end",
                margin_top="16px",
            ),
            max_width="680px",
        ),
        open=KnowledgeBase.aged.id != "",
        on_open_change=KnowledgeBase.close_versions,
    )
