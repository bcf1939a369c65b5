"""The triggers on an agent's page: what starts something by itself, switched on and off, and what they left to do."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import card, empty, secret_once
from builder_ui.i18n import t
from builder_ui.pages.agent_triggers_state import FRESH_FIELD, AgentTriggers, NoteItem
from builder_ui.pages.trigger_form import form_dialog
from builder_ui.pages.trigger_rows import ICONS, TriggerItem


def triggers() -> rx.Component:
    """The section with everything about triggers."""
    return rx.fragment(
        secret_once(
            FRESH_FIELD,
            title=rx.el.h2(t("triggers.fresh_title")),
            text=t("triggers.fresh_text"),
            label=t("triggers.secret"),
            is_shown=AgentTriggers.is_fresh_shown,
            on_done=AgentTriggers.forget,
        ),
        rx.cond(AgentTriggers.notes.length() > 0, _notes()),
        rx.cond(
            AgentTriggers.triggers.length() > 0,
            card(
                t("triggers.title"),
                rx.el.div(rx.foreach(AgentTriggers.triggers, _trigger), class_name="ps-list", role="list"),
                rx.cond(AgentTriggers.may_edit, rx.flex(_add(), margin_top="14px")),
                hint=t("triggers.lead"),
            ),
            empty("zap", t("triggers.empty_title"), t("triggers.empty_text"), rx.cond(AgentTriggers.may_edit, _add())),
        ),
        form_dialog(AgentTriggers),
    )


def _add() -> rx.Component:
    return rx.dropdown_menu.root(
        rx.dropdown_menu.trigger(
            rx.button(rx.icon("plus", size=15), t("triggers.add"), variant="soft", data_testid="add-trigger")
        ),
        rx.dropdown_menu.content(
            *[
                rx.dropdown_menu.item(
                    rx.icon(icon, size=15), t(f"triggers.kind_{kind}"), on_select=AgentTriggers.begin(kind),
                    data_testid=f"add-{kind}",
                )
                for kind, icon in ICONS.items()
            ]
        ),
    )  # fmt: skip


def kind_icon(item: rx.Var[TriggerItem]) -> rx.Component:
    """The sign of its kind, in a tile."""
    return rx.el.div(
        rx.match(item.kind, *[(kind, rx.icon(icon, size=18)) for kind, icon in ICONS.items()], rx.icon("zap", size=18)),
        class_name="ps-tile", data_off=~item.is_on, custom_attrs={"aria-hidden": "true"},
    )  # fmt: skip


def _trigger(item: rx.Var[TriggerItem]) -> rx.Component:
    return rx.el.div(
        kind_icon(item),
        rx.el.div(
            rx.link(item.name, href=item.path, class_name="ps-cover ps-truncate", underline="none"),
            rx.el.div(item.sentence, style={"font_size": "13px", "overflow_wrap": "anywhere"}),
            rx.cond(
                item.problem != "",
                rx.el.div(
                    rx.icon("triangle-alert", size=13, custom_attrs={"aria-hidden": "true"}), " ", item.problem,
                    class_name="ps-hint", style={"display": "flex", "gap": "5px", "align_items": "center", "color": "var(--amber-11)"},
                ),
                rx.el.div(
                    rx.cond(
                        item.next_at != "",
                        rx.fragment(t("triggers.next"), " ", When.create(iso=item.next_at), " · "),
                    ),
                    rx.cond(
                        item.fired_at != "",
                        rx.fragment(t("triggers.last"), " ", When.create(iso=item.fired_at), " · ", t("triggers.fired_n", n=item.fired)),
                        t("triggers.never"),
                    ),
                    class_name="ps-sub ps-num",
                ),
            ),
            style={"min_width": 0, "display": "grid", "gap": "3px"},
        ),
        rx.switch(
            checked=item.is_on,
            on_change=lambda is_on: AgentTriggers.switch(item.id, is_on),
            disabled=~AgentTriggers.may_edit,
            aria_label=t("triggers.switch", name=item.name),
            style={"position": "relative", "z_index": 1},
        ),
        class_name="ps-row",
        style={"grid_template_columns": "40px minmax(0, 1fr) auto"},
        data_link="true",
        role="listitem",
        key=item.id,
    )  # fmt: skip


def _notes() -> rx.Component:
    return card(
        t("triggers.notes"),
        rx.el.div(rx.foreach(AgentTriggers.notes, _note), class_name="ps-list", role="list"),
        hint=t("triggers.notes_hint"),
    )


def _note(note: rx.Var[NoteItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.div(note.text, style={"white_space": "pre-wrap", "overflow_wrap": "anywhere"}),
            rx.el.div(
                note.trigger, " · ", rx.cond(note.contact != "", rx.fragment(note.contact, " · ")), When.create(iso=note.at),
                class_name="ps-sub",
            ),
            style={"min_width": 0},
        ),
        rx.button(
            t("triggers.note_done"), variant="soft", color_scheme="gray", size="1", on_click=AgentTriggers.close_note(note.id)
        ),
        class_name="ps-row ps-row-two",
        role="listitem",
        key=note.id,
    )  # fmt: skip
