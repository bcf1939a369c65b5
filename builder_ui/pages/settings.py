"""Settings: the member, the workspace, and what Patchcord is made of."""

from __future__ import annotations

from importlib import metadata
from typing import Final

import reflex as rx

from builder_ui.components.parts import card, field, head, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import LANGUAGE_NAMES, t
from builder_ui.pages.settings_hours import hours_card, opt_out_card
from builder_ui.pages.settings_state import KEPT, THEMES, SettingsPage
from builder_ui.session import Session

CREDITS: Final = (
    ("Reflex", "Apache-2.0", "https://reflex.dev"),
    ("React Flow", "MIT", "https://reactflow.dev"),
    ("React", "MIT", "https://react.dev"),
    ("Radix Themes", "MIT", "https://www.radix-ui.com"),
    ("LangGraph", "MIT", "https://github.com/langchain-ai/langgraph"),
    ("LangChain", "MIT", "https://github.com/langchain-ai/langchain"),
    ("FastAPI", "MIT", "https://fastapi.tiangolo.com"),
    ("PostgreSQL", "PostgreSQL", "https://www.postgresql.org"),
    ("pgvector", "PostgreSQL", "https://github.com/pgvector/pgvector"),
    ("Python Liquid", "MIT", "https://github.com/jg-rp/liquid"),
    ("Inter", "OFL-1.1", "https://rsms.me/inter"),
    ("Lucide", "ISC", "https://lucide.dev"),
)


def settings_page() -> rx.Component:
    """Three tabs of settings."""
    tabs = rx.tabs.root(
        rx.tabs.list(
            rx.tabs.trigger(t("settings.tab_you"), value="you"),
            rx.tabs.trigger(t("settings.tab_workspace"), value="workspace"),
            rx.tabs.trigger(t("settings.tab_about"), value="about"),
            class_name="ps-tabs",
        ),
        rx.tabs.content(_you(), value="you", padding_top="18px"),
        rx.tabs.content(_workspace(), hours_card(), opt_out_card(), _kept(), value="workspace", padding_top="18px"),
        rx.tabs.content(_about(), value="about", padding_top="18px"),
        default_value="you",
    )
    return page(
        head(t("settings.title")),
        rx.cond(SettingsPage.is_loaded, tabs, skeleton(3)),
        title=t("settings.title"),
        place="settings",
        width="narrow",
    )


def _you() -> rx.Component:
    return rx.fragment(
        card(
            t("settings.profile"),
            rx.form(
                rx.el.div(
                    field(
                        t("settings.name"),
                        rx.text_field(
                            id="name", name="name", default_value=Session.me.name, key=Session.me.name, required=True,
                            max_length=120,
                        ),
                        field_id="name",
                    ),
                    field(
                        t("field.email"),
                        rx.text_field(id="email", value=Session.me.email, read_only=True, variant="soft", color_scheme="gray"),
                        field_id="email",
                    ),
                    rx.box(rx.button(t("common.save"), type="submit")),
                    class_name="ps-form",
                ),
                on_submit=SettingsPage.rename_me,
            ),
        ),
        card(
            t("settings.look"),
            rx.el.div(
                field(
                    t("field.language"),
                    rx.select.root(
                        rx.select.trigger(id="language", aria_label=t("field.language"), width="240px"),
                        rx.select.content(*[rx.select.item(n, value=c) for c, n in LANGUAGE_NAMES.items()]),
                        value=Session.me.language,
                        on_change=SettingsPage.choose_language,
                    ),
                    field_id="language",
                    hint=t("settings.language_hint"),
                ),
                rx.el.div(
                    rx.el.span(t("settings.theme"), class_name="ps-label", id="theme-label"),
                    rx.segmented_control.root(
                        *[rx.segmented_control.item(t(f"settings.theme_{x}"), value=x) for x in THEMES],
                        value=rx.cond(Session.me.theme != "", Session.me.theme, "system"),
                        on_change=SettingsPage.choose_theme,
                        custom_attrs={"aria-labelledby": "theme-label"},
                        width="fit-content",
                    ),
                    class_name="ps-field",
                ),
                class_name="ps-form",
            ),
        ),
        card(t("settings.password"), _password()),
    )  # fmt: skip


