"""Taking a base out as a file, and bringing one in: a menu, a dialog with its progress, and a line while it is closed."""

from __future__ import annotations

from typing import Final

import reflex as rx

from builder_ui.browser import BringFile
from builder_ui.i18n import t
from builder_ui.pages.knowledge_base_state import KnowledgeBase
from builder_ui.pages.knowledge_exchange_state import KnowledgeTravel, ProblemItem

_OUT: Final = (
    ("knowledge.zip", "package", "out_zip"),
    ("knowledge.json", "braces", "out_json"),
    ("pairs.csv", "table", "out_csv"),
)


def travel_menu() -> rx.Component:
    """In the head of the page."""
    return rx.dropdown_menu.root(
        rx.dropdown_menu.trigger(
            rx.button(
                rx.icon("arrow-down-up", size=15), t("exchange.travel"), variant="soft", color_scheme="gray",
                data_testid="travel",
            )
        ),
        rx.dropdown_menu.content(
            *[
                rx.dropdown_menu.item(
                    rx.icon(icon, size=15),
                    t(f"exchange.{word}"),
                    on_select=rx.call_script(
                        "window.location.assign('/api/builder/knowledge/' + "
                        + KnowledgeBase.base.id.to(str).to_string()
                        + f" + '/{file}')"
                    ),
                )
                for file, icon, word in _OUT
            ],
            rx.cond(
                KnowledgeBase.may_edit,
                rx.fragment(
                    rx.dropdown_menu.separator(),
                    rx.dropdown_menu.item(
                        rx.icon("file-input", size=15), t("exchange.bring_in"), on_select=KnowledgeTravel.show(True),
                        data_testid="bring-in",
                    ),
                ),
            ),
            align="end",
        ),
    )  # fmt: skip


def travel_dialog() -> rx.Component:
    """Choose a file; then how far it is, and what of it was not taken in."""
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("exchange.bring_in_title"), size="5"),
            rx.dialog.description(t("exchange.bring_in_lead"), class_name="ps-lead", style={"margin": "0 0 14px"}),
            rx.cond(
                KnowledgeTravel.work.id == "",
                rx.fragment(
                    rx.el.pre(t("exchange.bring_in_example"), class_name="ps-sample"),
                    BringFile.create(
                        base=KnowledgeBase.base.id, label=t("exchange.bring_in_choose"), on_kept=KnowledgeTravel.kept
                    ),
                ),
                rx.fragment(_bar(), _problems()),
            ),
            rx.flex(
                rx.dialog.close(rx.button(t("common.close"), variant="soft", color_scheme="gray")),
                justify="end",
                margin_top="16px",
            ),
            max_width="620px",
        ),
        open=KnowledgeTravel.is_open,
        on_open_change=KnowledgeTravel.show,
    )


def travel_line() -> rx.Component:
    """While a file is taken in and the dialog is closed."""
    return rx.cond(
        (KnowledgeTravel.work.state == "waiting") & ~KnowledgeTravel.is_open,
        rx.el.section(_bar(), class_name="ps-card", style={"margin_bottom": "16px"}),
    )


def _bar() -> rx.Component:
    work = KnowledgeTravel.work
    return rx.el.div(
        rx.el.div(work.name, class_name="ps-truncate", style={"font_weight": 500, "margin_bottom": "6px"}),
        rx.match(
            work.state,
            (
                "waiting",
                rx.fragment(
                    rx.el.p(t("exchange.bring_in_going", done=work.position, total=work.total), class_name="ps-num"),
                    rx.progress(value=work.percent, aria_label=t("exchange.bring_in_title")),
                    rx.button(
                        t("exchange.bring_in_stop"), size="1", variant="soft", color_scheme="gray", margin_top="8px",
                        on_click=KnowledgeTravel.cancel,
                    ),
                ),
            ),
            ("failed", rx.el.p(work.error, role="alert", class_name="ps-doc-error")),
            rx.el.p(
                rx.cond(work.state == "canceled", rx.fragment(t("exchange.bring_in_canceled"), " ")),
                t(
                    "exchange.bring_in_done",
                    created=work.created, updated=work.updated, unchanged=work.unchanged, broken=work.broken,
                ),
                role="status",
            ),
        ),
        data_testid="bring-in-progress",
        data_state=work.state,
    )  # fmt: skip


def _problems() -> rx.Component:
    def line(item: rx.Var[ProblemItem]) -> rx.Component:
        return rx.el.div(
            rx.el.b(t("exchange.bring_in_entry", n=item.entry), class_name="ps-num"),
            rx.cond(item.about != "", rx.fragment(" ", rx.el.span(item.about))),
            rx.el.div(item.message, class_name="ps-doc-error"),
            style={"padding": "8px 12px", "border_bottom": "1px solid var(--gray-4)"},
            data_testid="bring-in-problem",
        )

    return rx.cond(
        KnowledgeTravel.problems.length() > 0,
        rx.el.div(
            rx.foreach(KnowledgeTravel.problems, line),
            class_name="ps-list",
            style={"max_height": "40vh", "overflow": "auto", "margin_top": "12px"},
        ),
    )
