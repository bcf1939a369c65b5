"""One agent: where people reach it, its flows and versions, its models, its settings."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import CodeBlock, CopyButton, SiteLink, When
from builder_ui.components.parts import answering, card, empty, field, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import LANGUAGE_NAMES, t
from builder_ui.pages.agent_answering import answering_cards
from builder_ui.pages.agent_phone import phone
from builder_ui.pages.agent_rules import update_rules
from builder_ui.pages.agent_state import COLORS, DEFAULT, DEMO, AgentPage
from builder_ui.pages.agent_telegram import telegram
from builder_ui.pages.agent_triggers import triggers
from builder_ui.pages.agent_webhooks import webhooks
from builder_ui.rows import ConnectionItem, FlowItem, VersionItem


def agent_page() -> rx.Component:
    """The overview of an agent."""
    return page(
        rx.cond(
            AgentPage.is_missing,
            empty(
                "bot",
                t("missing.title"),
                t("error.not_found"),
                rx.link(rx.button(t("missing.home"), tab_index=-1), href="/"),
                level="h1",
            ),
            rx.cond(AgentPage.is_loaded, rx.fragment(_head(), _warnings(), _tabs()), skeleton()),
        ),
        title=rx.cond(AgentPage.name != "", AgentPage.name, t("agents.title")),
        place="agents",
    )


def _head() -> rx.Component:
    is_silent = ~AgentPage.is_on | (AgentPage.live_version == 0)
    return rx.fragment(
        rx.link(
            rx.icon("arrow-left", size=14), t("agent.back"), href="/", size="2", color_scheme="gray", class_name="ps-back"
        ),
        rx.el.header(
            rx.el.div(AgentPage.name[:1], class_name="ps-tile", data_off=is_silent, custom_attrs={"aria-hidden": "true"}),
            rx.el.div(
                rx.heading(AgentPage.name, as_="h1", size="6", trim="start", class_name="ps-truncate"),
                rx.el.div(
                    rx.cond(
                        AgentPage.live_version > 0,
                        t("agents.version_n", n=AgentPage.live_version),
                        t("agents.not_published"),
                    ),
                    class_name="ps-sub ps-num",
                ),
                class_name="ps-head-words",
            ),
            rx.flex(
                rx.switch(
                    checked=AgentPage.is_on,
                    on_change=AgentPage.switch,
                    aria_label=t("agents.switch", name=AgentPage.name),
                ),
                rx.el.span(answering(AgentPage.live_version, AgentPage.is_on), class_name="ps-cell"),
                spacing="2",
                align="center",
                height="32px",
            ),
            rx.link(
                rx.button(rx.icon("workflow", size=16), t("agents.open_flow"), tab_index=-1, data_testid="open-flow"),
                href=AgentPage.canvas,
            ),
            class_name="ps-head",
        ),
    )  # fmt: skip


def _warnings() -> rx.Component:
    return rx.cond(
        AgentPage.live_version == 0,
        _callout("rocket", "blue", t("agent.unpublished")),
        rx.cond(AgentPage.is_on, rx.fragment(), _callout("moon", "gray", t("agent.is_off"))),
    )


def _callout(icon: str, color: str, text: rx.Var[str]) -> rx.Component:
    return rx.callout.root(
        rx.callout.icon(rx.icon(icon, size=16)),
        rx.callout.text(text),
        color_scheme=color,
        high_contrast=True,
        size="1",
        margin_bottom="16px",
    )


def _tabs() -> rx.Component:
    return rx.tabs.root(
        rx.tabs.list(
            rx.tabs.trigger(t("agent.tab_channels"), value="channels"),
            rx.tabs.trigger(t("agent.tab_phone"), value="phone"),
            rx.tabs.trigger(t("agent.tab_flows"), value="flows"),
            rx.tabs.trigger(t("agent.tab_triggers"), value="triggers"),
            rx.tabs.trigger(t("agent.tab_rules"), value="rules"),
            rx.tabs.trigger(t("agent.tab_models"), value="models"),
            rx.tabs.trigger(t("agent.tab_settings"), value="settings"),
            class_name="ps-tabs",
        ),
        rx.tabs.content(_channels(), value="channels", padding_top="18px"),
        rx.tabs.content(phone(), value="phone", padding_top="18px"),
        rx.tabs.content(_flows(), value="flows", padding_top="18px"),
        rx.tabs.content(triggers(), value="triggers", padding_top="18px"),
        rx.tabs.content(update_rules(), value="rules", padding_top="18px"),
        rx.tabs.content(_models(), value="models", padding_top="18px"),
        rx.tabs.content(_settings(), answering_cards(), value="settings", padding_top="18px"),
        value=AgentPage.tab,
        on_change=AgentPage.show_tab,
    )


def _channels() -> rx.Component:
    chat = "/chat/" + AgentPage.public_id
    return rx.fragment(
        rx.el.div(telegram(), style={"margin_bottom": "16px"}),
        rx.el.div(
            card(
                t("channel.page_title"),
                SiteLink.create(path=chat),
                rx.flex(
                    CopyButton.create(text="{origin}" + chat, label=t("channel.copy_link")),
                    rx.link(
                        rx.button(
                            rx.icon("external-link", size=15), t("channel.open"), variant="surface", tab_index=-1
                        ),
                        href=chat,
                        is_external=True,
                    ),
                    spacing="2",
                    margin_top="14px",
                    wrap="wrap",
                ),
                hint=t("channel.page_text"),
            ),
            card(
                t("channel.widget_title"),
                CodeBlock.create(code=AgentPage.widget, label=t("channel.widget_code")),
                hint=t("channel.widget_text"),
            ),
            class_name="ps-grid2",
            style={"& > .ps-card": {"margin": 0}, "margin_bottom": "16px"},
        ),
        card(
            t("channel.api_title"),
            rx.tabs.root(
                rx.tabs.list(
                    rx.tabs.trigger(t("channel.curl"), value="curl"),
                    rx.tabs.trigger(t("channel.python"), value="python"),
                    size="1",
                ),
                rx.tabs.content(
                    CodeBlock.create(code=AgentPage.curl, label=t("channel.curl")), value="curl", padding_top="12px"
                ),
                rx.tabs.content(
                    CodeBlock.create(code=AgentPage.python, label=t("channel.python")),
                    value="python",
                    padding_top="12px",
                ),
                default_value="curl",
            ),
            rx.flex(
                rx.link(rx.button(t("channel.api_keys"), variant="soft", tab_index=-1), href="/api-keys"),
                rx.link(
                    rx.button(t("channel.api_docs"), variant="surface", color_scheme="gray", tab_index=-1),
                    href="/api/docs",
                    is_external=True,
                ),
                spacing="2",
                margin_top="14px",
                wrap="wrap",
            ),
            hint=t("channel.api_text"),
        ),
        webhooks(),
    )


def _flows() -> rx.Component:
    add = rx.button(rx.icon("plus", size=15), t("flows.add"), variant="soft", on_click=AgentPage.begin_adding)
    form = rx.form(
        rx.flex(
            rx.text_field(
                name="flow_name", placeholder=t("flows.name"), aria_label=t("flows.name"), auto_focus=True, max_length=120,
                width="280px", max_width="100%",
            ),
            rx.button(t("flows.add"), type="submit"),
            spacing="2",
            wrap="wrap",
        ),
        on_submit=AgentPage.add_flow,
    )  # fmt: skip
    return rx.fragment(
        card(
            t("flows.title"),
            rx.el.div(rx.foreach(AgentPage.flows, _flow), class_name="ps-list", role="list"),
            rx.el.div(rx.cond(AgentPage.is_adding, form, add), style={"margin_top": "14px"}),
            hint=t("flows.text"),
        ),
        card(
            t("versions.title"),
            rx.cond(
                AgentPage.versions.length() > 0,
                rx.el.div(rx.foreach(AgentPage.versions, _version), class_name="ps-list", role="list"),
                rx.el.p(t("versions.none"), class_name="ps-hint"),
            ),
            hint=t("versions.text"),
        ),
    )


def _flow(flow: rx.Var[FlowItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.link(flow.name, href=flow.path, class_name="ps-cover ps-truncate", underline="none"),
            rx.el.div(t("flows.edited"), " ", When.create(iso=flow.updated_at), class_name="ps-sub"),
            style={"min_width": 0},
        ),
        rx.flex(
            rx.cond(
                flow.problems > 0,
                rx.badge(t("agents.problems_n", n=flow.problems), color_scheme="amber", high_contrast=True),
            ),
            rx.badge(rx.cond(flow.kind == "main", t("flows.main"), t("flows.sub")), color_scheme="gray"),
            rx.icon("chevron-right", size=16, color="var(--gray-9)"),
            spacing="2",
            align="center",
        ),
        class_name="ps-row ps-row-two",
        data_link="true",
        role="listitem",
        key=flow.id,
    )


def _version(version: rx.Var[VersionItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.flex(
                rx.el.span(t("agents.version_n", n=version.number), style={"font_weight": 600}, class_name="ps-num"),
                rx.cond(version.is_live, rx.badge(t("versions.live"), color_scheme="green")),
                spacing="2",
                align="center",
            ),
            rx.el.div(rx.cond(version.comment != "", version.comment, t("versions.no_comment")), class_name="ps-cell"),
            rx.el.div(version.author, " · ", When.create(iso=version.created_at), class_name="ps-sub"),
            style={"min_width": 0},
        ),
        rx.button(
            t("versions.restore"),
            variant="soft",
            color_scheme="gray",
            size="1",
            on_click=AgentPage.restore(version.number),
        ),
        class_name="ps-row ps-row-two",
        role="listitem",
        key=version.number,
    )


def _models() -> rx.Component:
    return card(
        t("binding.title"),
        rx.cond(
            AgentPage.connections.length() > 0,
            rx.el.div(rx.foreach(AgentPage.connections, _connection), class_name="ps-list"),
            rx.el.p(t("binding.none"), class_name="ps-hint"),
        ),
        rx.flex(rx.link(rx.button(t("nav.models"), variant="soft", tab_index=-1), href="/models"), margin_top="14px"),
        hint=t("binding.text"),
    )


def _connection(slot: rx.Var[ConnectionItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(slot.label, style={"font_weight": 600}, class_name="ps-truncate"),
        rx.select.root(
            rx.select.trigger(aria_label=t("binding.key"), width="100%"),
            rx.select.content(
                rx.select.item(t("binding.default"), value=DEFAULT),
                rx.select.item(t("binding.demo"), value=DEMO),
                rx.foreach(AgentPage.choices, lambda c: rx.select.item(c.label, value=c.id)),
            ),
            value=slot.choice,
            on_change=lambda choice: AgentPage.bind(slot.slot, choice),
        ),
        rx.cond(
            (slot.choice != DEFAULT) & (slot.choice != DEMO),
            rx.text_field(
                default_value=slot.model,
                placeholder=t("binding.model"),
                aria_label=t("binding.model"),
                key=slot.slot + slot.choice + slot.model,
                on_blur=lambda model: AgentPage.name_model(slot.slot, model),
            ),
            rx.el.span(),
        ),
        class_name="ps-row ps-row-three",
        key=slot.slot,
    )


def _settings() -> rx.Component:
    return card(
        t("agent.about"),
        rx.form(
            rx.el.div(
                field(
                    t("agent.name"),
                    rx.text_field(
                        id="name", name="name", default_value=AgentPage.name, key=AgentPage.name, required=True, max_length=120
                    ),
                    field_id="name",
                    hint=t("agent.name_hint"),
                ),
                field(
                    t("agent.description"),
                    rx.text_area(
                        id="description", name="description", default_value=AgentPage.description,
                        key=AgentPage.description, max_length=500, rows="3",
                    ),
                    field_id="description",
                    hint=t("agent.description_hint"),
                ),
                field(
                    t("agent.language"),
                    rx.select.root(
                        rx.select.trigger(id="agent-language", aria_label=t("agent.language"), width="220px"),
                        rx.select.content(*[rx.select.item(n, value=c) for c, n in LANGUAGE_NAMES.items()]),
                        value=AgentPage.speaks,
                        on_change=AgentPage.speak,
                    ),
                    field_id="agent-language",
                ),
                rx.el.h3(t("agent.look"), style={"margin": "12px 0 0", "font_size": "14px", "font_weight": 600}),
                rx.el.div(
                    rx.el.span(t("agent.color"), class_name="ps-label", id="color-label"),
                    rx.el.div(
                        *[_swatch(c) for c in COLORS],
                        class_name="ps-swatches",
                        role="radiogroup",
                        custom_attrs={"aria-labelledby": "color-label"},
                    ),
                    class_name="ps-field",
                ),
                field(
                    t("agent.subtitle"),
                    rx.text_field(
                        id="subtitle", name="subtitle", default_value=AgentPage.subtitle, key=AgentPage.subtitle,
                        placeholder=t("agent.subtitle_placeholder"), max_length=120,
                    ),
                    field_id="subtitle",
                ),
                rx.box(rx.button(t("common.save"), type="submit", data_testid="save-agent")),
                class_name="ps-form",
            ),
            on_submit=AgentPage.save,
        ),
    )  # fmt: skip


def _swatch(color: str) -> rx.Component:
    return rx.el.button(
        type="button",
        role="radio",
        class_name="ps-swatch",
        style={"background_color": color},
        aria_label=color,
        custom_attrs={"aria-checked": AgentPage.color == color},
        on_click=AgentPage.paint(color),
    )