def _password() -> rx.Component:
    return rx.form(
        rx.el.div(
            rx.el.input(type="hidden", auto_complete="username", value=Session.me.email, read_only=True),
            field(
                t("settings.password_now"),
                rx.text_field(
                    id="old", name="old", type="password", required=True, custom_attrs={"autoComplete": "current-password"}
                ),
                field_id="old",
            ),
            rx.cond(
                SettingsPage.wrong_field == "old",
                rx.text(t("settings.password_wrong"), size="1", color_scheme="red", role="alert"),
            ),
            field(
                t("settings.password_new"),
                rx.text_field(
                    id="new", name="new", type="password", required=True, min_length=10,
                    custom_attrs={"autoComplete": "new-password"},
                ),
                field_id="new",
                hint=t("field.password_hint"),
            ),
            rx.cond(
                SettingsPage.wrong_field == "new",
                rx.text(t("error.password_weak"), size="1", color_scheme="red", role="alert"),
            ),
            rx.box(rx.button(t("settings.password_change"), type="submit", loading=SettingsPage.is_changing)),
            class_name="ps-form",
        ),
        on_submit=SettingsPage.change_password,
        key=SettingsPage.changes,
    )  # fmt: skip


def _workspace() -> rx.Component:
    return card(
        t("settings.tab_workspace"),
        rx.form(
            rx.el.div(
                field(
                    t("settings.workspace_name"),
                    rx.text_field(
                        id="workspace", name="workspace", default_value=SettingsPage.workspace_name,
                        key=SettingsPage.workspace_name, required=True, max_length=120,
                    ),
                    field_id="workspace",
                ),
                rx.box(rx.button(t("common.save"), type="submit")),
                class_name="ps-form",
            ),
            on_submit=SettingsPage.rename_workspace,
        ),
    )  # fmt: skip


def _kept() -> rx.Component:
    """How many days each kind of data stays."""

    def days(key: str) -> rx.Component:
        return rx.fragment(
            field(
                t(f"settings.{key}"),
                rx.text_field(
                    id=key, name=key, type="number", min=1 if key == "keep_events_days" else 0, max=3650,
                    default_value=SettingsPage.kept[key], key=SettingsPage.kept[key], required=True, width="140px",
                ),
                field_id=key,
                hint=t(f"settings.{key}_hint"),
            ),
            rx.cond(
                SettingsPage.kept_wrong == key,
                rx.text(t("settings.keep_wrong"), size="1", color_scheme="red", role="alert"),
            ),
        )  # fmt: skip

    return card(
        t("settings.keep"),
        rx.form(
            rx.el.div(
                *[days(key) for key in KEPT],
                rx.box(rx.button(t("common.save"), type="submit")),
                class_name="ps-form",
            ),
            on_submit=SettingsPage.keep,
        ),
        hint=t("settings.keep_text"),
    )


def _version() -> str:
    try:
        return metadata.version("patchcord")
    except metadata.PackageNotFoundError:
        return "0.1.0"


def _about() -> rx.Component:
    return rx.fragment(
        card(
            rx.Var.create("Patchcord"),
            rx.el.p(t("settings.about_text"), class_name="ps-lead", style={"margin": 0}),
            hint=t("settings.version", n=_version()),
        ),
        card(
            t("settings.credits"),
            rx.el.ul(
                *[
                    rx.el.li(
                        rx.link(name, href=address, is_external=True, high_contrast=True, size="2"),
                        rx.el.span(licence, class_name="ps-sub"),
                    )
                    for name, licence, address in CREDITS
                ],
                class_name="ps-credits",
            ),
            hint=t("settings.credits_text"),
        ),
    )
