"""The list of agents, with creating from a template."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import answering, confirm, empty, head, search_box, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import LANGUAGE_NAMES, t
from builder_ui.pages.agents_state import Agents
from builder_ui.rows import AgentItem, PreviewMessage


def agents_page() -> rx.Component:
    """All agents of the workspace."""
    create = rx.button(
        rx.icon("plus", size=16), t("agents.create"), on_click=Agents.begin_create, data_testid="create-agent"
    )
    return page(
        head(t("agents.title"), t("agents.lead"), create),
        rx.cond(
            Agents.is_loaded,
            rx.cond((Agents.agents.length() == 0) & (Agents.search == ""), _first_agent(), _list()),
            skeleton(),
        ),
        _create_dialog(),
        _delete_dialog(),
        title=t("agents.title"),
        place="agents",
    )


def _first_agent() -> rx.Component:
    start = rx.button(rx.icon("plus", size=16), t("agents.create"), on_click=Agents.begin_create)
    return empty("bot", t("agents.empty_title"), t("agents.empty_text"), start)


def _list() -> rx.Component:
    heads = [
        rx.el.span(),
        rx.el.span(t("agents.column_name")),
        rx.el.span(t("agents.column_state")),
        rx.el.span(t("agents.column_version"), class_name="ps-wide"),
        rx.el.span(t("agents.column_activity"), class_name="ps-wide"),
        rx.el.span(t("agents.column_today"), class_name="ps-wide"),
        rx.el.span(),
    ]
    return rx.fragment(
        rx.el.div(search_box(t("agents.search"), Agents.search, Agents.find), class_name="ps-tools"),
        rx.cond(
            Agents.agents.length() == 0,
            empty("search-x", t("agents.nothing_title"), t("agents.nothing_text")),
            rx.el.div(
                rx.el.div(*heads, class_name="ps-row ps-row-head", custom_attrs={"aria-hidden": "true"}),
                rx.el.div(rx.foreach(Agents.agents, _row), role="list"),
                class_name="ps-list ps-agents",
            ),
        ),
        rx.cond(
            Agents.has_more,
            rx.button(t("common.show_more"), variant="soft", margin_top="12px", on_click=Agents.show_more),
        ),
    )


def _is_silent(agent: rx.Var[AgentItem]) -> rx.Var[bool]:
    return ~agent.is_on | (agent.live_version == 0)


def _row(agent: rx.Var[AgentItem]) -> rx.Component:
    about = rx.cond(agent.description != "", agent.description, t("agents.flows_n", n=agent.flows))
    return rx.el.div(
        rx.el.div(
            agent.initial, class_name="ps-tile", data_off=_is_silent(agent), custom_attrs={"aria-hidden": "true"}
        ),
        rx.el.div(
            rx.flex(
                rx.link(agent.name, href=f"/agents/{agent.id}", class_name="ps-cover ps-truncate", underline="none"),
                rx.cond(
                    agent.problems > 0,
                    rx.badge(
                        t("agents.problems_n", n=agent.problems), color_scheme="amber", size="1", high_contrast=True
                    ),
                ),
                spacing="2",
                align="center",
                min_width="0",
            ),
            rx.el.div(about, class_name="ps-sub ps-truncate"),
            style={"min_width": 0},
        ),
        rx.flex(
            rx.switch(
                checked=agent.is_on,
                on_change=lambda is_on: Agents.switch(agent.id, is_on),
                aria_label=t("agents.switch", name=agent.name),
                size="1",
            ),
            rx.el.span(answering(agent.live_version, agent.is_on), class_name="ps-cell"),
            class_name="ps-above",
            spacing="2",
            align="center",
            width="fit-content",
        ),
        rx.el.div(
            rx.cond(agent.live_version > 0, t("agents.version_n", n=agent.live_version), t("agents.not_published")),
            class_name="ps-cell ps-wide ps-num",
        ),
        rx.el.div(
            rx.cond(agent.last_activity != "", When.create(iso=agent.last_activity), "—"), class_name="ps-cell ps-wide"
        ),
        rx.el.div(t("agents.conversations_n", n=agent.conversations_today), class_name="ps-cell ps-wide ps-num"),
        _row_menu(agent),
        class_name="ps-row",
        data_link="true",
        role="listitem",
        key=agent.id,
    )


def _row_menu(agent: rx.Var[AgentItem]) -> rx.Component:
    return rx.dropdown_menu.root(
        rx.dropdown_menu.trigger(
            rx.icon_button(
                rx.icon("ellipsis", size=17),
                variant="ghost",
                color_scheme="gray",
                class_name="ps-above",
                aria_label=t("common.more"),
            )
        ),
        rx.dropdown_menu.content(
            rx.dropdown_menu.item(
                rx.icon("workflow", size=15), t("agents.open_flow"), on_select=rx.redirect(agent.flow_path)
            ),
            rx.dropdown_menu.item(
                rx.icon("sliders-horizontal", size=15),
                t("agents.overview"),
                on_select=rx.redirect(f"/agents/{agent.id}"),
            ),
            rx.dropdown_menu.item(
                rx.icon("copy", size=15), t("agents.duplicate"), on_select=Agents.duplicate(agent.id)
            ),
            rx.dropdown_menu.separator(),
            rx.dropdown_menu.item(
                rx.icon("trash-2", size=15), t("agents.delete"), color="red", on_select=Agents.ask_delete(agent.id)
            ),
            align="end",
        ),
    )


def _create_dialog() -> rx.Component:
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("create.title"), size="5", margin_bottom="4px"),
            rx.dialog.description(rx.el.span(t("create.lead"), class_name="ps-sub"), size="2"),
            rx.form(
                rx.flex(
                    rx.el.div(
                        rx.el.label(t("create.name"), html_for="agent-name", class_name="ps-label"),
                        rx.text_field(
                            id="agent-name", name="name", placeholder=t("create.name_placeholder"), max_length=120
                        ),
                        style={"flex": "1 1 240px", "display": "grid", "gap": "6px"},
                    ),
                    rx.el.div(
                        rx.el.label(t("create.language"), html_for="agent-language", class_name="ps-label"),
                        rx.select.root(
                            rx.select.trigger(id="agent-language", aria_label=t("create.language")),
                            rx.select.content(
                                *[rx.select.item(name, value=code) for code, name in LANGUAGE_NAMES.items()]
                            ),
                            value=Agents.speaks,
                            on_change=Agents.speak,
                        ),
                        style={"flex": "0 0 170px", "display": "grid", "gap": "6px"},
                    ),
                    spacing="4",
                    wrap="wrap",
                    margin_y="18px",
                ),
                rx.el.div(
                    rx.el.div(
                        rx.foreach(Agents.templates, lambda x: _template(x.id, x.name, x.summary)),
                        _template("", t("create.empty"), t("create.empty_summary")),
                        class_name="ps-template-list",
                        role="radiogroup",
                        aria_label=t("create.templates"),
                    ),
                    rx.el.div(
                        rx.cond(
                            Agents.template == "",
                            rx.el.p(t("create.preview_empty"), class_name="ps-hint"),
                            rx.el.div(rx.foreach(Agents.preview, _preview_message), class_name="ps-chat"),
                        ),
                        class_name="ps-preview",
                        role="region",
                        aria_label=t("create.preview"),
                        tab_index=0,
                    ),
                    class_name="ps-templates",
                ),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(t("create.submit"), type="submit", loading=Agents.is_saving, data_testid="create-submit"),
                    spacing="3",
                    justify="end",
                    margin_top="20px",
                ),
                on_submit=Agents.create,
            ),
            max_width="860px",
        ),
        open=Agents.is_creating,
        on_open_change=Agents.close_create,
    )


def _template(template: rx.Var[str] | str, name: rx.Var[str], summary: rx.Var[str]) -> rx.Component:
    return rx.el.button(
        rx.el.b(name),
        rx.el.span(summary),
        type="button",
        role="radio",
        class_name="ps-template",
        custom_attrs={"aria-checked": Agents.template == template},
        on_click=Agents.choose(template),
        key=template,
    )


def _preview_message(message: rx.Var[PreviewMessage]) -> rx.Component:
    return rx.el.div(
        rx.el.div(message.text, class_name="ps-bubble"),
        rx.cond(
            message.options.length() > 0,
            rx.el.div(
                rx.foreach(message.options, lambda label: rx.el.span(label, class_name="ps-option")),
                class_name="ps-options",
            ),
        ),
        class_name="ps-message",
        data_side=message.side,
    )


def _loss(key: str, n: rx.Var[int]) -> rx.Component:
    return rx.cond(n > 0, rx.el.li(t(key, n=n)))


def _delete_dialog() -> rx.Component:
    return confirm(
        is_open=Agents.doomed_id != "",
        title=t("agents.delete_title", name=Agents.doomed_name),
        text=rx.cond(
            Agents.doomed_conversations + Agents.doomed_versions > 0,
            rx.fragment(
                rx.el.p(t("agents.delete_text"), style={"margin": "0 0 8px"}),
                rx.el.ul(
                    _loss("agents.delete_open", Agents.doomed_open),
                    _loss("agents.delete_conversations", Agents.doomed_conversations),
                    _loss("agents.delete_versions", Agents.doomed_versions),
                    style={"margin": 0, "padding_left": "20px", "line_height": 1.6, "list_style": "disc"},
                ),
            ),
            rx.el.p(t("agents.delete_unused"), style={"margin": 0}),
        ),
        do=t("agents.delete_do"),
        on_do=Agents.delete,
        on_close=Agents.keep,
    )
