"""One chain: its steps as sentences, who is inside, what is ahead, and how the steps went."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import StepGrip, When
from builder_ui.components.parts import confirm, empty, field, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t, t_of
from builder_ui.pages.chain_panel import step_panel
from builder_ui.pages.chain_people import enroll_dialog, figures, people, schedule
from builder_ui.pages.chain_people_state import ChainPeople
from builder_ui.pages.chain_play import play
from builder_ui.pages.chain_play_state import ChainPlayer
from builder_ui.pages.chain_rows import StepItem
from builder_ui.pages.chain_rules import rules_dialog
from builder_ui.pages.chain_state import KINDS, ChainPage
from builder_ui.pages.chain_words import ICONS, kind_icon, what, when
from builder_ui.pages.chains import state_badge

TABS = ("steps", "play", "people", "schedule", "figures")


def chain_page() -> rx.Component:
    """The page of one chain."""
    return page(
        rx.link(
            rx.icon("arrow-left", size=15),
            t("chains.back"),
            href="/follow-ups",
            class_name="ps-back",
            underline="hover",
        ),
        rx.cond(
            ChainPage.is_missing,
            empty("calendar-x", t("chains.missing_title"), t("chains.missing_text")),
            rx.cond(ChainPage.is_loaded, _loaded(), skeleton(4)),
        ),
        step_panel(),
        rules_dialog(),
        enroll_dialog(),
        _dialogs(),
        title=t("chains.title"),
        place="follow_ups",
        width="narrow",
    )


def _loaded() -> rx.Component:
    return rx.fragment(
        _head(),
        rx.tabs.root(
            rx.tabs.list(*[rx.tabs.trigger(t(f"chains.tab_{n}"), value=n) for n in TABS], class_name="ps-tabs"),
            rx.tabs.content(_steps(), value="steps", padding_top="18px"),
            rx.tabs.content(play(), value="play", padding_top="18px"),
            rx.tabs.content(people(), value="people", padding_top="18px"),
            rx.tabs.content(schedule(), value="schedule", padding_top="18px"),
            rx.tabs.content(figures(), value="figures", padding_top="18px"),
            default_value="steps",
            on_change=[ChainPeople.look, ChainPlayer.look],
        ),
    )


def _head() -> rx.Component:
    item = ChainPage.item
    return rx.el.header(
        rx.el.div(
            rx.flex(
                rx.heading(item.name, as_="h1", size="6", trim="start", class_name="ps-truncate"), state_badge(item),
                spacing="3", align="center", min_width="0",
            ),
            rx.el.div(
                rx.cond(item.number > 0, rx.fragment(t("chains.version_n", number=item.number), " · "), rx.fragment()),
                t("chains.inside_n", n=item.inside), " · ", t("chains.sent_n", n=item.sent), " · ",
                t("chains.replied_n", n=item.replied),
                class_name="ps-sub ps-num", style={"margin_top": "4px"},
            ),
            class_name="ps-head-words",
        ),
        rx.flex(
            rx.cond(
                item.number > 0,
                rx.switch(checked=item.is_on, on_change=ChainPage.switch, aria_label=t("chains.switch", name=item.name)),
            ),
            rx.cond(
                item.is_on & ChainPeople.may_write,
                rx.button(
                    rx.icon("user-plus", size=15), t("chains.enroll"), variant="soft", on_click=ChainPeople.ask_enroll(True),
                    data_testid="enroll",
                ),
            ),
            rx.cond(
                ChainPage.may_edit & (ChainPage.steps.length() > 0) & ((item.number == 0) | item.has_changes),
                rx.button(t("chains.publish"), on_click=ChainPage.publish, data_testid="publish-chain"),
            ),
            _menu(),
            spacing="3", align="center", wrap="wrap",
        ),
        class_name="ps-head",
    )  # fmt: skip


def _menu() -> rx.Component:
    return rx.cond(
        ChainPage.may_edit,
        rx.dropdown_menu.root(
            rx.dropdown_menu.trigger(
                rx.icon_button(
                    rx.icon("ellipsis", size=16), variant="soft", color_scheme="gray", aria_label=t("common.more"),
                    data_testid="chain-more",
                )
            ),
            rx.dropdown_menu.content(
                rx.dropdown_menu.item(t("chains.rename"), on_select=ChainPage.open_name(True)),
                rx.dropdown_menu.item(t("chains.move_all"), on_select=ChainPage.move_all),
                rx.dropdown_menu.separator(),
                rx.dropdown_menu.item(t("common.delete"), color="red", on_select=ChainPage.ask_delete(True)),
                align="end",
            ),
        ),
    )  # fmt: skip


def _steps() -> rx.Component:
    return rx.fragment(
        rx.cond(
            ChainPage.problem != "",
            rx.callout.root(
                rx.callout.icon(rx.icon("circle-alert", size=16)),
                rx.callout.text(t_of(ChainPage.problem, "chains.problem_", otherwise=ChainPage.problem)),
                color_scheme="red", size="1", margin_bottom="12px",
            ),
        ),
        rx.cond(
            ChainPage.item.has_changes,
            rx.callout.root(
                rx.callout.icon(rx.icon("info", size=16)), rx.callout.text(t("chains.unpublished")), color_scheme="amber",
                high_contrast=True, size="1", margin_bottom="12px",
            ),
        ),
        rx.cond(
            ChainPage.steps.length() > 0,
            rx.el.ol(rx.foreach(ChainPage.steps, _step), class_name="ps-chain"),
            empty("list-plus", t("chains.no_steps_title"), t("chains.no_steps_text"), _add_menu(is_first=True)),
        ),
        rx.flex(
            rx.cond(ChainPage.may_edit & (ChainPage.steps.length() > 0), _add_menu()),
            rx.cond(
                ChainPage.can_undo & ChainPage.may_edit,
                rx.button(
                    rx.icon("undo-2", size=15), t("chains.undo"), variant="soft", color_scheme="gray",
                    on_click=ChainPage.undo, data_testid="undo-chain",
                ),
            ),
            spacing="2", wrap="wrap", margin="12px 0 20px",
        ),
        _rules(),
        _versions(),
    )  # fmt: skip


def _add_menu(*, is_first: bool = False) -> rx.Component:
    return rx.dropdown_menu.root(
        rx.dropdown_menu.trigger(
            rx.button(
                rx.icon("plus", size=16), t("chains.add_step"), variant="solid" if is_first else "soft",
                data_testid="add-step" if not is_first else "add-first-step",
            )
        ),
        rx.dropdown_menu.content(
            *[
                rx.dropdown_menu.item(
                    rx.icon(ICONS[k][0], size=16), t(f"chains.do_{k}"), on_select=ChainPage.add_step(k),
                    data_testid=f"add-{k}",
                )
                for k in KINDS
            ]
        ),
    )  # fmt: skip


def _step(step: rx.Var[StepItem]) -> rx.Component:
    def button(icon: str, label: str, on_click: object, **more: object) -> rx.Component:
        return rx.icon_button(
            rx.icon(icon, size=15),
            variant="ghost",
            color_scheme="gray",
            aria_label=t(label),
            title=t(label),
            on_click=on_click,
            **more,
        )

    return rx.el.li(
        rx.el.div(
            kind_icon(step.kind),
            rx.cond(
                ChainPage.may_edit & (ChainPage.steps.length() > 1),
                StepGrip.create(
                    step=step.id, place=step.number - 1, label=t("chains.carry"), on_move=ChainPage.place_step
                ),
            ),
            class_name="ps-chain-lead",
        ),
        rx.el.div(
            rx.el.div(when(step), class_name="ps-chain-when"),
            rx.el.button(
                what(step), type="button", class_name="ps-chain-what", on_click=ChainPage.edit_step(step.id),
                disabled=~ChainPage.may_edit,
            ),
            rx.cond(step.text != "", rx.el.div(step.text, class_name="ps-chain-text")),
            rx.flex(
                rx.cond(step.wordings > 1, rx.badge(t("chains.wordings_n", n=step.wordings), color_scheme="gray")),
                rx.cond(step.has_condition, rx.badge(rx.icon("filter", size=12), t("chains.has_condition"), color_scheme="amber")),
                rx.cond(
                    step.problem != "",
                    rx.badge(
                        rx.icon("circle-alert", size=12), t_of(step.problem, "chains.problem_", otherwise=step.problem),
                        color_scheme="red", high_contrast=True, style={"white_space": "normal"},
                    ),
                ),
                spacing="2", wrap="wrap",
            ),
            style={"min_width": 0, "display": "grid", "gap": "4px", "align_content": "start"},
        ),
        rx.cond(
            ChainPage.may_edit,
            rx.el.div(
                button("copy", "chains.copy", ChainPage.copy_step(step.id)),
                button("trash-2", "common.delete", ChainPage.remove_step(step.id)),
                class_name="ps-chain-tools",
            ),
        ),
        key=step.id,
    )  # fmt: skip


def _rules() -> rx.Component:
    return rx.el.section(
        rx.flex(
            rx.el.h2(t("chains.rules"), style={"flex": "1 1 auto"}),
            rx.cond(
                ChainPage.may_edit,
                rx.button(t("chains.change_rules"), variant="soft", color_scheme="gray", on_click=ChainPage.open_rules(True),
                          data_testid="change-rules"),
            ),
            align="center",
        ),
        rx.el.ul(
            rx.el.li(rx.cond(ChainPage.stops_on_reply, t("chains.says_reply"), t("chains.says_no_reply"))),
            rx.cond(ChainPage.stop_tags != "", rx.el.li(t("chains.says_tags", tags=ChainPage.stop_tags))),
            rx.cond(ChainPage.stops_when, rx.el.li(t("chains.says_when"))),
            rx.cond(ChainPage.has_hours, rx.el.li(t("chains.says_hours"))),
            rx.el.li(rx.cond(ChainPage.quiet != "", t("chains.says_quiet", hours=ChainPage.quiet), t("chains.says_no_quiet"))),
            rx.el.li(t("chains.says_zone", zone=ChainPage.zone)),
            class_name="ps-sub",
            style={"margin": "10px 0 0", "padding_left": "0", "display": "grid", "gap": "4px"},
        ),
        class_name="ps-card",
    )  # fmt: skip


def _versions() -> rx.Component:
    return rx.cond(
        ChainPage.versions.length() > 0,
        rx.el.section(
            rx.el.h2(t("chains.versions")),
            rx.el.p(t("chains.versions_hint"), class_name="ps-hint"),
            rx.el.div(
                rx.foreach(
                    ChainPage.versions,
                    lambda v: rx.el.div(
                        rx.el.span(t("chains.version_n", number=v["number"]), style={"font_weight": 500}),
                        rx.el.span(
                            When.create(iso=v["at"]), " · ", t("chains.inside_n", n=v["inside"].to(int)), class_name="ps-sub ps-num"
                        ),
                        style={"display": "flex", "justify_content": "space-between", "gap": "12px"},
                    ),
                ),
                style={"display": "grid", "gap": "6px", "margin_top": "10px", "font_size": "13.5px"},
            ),
            class_name="ps-card",
            style={"margin_top": "16px"},
        ),
    )  # fmt: skip


def _dialogs() -> rx.Component:
    return rx.fragment(
        confirm(
            is_open=ChainPage.is_doomed,
            title=t("chains.delete_title"),
            text=rx.fragment(t("chains.delete_text", n=ChainPage.item.inside)),
            do=t("common.delete"),
            on_do=ChainPage.delete,
            on_close=ChainPage.ask_delete,
        ),
        rx.dialog.root(
            rx.dialog.content(
                rx.dialog.title(t("chains.rename"), size="5"),
                rx.form(
                    field(
                        t("chains.name"),
                        rx.text_field(id="chain-name", name="name", required=True, max_length=200, default_value=ChainPage.item.name),
                        field_id="chain-name",
                    ),
                    rx.flex(
                        rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                        rx.button(t("common.save"), type="submit"),
                        spacing="3", justify="end", margin_top="20px",
                    ),
                    on_submit=ChainPage.rename,
                ),
                max_width="460px",
            ),
            open=ChainPage.is_naming,
            on_open_change=ChainPage.open_name,
        ),
    )  # fmt: skip
