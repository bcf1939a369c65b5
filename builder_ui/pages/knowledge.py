"""The list of knowledge bases."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import Ticker
from builder_ui.components.parts import empty, field, head, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t
from builder_ui.pages.knowledge_state import BaseItem, Knowledge


def knowledge_page() -> rx.Component:
    """All bases of the workspace."""
    create = rx.button(rx.icon("plus", size=16), t("knowledge.add"), on_click=Knowledge.begin, data_testid="add-base")
    return page(
        head(t("knowledge.title"), t("knowledge.lead"), rx.cond(Knowledge.may_edit, create)),
        rx.cond(
            Knowledge.is_loaded,
            rx.cond(
                Knowledge.bases.length() > 0,
                rx.el.div(rx.foreach(Knowledge.bases, _base), class_name="ps-list", role="list"),
                empty(
                    "book-open",
                    t("knowledge.empty_title"),
                    t("knowledge.empty_text"),
                    rx.cond(
                        Knowledge.may_edit,
                        rx.button(rx.icon("plus", size=16), t("knowledge.add"), on_click=Knowledge.begin),
                    ),
                ),
            ),
            skeleton(3),
        ),
        Ticker.create(active=Knowledge.is_working, every=3000, on_tick=Knowledge.tick),
        _form(),
        title=t("knowledge.title"),
        place="knowledge",
        width="narrow",
    )


def _base(base: rx.Var[BaseItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.flex(
                rx.link(base.name, href=base.path, class_name="ps-cover ps-truncate", underline="none"),
                rx.cond(
                    base.working > 0,
                    rx.badge(
                        rx.icon("loader", size=12),
                        t("knowledge.reading_n", n=base.working),
                        color_scheme="blue",
                        high_contrast=True,
                    ),
                ),
                rx.cond(
                    base.failed > 0,
                    rx.badge(
                        rx.icon("triangle-alert", size=12),
                        t("knowledge.failed_n", n=base.failed),
                        color_scheme="red",
                        high_contrast=True,
                    ),
                ),
                rx.cond(
                    base.questions > 0,
                    rx.badge(
                        rx.icon("message-circle-question", size=12),
                        t("questions.open_n", n=base.questions),
                        color_scheme="amber",
                        high_contrast=True,
                    ),
                ),
                spacing="2",
                align="center",
                min_width="0",
                wrap="wrap",
            ),
            rx.cond(base.description != "", rx.el.div(base.description, class_name="ps-sub ps-truncate")),
            rx.el.div(
                t("knowledge.documents_n", n=base.documents),
                " · ",
                t("knowledge.passages_n", n=base.passages),
                " · ",
                rx.cond(base.embedder == "", t("knowledge.by_words"), t("knowledge.by_meaning")),
                class_name="ps-sub ps-num",
            ),
            style={"min_width": 0, "display": "grid", "gap": "3px"},
        ),
        class_name="ps-row",
        role="listitem",
        data_link="true",
        key=base.id,
    )


def _form() -> rx.Component:
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("knowledge.add"), size="5"),
            rx.dialog.description(t("knowledge.form_lead"), class_name="ps-lead", style={"margin": "0 0 16px"}),
            rx.form(
                rx.el.div(
                    field(
                        t("knowledge.name"),
                        rx.text_field(
                            id="base-name", name="name", required=True, max_length=200,
                            placeholder=t("knowledge.name_placeholder"),
                        ),
                        field_id="base-name",
                    ),
                    field(
                        t("knowledge.description"),
                        rx.text_field(id="base-description", name="description", max_length=1000),
                        field_id="base-description",
                        hint=t("knowledge.description_hint"),
                    ),
                    class_name="ps-form",
                    style={"max_width": "none"},
                ),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(t("knowledge.create"), type="submit", loading=Knowledge.is_saving, data_testid="save-base"),
                    spacing="3",
                    justify="end",
                    margin_top="20px",
                ),
                on_submit=Knowledge.save,
            ),
            max_width="480px",
        ),
        open=Knowledge.is_form_open,
        on_open_change=Knowledge.close_form,
    )  # fmt: skip
