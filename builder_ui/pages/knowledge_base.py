"""One knowledge base: documents by category, what each was split into, trying queries, settings."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.browser import DropFiles, Ticker, When
from builder_ui.components.parts import confirm, empty, head, search_box, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t, t_of
from builder_ui.pages.knowledge_base_state import CategoryItem, DocumentItem, KnowledgeBase
from builder_ui.pages.knowledge_beside_state import KnowledgeBeside
from builder_ui.pages.knowledge_exchange import travel_dialog, travel_line, travel_menu
from builder_ui.pages.knowledge_form import category_dialog, document_dialog, versions_dialog
from builder_ui.pages.knowledge_passages import passages_dialog
from builder_ui.pages.knowledge_questions import questions_tab, tab_label
from builder_ui.pages.knowledge_settings import settings_tab
from builder_ui.pages.knowledge_try import try_tab

KINDS = (("article", "file-text"), ("pair", "messages-square"), ("page", "globe"))


def knowledge_base_page() -> rx.Component:
    """The page."""
    return page(
        rx.cond(
            KnowledgeBase.is_loaded,
            rx.cond(KnowledgeBase.is_missing, _missing(), _content()),
            skeleton(4),
        ),
        Ticker.create(active=KnowledgeBase.is_working, every=1500, on_tick=KnowledgeBase.tick),
        document_dialog(),
        category_dialog(),
        passages_dialog(),
        versions_dialog(),
        travel_dialog(),
        *_questions(),
        title=t("knowledge.title"),
        place="knowledge",
    )


def _missing() -> rx.Component:
    back = rx.button(t("knowledge.all_bases"), on_click=rx.redirect("/knowledge"))
    return empty("book-x", t("knowledge.missing_title"), t("knowledge.missing_text"), back)


def _content() -> rx.Component:
    def tab(name: str) -> rx.Component:
        return rx.tabs.trigger(t(f"knowledge.tab_{name}"), value=name)

    return rx.fragment(
        rx.link(
            rx.icon("arrow-left", size=14), t("knowledge.all_bases"), href="/knowledge", size="2",
            style={"display": "inline-flex", "gap": "6px", "align_items": "center", "margin_bottom": "10px"},
        ),
        head(
            rx.heading(KnowledgeBase.base.name, as_="h1", size="6", trim="start"),
            KnowledgeBase.base.description,
            travel_menu(),
            rx.cond(KnowledgeBase.may_edit, _add_menu()),
        ),
        travel_line(),
        rx.tabs.root(
            rx.tabs.list(
                tab("documents"),
                rx.tabs.trigger(tab_label(), value="questions"),
                tab("try"),
                rx.cond(KnowledgeBase.may_edit, tab("settings")),
            ),
            rx.tabs.content(_documents(), value="documents", padding_top="18px"),
            rx.tabs.content(questions_tab(), value="questions", padding_top="18px"),
            rx.tabs.content(try_tab(), value="try", padding_top="18px"),
            rx.tabs.content(settings_tab(), value="settings", padding_top="18px"),
            value=KnowledgeBase.tab,
            on_change=KnowledgeBase.show,
        ),
    )  # fmt: skip


def _add_menu() -> rx.Component:
    return rx.dropdown_menu.root(
        rx.dropdown_menu.trigger(
            rx.button(rx.icon("plus", size=16), t("knowledge.add_document"), data_testid="add-document")
        ),
        rx.dropdown_menu.content(
            *[
                rx.dropdown_menu.item(
                    rx.icon(icon, size=15), t(f"knowledge.add_{kind}"), on_select=KnowledgeBase.begin(kind)
                )
                for kind, icon in KINDS
            ],
            align="end",
        ),
    )


def _documents() -> rx.Component:
    nothing = rx.cond(
        (KnowledgeBase.search == "") & (KnowledgeBase.category == ""),
        empty(
            "file-plus-2",
            t("knowledge.no_documents_title"),
            t("knowledge.no_documents_text"),
            rx.cond(
                KnowledgeBase.may_edit,
                rx.button(t("knowledge.add_article"), on_click=KnowledgeBase.begin("article"), variant="soft"),
            ),
        ),
        empty("search-x", t("knowledge.nothing_title"), t("knowledge.nothing_text")),
    )
    return rx.el.div(
        _categories(),
        rx.el.div(
            rx.cond(
                KnowledgeBase.may_edit,
                DropFiles.create(
                    base=KnowledgeBase.base.id, category=KnowledgeBase.category, on_done=KnowledgeBase.tick
                ),
            ),
            rx.el.div(
                search_box(t("knowledge.search"), KnowledgeBase.search, KnowledgeBase.find),
                class_name="ps-tools",
                style={"margin_top": "14px"},
            ),
            rx.cond(
                KnowledgeBase.documents.length() > 0,
                rx.el.div(
                    rx.foreach(KnowledgeBase.documents, _document), class_name="ps-list ps-documents", role="list"
                ),
                nothing,
            ),
            rx.cond(
                KnowledgeBase.has_more,
                rx.button(t("common.show_more"), variant="soft", margin_top="12px", on_click=KnowledgeBase.show_more),
            ),
            style={"min_width": 0},
        ),
        class_name="ps-knowledge",
    )


def _categories() -> rx.Component:
    return rx.el.nav(
        rx.el.div(
            rx.el.button(
                rx.icon("layers", size=15),
                rx.el.span(t("knowledge.all_documents"), class_name="ps-truncate"),
                rx.el.span(KnowledgeBase.base.documents, class_name="ps-num"),
                on_click=KnowledgeBase.choose_category(""),
                type="button",
            ),
            class_name="ps-category",
            data_chosen=KnowledgeBase.category == "",
        ),
        rx.foreach(KnowledgeBase.categories, _category),
        rx.cond(
            KnowledgeBase.may_edit,
            rx.button(
                rx.icon("folder-plus", size=15),
                t("knowledge.add_category"),
                on_click=KnowledgeBase.begin_category(""),
                variant="ghost",
                color_scheme="gray",
                size="2",
                style={"margin": "6px 0 0 2px", "justify_content": "flex-start"},
            ),
        ),
        class_name="ps-categories",
        aria_label=t("knowledge.categories"),
    )


def _category(item: rx.Var[CategoryItem]) -> rx.Component:
    return rx.el.div(
        rx.el.button(
            rx.icon("folder", size=15),
            rx.el.span(item.name, class_name="ps-truncate"),
            rx.el.span(item.documents, class_name="ps-num"),
            on_click=KnowledgeBase.choose_category(item.id),
            type="button",
            style={"margin_left": item.indent},
        ),
        rx.cond(
            KnowledgeBase.may_edit & (KnowledgeBase.category == item.id),
            rx.dropdown_menu.root(
                rx.dropdown_menu.trigger(
                    rx.icon_button(
                        rx.icon("ellipsis", size=15), variant="ghost", color_scheme="gray", size="1",
                        aria_label=t("knowledge.category_menu", name=item.name),
                    )
                ),
                rx.dropdown_menu.content(
                    rx.dropdown_menu.item(t("knowledge.rename"), on_select=KnowledgeBase.begin_category(item.id)),
                    rx.dropdown_menu.item(
                        t("common.delete"), color="red", on_select=KnowledgeBase.ask_delete_category(item.id)
                    ),
                ),
            ),
        ),
        class_name="ps-category",
        data_chosen=KnowledgeBase.category == item.id,
        key=item.id,
    )  # fmt: skip


def _document(item: rx.Var[DocumentItem]) -> rx.Component:
    icon = rx.match(
        item.kind,
        ("article", rx.icon("file-text", size=17)),
        ("pair", rx.icon("messages-square", size=17)),
        ("page", rx.icon("globe", size=17)),
        rx.icon("file", size=17),
    )
    about = rx.el.div(
        t_of(item.kind, "knowledge.kind_"),
        rx.cond(item.category != "", rx.fragment(" · ", item.category)),
        rx.cond(item.is_attached, rx.fragment(" · ", t("exchange.attached_to"))),
        rx.cond(item.passages > 0, rx.fragment(" · ", t("knowledge.passages_n", n=item.passages))),
        rx.cond(item.language != "", rx.fragment(" · ", t_of(item.language, "knowledge.language_"))),
        rx.cond(item.read_at != "", rx.fragment(" · ", When.create(iso=item.read_at))),
        rx.cond(item.every_days > 0, rx.fragment(" · ", t("knowledge.every_n", n=item.every_days))),
        rx.cond(
            item.answers > 0,
            rx.fragment(
                " · ",
                rx.el.span(
                    t("questions.used_n", n=item.answers),
                    rx.cond(item.helpful > 0, rx.fragment(", ", rx.icon("thumbs-up", size=12), " ", item.helpful)),
                    rx.cond(
                        item.unhelpful > 0, rx.fragment(", ", rx.icon("thumbs-down", size=12), " ", item.unhelpful)
                    ),
                    title=t("questions.used_title", good=item.helpful, bad=item.unhelpful),
                    class_name="ps-used",
                ),
            ),
        ),
        class_name="ps-sub ps-num",
    )
    return rx.el.div(
        rx.el.div(icon, class_name="ps-doc-tile", custom_attrs={"aria-hidden": "true"}),
        rx.el.div(
            rx.el.button(
                item.title,
                class_name="ps-title-button ps-truncate",
                type="button",
                on_click=[KnowledgeBase.look(item.id), KnowledgeBeside.look(item.id)],
            ),
            about,
            rx.cond(
                item.error != "",
                rx.el.div(
                    t_of(item.error, "knowledge.error_", about=item.error_about, otherwise=item.error_about),
                    class_name="ps-doc-error",
                    role="note",
                ),
            ),
            style={"min_width": 0, "display": "grid", "gap": "3px"},
        ),
        rx.el.div(_state(item), class_name="ps-doc-state"),
        rx.cond(KnowledgeBase.may_edit, _menu(item), rx.el.span()),
        class_name="ps-row",
        role="listitem",
        key=item.id,
        data_testid="document",
        data_state=item.state,
    )


def _state(item: rx.Var[DocumentItem]) -> rx.Component:
    def badge(icon: str, color: str) -> rx.Component:
        return rx.badge(
            rx.icon(icon, size=12, custom_attrs={"aria-hidden": "true"}),
            t_of(item.state, "knowledge.state_"),
            color_scheme=color,
            high_contrast=True,
        )

    return rx.flex(
        rx.cond(
            item.has_draft & (item.state != "draft"),
            rx.badge(t("knowledge.has_draft"), color_scheme="gray", high_contrast=True),
        ),
        rx.cond(
            item.is_working,
            rx.el.div(
                rx.el.span(t_of(item.state, "knowledge.state_"), class_name="ps-sub"),
                rx.progress(value=item.progress, size="1", width="110px"),
                style={"display": "grid", "gap": "4px"},
            ),
            rx.match(
                item.state,
                ("ready", badge("check", "green")),
                ("draft", badge("pencil", "gray")),
                badge("circle-x", "red"),
            ),
        ),
        spacing="2",
        align="center",
        wrap="wrap",
    )


def _menu(item: rx.Var[DocumentItem]) -> rx.Component:
    written = (item.kind == "article") | (item.kind == "pair")
    return rx.dropdown_menu.root(
        rx.dropdown_menu.trigger(
            rx.icon_button(
                rx.icon("ellipsis", size=17), variant="ghost", color_scheme="gray",
                aria_label=t("knowledge.document_menu", name=item.title),
            )
        ),
        rx.dropdown_menu.content(
            rx.cond(
                written,
                rx.dropdown_menu.item(
                    rx.icon("pencil", size=15), t("knowledge.edit"), on_select=KnowledgeBase.edit(item.id)
                ),
            ),
            rx.cond(
                written,
                rx.dropdown_menu.item(
                    rx.icon("history", size=15), t("knowledge.versions"), on_select=KnowledgeBase.show_versions(item.id)
                ),
            ),
            rx.dropdown_menu.item(
                rx.icon("rows-3", size=15), t("knowledge.see_passages"),
                on_select=[KnowledgeBase.look(item.id), KnowledgeBeside.look(item.id)],
            ),
            rx.cond(
                item.file_path != "",
                rx.dropdown_menu.item(
                    rx.icon("download", size=15), t("knowledge.download"), on_select=_leave(item.file_path)
                ),
            ),
            rx.cond(
                item.url != "",
                rx.dropdown_menu.item(
                    rx.icon("external-link", size=15), t("knowledge.open_page"), on_select=_leave(item.url)
                ),
            ),
            rx.cond(
                KnowledgeBase.categories.length() > 0,
                rx.dropdown_menu.sub(
                    rx.dropdown_menu.sub_trigger(rx.icon("folder-input", size=15), t("knowledge.move")),
                    rx.dropdown_menu.sub_content(
                        rx.dropdown_menu.item(t("knowledge.no_category"), on_select=KnowledgeBase.move(item.id, "")),
                        rx.foreach(
                            KnowledgeBase.categories,
                            lambda c: rx.dropdown_menu.item(c.name, on_select=KnowledgeBase.move(item.id, c.id)),
                        ),
                    ),
                ),
            ),
            rx.cond(
                item.state != "draft",
                rx.dropdown_menu.item(
                    rx.icon("refresh-cw", size=15), t("knowledge.read_again"), on_select=KnowledgeBase.read_again(item.id)
                ),
            ),
            rx.dropdown_menu.separator(),
            rx.dropdown_menu.item(
                rx.icon("trash-2", size=15), t("common.delete"), color="red", on_select=KnowledgeBase.ask_delete(item.id)
            ),
            align="end",
        ),
    )  # fmt: skip


def _leave(path: rx.Var[str]) -> Any:
    """Open an address that is no page of the screens, in a tab of its own."""
    return rx.call_script("window.open(" + path.to(str).to_string() + ", '_blank', 'noopener')")


def _questions() -> tuple[rx.Component, ...]:
    return (
        confirm(
            is_open=KnowledgeBase.deleting.id != "",
            title=t("knowledge.delete_document_title", name=KnowledgeBase.deleting.title),
            text=rx.text(t("knowledge.delete_document_text")),
            do=t("common.delete"),
            on_do=KnowledgeBase.delete,
            on_close=KnowledgeBase.keep,
        ),
        confirm(
            is_open=KnowledgeBase.deleting_category.id != "",
            title=t("knowledge.delete_category_title", name=KnowledgeBase.deleting_category.name),
            text=rx.text(t("knowledge.delete_category_text")),
            do=t("common.delete"),
            on_do=KnowledgeBase.delete_category,
            on_close=KnowledgeBase.keep,
        ),
        confirm(
            is_open=KnowledgeBase.is_deleting_base,
            title=t("knowledge.delete_base_title", name=KnowledgeBase.base.name),
            text=rx.text(t("knowledge.delete_base_text", n=KnowledgeBase.base.documents)),
            do=t("knowledge.delete_base"),
            on_do=KnowledgeBase.delete_base,
            on_close=KnowledgeBase.keep,
        ),
    )
