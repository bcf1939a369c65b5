"""Follow-ups: the list of chains, and what they ask this member to do."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import empty, field, head, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t
from builder_ui.pages.chain_rows import ChainItem
from builder_ui.pages.chain_state import FollowUps


def chains_page() -> rx.Component:
    """The list of chains."""
    add = rx.button(
        rx.icon("plus", size=16), t("chains.add"), on_click=FollowUps.name_one(True), data_testid="add-chain"
    )
    return page(
        head(t("chains.title"), t("chains.lead"), rx.cond(FollowUps.may_edit & (FollowUps.chains.length() > 0), add)),
        rx.cond(
            FollowUps.is_loaded,
            rx.fragment(
                _notes(),
                rx.cond(
                    FollowUps.chains.length() > 0,
                    rx.el.div(rx.foreach(FollowUps.chains, _chain), class_name="ps-list", role="list"),
                    empty(
                        "calendar-clock",
                        t("chains.empty_title"),
                        t("chains.empty_text"),
                        rx.cond(
                            FollowUps.may_edit,
                            rx.button(
                                rx.icon("plus", size=16), t("chains.add"), on_click=FollowUps.name_one(True),
                                data_testid="add-first-chain",
                            ),
                        ),
                    ),
                ),
            ),
            skeleton(3),
        ),
        _name_dialog(),
        title=t("chains.title"),
        place="follow_ups",
        width="narrow",
    )  # fmt: skip


def state_badge(item: rx.Var[ChainItem]) -> rx.Component:
    """On, off or a draft, in a word and a sign."""

    def badge(icon: str, color: str, key: str) -> rx.Component:
        return rx.badge(
            rx.icon(icon, size=12, custom_attrs={"aria-hidden": "true"}), t(key), color_scheme=color, high_contrast=True
        )

    return rx.match(
        item.state,
        ("on", badge("check", "green", "chains.state_on")),
        ("off", badge("pause", "gray", "chains.state_off")),
        badge("pencil", "amber", "chains.state_draft"),
    )


def _chain(item: rx.Var[ChainItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.flex(
                rx.link(item.name, href=item.path, class_name="ps-cover ps-truncate", underline="none"),
                state_badge(item),
                spacing="2", align="center", min_width="0",
            ),
            rx.el.div(
                t("chains.steps_n", n=item.steps), " · ", t("chains.inside_n", n=item.inside), " · ",
                t("chains.sent_n", n=item.sent), " · ", t("chains.replied_n", n=item.replied),
                rx.cond(item.next_at != "", rx.fragment(" · ", t("chains.next"), " ", When.create(iso=item.next_at))),
                class_name="ps-sub ps-num",
            ),
            style={"min_width": 0, "display": "grid", "gap": "3px"},
        ),
        rx.el.div(
            rx.cond(
                item.number > 0,
                rx.switch(
                    checked=item.is_on,
                    on_change=lambda is_on: FollowUps.switch(item.id, is_on),
                    aria_label=t("chains.switch", name=item.name),
                ),
            ),
            class_name="ps-above",
        ),
        class_name="ps-row ps-row-two", role="listitem", data_link="true", key=item.id,
    )  # fmt: skip


def _notes() -> rx.Component:
    return rx.cond(
        FollowUps.notes.length() > 0,
        rx.el.section(
            rx.el.h2(t("chains.notes")),
            rx.el.div(
                rx.foreach(FollowUps.notes, _note), class_name="ps-list", role="list", style={"margin_top": "12px"}
            ),
            class_name="ps-card",
            style={"margin_bottom": "20px"},
        ),
    )


def _note(note: rx.Var[dict[str, str]]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.div(note["text"], style={"overflow_wrap": "anywhere"}),
            rx.el.div(note["name"], " · ", note["chain"], " · ", When.create(iso=note["at"]), class_name="ps-sub"),
            style={"min_width": 0},
        ),
        rx.button(
            rx.icon("check", size=15), t("chains.note_done"), variant="soft", color_scheme="gray",
            on_click=FollowUps.close_note(note["id"]),
        ),
        class_name="ps-row ps-row-two", role="listitem", key=note["id"],
    )  # fmt: skip


def _name_dialog() -> rx.Component:
    zone: rx.Var[str] = rx.Var("Intl.DateTimeFormat().resolvedOptions().timeZone")
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("chains.add"), size="5"),
            rx.dialog.description(t("chains.add_lead"), class_name="ps-lead", style={"margin": "0 0 16px", "font_size": "14px"}),
            rx.form(
                field(
                    t("chains.name"),
                    rx.text_field(id="chain-name", name="name", required=True, max_length=200, placeholder=t("chains.name_example")),
                    field_id="chain-name",
                ),
                rx.el.input(type="hidden", name="zone", default_value=zone),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(t("chains.create"), type="submit", data_testid="create-chain"),
                    spacing="3", justify="end", margin_top="20px",
                ),
                on_submit=FollowUps.create,
            ),
            max_width="460px",
        ),
        open=FollowUps.is_naming,
        on_open_change=FollowUps.name_one,
    )  # fmt: skip
