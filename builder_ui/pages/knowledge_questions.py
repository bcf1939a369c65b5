"""Questions without an answer: what people asked in vain, how often, and one press to write the answer."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import card, empty
from builder_ui.i18n import t, t_of
from builder_ui.pages.knowledge_base_state import KnowledgeBase
from builder_ui.pages.knowledge_questions_state import (
    STATES,
    AskingItem,
    KnowledgeQuestions,
    QuestionItem,
    StaleItem,
    TwinItem,
)


def questions_tab() -> rx.Component:
    """The list with its filters, and what to tidy up."""
    return rx.el.div(
        _filters(),
        rx.cond(
            KnowledgeQuestions.questions.length() > 0,
            rx.el.div(
                rx.foreach(KnowledgeQuestions.questions, _question), class_name="ps-list ps-questions", role="list"
            ),
            rx.match(
                KnowledgeQuestions.state,
                ("answered", empty("circle-check", t("questions.none_answered"), t("questions.none_answered_text"))),
                ("dismissed", empty("archive", t("questions.none_dismissed"), t("questions.none_dismissed_text"))),
                empty("party-popper", t("questions.none_open"), t("questions.none_open_text")),
            ),
        ),
        _tidy(),
        _dialog(),
        style={"max_width": "960px"},
    )


def tab_label() -> rx.Component:
    """The name of the tab with how many are open."""
    return rx.fragment(
        t("questions.tab"),
        rx.cond(
            KnowledgeQuestions.open_count > 0,
            rx.badge(
                KnowledgeQuestions.open_count,
                color_scheme="amber",
                high_contrast=True,
                radius="full",
                margin_left="6px",
            ),
        ),
    )


def _filters() -> rx.Component:
    return rx.el.div(
        rx.segmented_control.root(
            *[rx.segmented_control.item(t(f"questions.state_{state}"), value=state) for state in STATES],
            value=KnowledgeQuestions.state,
            on_change=KnowledgeQuestions.choose_state,
        ),
        rx.cond(
            KnowledgeQuestions.agents.length() > 1,
            rx.select.root(
                rx.select.trigger(aria_label=t("questions.agent")),
                rx.select.content(
                    rx.select.item(t("questions.all_agents"), value="all"),
                    rx.foreach(KnowledgeQuestions.agents, lambda a: rx.select.item(a.name, value=a.id)),
                ),
                value=rx.cond(KnowledgeQuestions.agent == "", "all", KnowledgeQuestions.agent),
                on_change=KnowledgeQuestions.choose_agent,
            ),
        ),
        class_name="ps-tools",
    )


def _question(item: rx.Var[QuestionItem]) -> rx.Component:
    about = rx.el.div(
        t("questions.people_n", n=item.people),
        " · ",
        When.create(iso=item.asked_at),
        rx.cond(item.agent != "", rx.fragment(" · ", item.agent)),
        " · ",
        t_of(item.reason, "questions.reason_"),
        class_name="ps-sub ps-num",
    )
    return rx.el.div(
        rx.el.div(
            rx.el.button(
                item.text, class_name="ps-title-button", type="button", on_click=KnowledgeQuestions.look(item.id)
            ),
            about,
            rx.cond(
                item.document != "",
                rx.el.div(
                    rx.icon("file-text", size=13, custom_attrs={"aria-hidden": "true"}),
                    t("questions.written", title=item.document),
                    class_name="ps-sub",
                    style={"display": "flex", "gap": "5px", "align_items": "center"},
                ),
            ),
            style={"min_width": 0, "display": "grid", "gap": "3px"},
        ),
        rx.cond(KnowledgeBase.may_edit, _actions(item), rx.el.span()),
        class_name="ps-row",
        role="listitem",
        key=item.id,
        data_testid="question",
    )


def _actions(item: rx.Var[QuestionItem]) -> rx.Component:
    write = rx.cond(
        item.document_id == "",
        rx.flex(
            rx.button(
                rx.icon("file-text", size=14), t("questions.write_article"), size="2", variant="soft",
                on_click=KnowledgeQuestions.write(item.id, "article"), data_testid="write-article",
            ),
            rx.button(
                rx.icon("messages-square", size=14), t("questions.write_pair"), size="2", variant="soft",
                color_scheme="gray", on_click=KnowledgeQuestions.write(item.id, "pair"), data_testid="write-pair",
            ),
            spacing="2",
            wrap="wrap",
        ),
        rx.button(
            rx.icon("pencil", size=14), t("questions.edit_answer"), size="2", variant="soft",
            on_click=KnowledgeBase.edit(item.document_id),
        ),
    )  # fmt: skip
    menu = rx.dropdown_menu.root(
        rx.dropdown_menu.trigger(
            rx.icon_button(
                rx.icon("ellipsis", size=17), variant="ghost", color_scheme="gray",
                aria_label=t("questions.menu", text=item.text),
            )
        ),
        rx.dropdown_menu.content(
            rx.dropdown_menu.item(
                rx.icon("message-circle", size=15), t("questions.open_talk"), on_select=rx.redirect(item.talk_path)
            ),
            rx.cond(
                KnowledgeQuestions.state == "dismissed",
                rx.dropdown_menu.item(
                    rx.icon("undo-2", size=15), t("questions.reopen"), on_select=KnowledgeQuestions.reopen(item.id)
                ),
                rx.dropdown_menu.item(
                    rx.icon("archive", size=15), t("questions.dismiss"), on_select=KnowledgeQuestions.dismiss(item.id)
                ),
            ),
            align="end",
        ),
    )  # fmt: skip
    return rx.flex(write, menu, spacing="3", align="center", class_name="ps-question-acts")


def _dialog() -> rx.Component:
    def asking(item: rx.Var[AskingItem]) -> rx.Component:
        return rx.el.div(
            rx.el.div(
                rx.el.b(item.text, style={"font_size": "14px", "font_weight": 500, "overflow_wrap": "anywhere"}),
                class_name="ps-found-head",
            ),
            rx.el.div(
                When.create(iso=item.asked_at),
                rx.el.span(item.agent),
                rx.el.span(t_of(item.reason, "questions.reason_")),
                rx.el.span(t("questions.best_n", n=item.best)),
                rx.link(t("questions.open_talk"), href=item.talk_path, size="1"),
                class_name="ps-found-head ps-sub ps-num",
            ),
            class_name="ps-found",
            key=item.key,
        )

    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(KnowledgeQuestions.opened.text, size="4"),
            rx.dialog.description(
                t("questions.people_n", n=KnowledgeQuestions.opened.people), class_name="ps-lead",
                style={"margin": "0 0 14px"},
            ),
            rx.el.div(rx.foreach(KnowledgeQuestions.askings, asking), style={"display": "grid", "gap": "10px"}),
            rx.flex(
                rx.dialog.close(rx.button(t("common.close"), variant="soft", color_scheme="gray")),
                rx.cond(
                    KnowledgeBase.may_edit & (KnowledgeQuestions.opened.document_id == ""),
                    rx.fragment(
                        rx.button(
                            t("questions.write_pair"), variant="soft",
                            on_click=KnowledgeQuestions.write(KnowledgeQuestions.opened.id, "pair"),
                        ),
                        rx.button(
                            t("questions.write_article"),
                            on_click=KnowledgeQuestions.write(KnowledgeQuestions.opened.id, "article"),
                        ),
                    ),
                ),
                spacing="3", justify="end", wrap="wrap", margin_top="16px",
            ),
            max_width="680px",
        ),
        open=KnowledgeQuestions.opened.id != "",
        on_open_change=KnowledgeQuestions.close_look,
    )  # fmt: skip


def _tidy() -> rx.Component:
    def stale(item: rx.Var[StaleItem]) -> rx.Component:
        return rx.el.li(
            rx.el.button(item.title, class_name="ps-title-button", type="button", on_click=KnowledgeBase.look(item.id)),
            " ",
            rx.el.span(t("questions.changed"), " ", When.create(iso=item.changed_at), class_name="ps-sub"),
            key=item.id,
        )

    def twin(item: rx.Var[TwinItem]) -> rx.Component:
        return rx.el.li(
            rx.el.b(item.one, style={"font_weight": 500}), " = ", rx.el.b(item.other, style={"font_weight": 500}), " ",
            rx.el.span(t("questions.same_n", n=item.passages), class_name="ps-sub"),
            key=item.key,
        )  # fmt: skip

    lists = {"margin": 0, "padding_left": "18px", "display": "grid", "gap": "6px", "font_size": "14px"}
    return rx.el.div(
        rx.cond(
            KnowledgeQuestions.twins.length() > 0,
            card(
                t("questions.twins"),
                rx.el.ul(rx.foreach(KnowledgeQuestions.twins, twin), style=lists),
                hint=t("questions.twins_hint"),
            ),
        ),
        rx.cond(
            KnowledgeQuestions.stale.length() > 0,
            card(
                t("questions.stale"),
                rx.el.ul(rx.foreach(KnowledgeQuestions.stale, stale), style=lists),
                hint=t("questions.stale_hint"),
            ),
        ),
        style={"margin_top": "24px"},
    )
