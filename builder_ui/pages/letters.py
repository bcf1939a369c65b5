"""What could not be answered or delivered, why, and what can be done about it."""

from __future__ import annotations

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import confirm, empty, head, skeleton
from builder_ui.components.shell import page
from builder_ui.i18n import t, t_of
from builder_ui.pages.letters_state import LetterItem, Letters


def letters_page() -> rx.Component:
    """The list of dead letters."""
    return page(
        head(t("letters.title"), t("letters.lead")),
        rx.cond(
            Letters.is_loaded,
            rx.cond(
                Letters.letters.length() > 0,
                rx.el.div(rx.foreach(Letters.letters, _letter), class_name="ps-list", role="list"),
                empty("mail-check", t("letters.empty_title"), t("letters.empty_text")),
            ),
            skeleton(3),
        ),
        confirm(
            is_open=Letters.doomed_id != "",
            title=t("letters.discard_title"),
            text=rx.el.p(t("letters.discard_text"), style={"margin": 0}),
            do=t("letters.discard"),
            on_do=Letters.discard,
            on_close=Letters.keep,
        ),
        title=t("letters.title"),
        place="letters",
        width="narrow",
    )


def _letter(letter: rx.Var[LetterItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.div(t_of(letter.reason, "letters.reason_", otherwise=letter.reason), class_name="ps-letter-reason"),
            rx.el.blockquote(
                rx.cond(letter.text != "", letter.text, t("letters.no_text")), class_name="ps-letter-text"
            ),
            rx.cond(letter.error != "", rx.el.p(letter.error, class_name="ps-hint", style={"margin": "0 0 4px"})),
            rx.el.div(
                rx.match(
                    letter.source, ("inbox", t("letters.incoming")), ("crm", t("letters.to_crm")), t("letters.outgoing")
                ),
                rx.cond(letter.contact != "", rx.fragment(" · ", letter.contact)),
                " · ", letter.agent, " · ",
                rx.cond(
                    letter.source != "crm",
                    rx.fragment(
                        rx.cond(
                            letter.channel != "",
                            letter.channel,
                            t_of(letter.channel_kind, "talks.channel_", otherwise=letter.channel_kind),
                        ),
                        " · ",
                    ),
                ),
                t("letters.attempts", n=letter.attempts), " · ", When.create(iso=letter.last_at),
                class_name="ps-sub",
            ),
            style={"min_width": 0},
        ),
        rx.flex(
            rx.cond(
                letter.can_replay,
                rx.button(t("letters.replay"), size="1", variant="soft", on_click=Letters.replay(letter.id)),
            ),
            rx.dropdown_menu.root(
                rx.dropdown_menu.trigger(
                    rx.icon_button(
                        rx.icon("ellipsis", size=16), variant="ghost", color_scheme="gray",
                        aria_label=t("common.more"), class_name="ps-letter-more",
                    )
                ),
                rx.dropdown_menu.content(
                    rx.cond(
                        letter.can_replay & (letter.alike > 1),
                        rx.dropdown_menu.item(t("letters.alike"), on_select=Letters.replay_alike(letter.id)),
                    ),
                    rx.dropdown_menu.item(t("letters.open"), on_select=rx.redirect(letter.conversation_path)),
                    rx.dropdown_menu.separator(),
                    rx.dropdown_menu.item(
                        t("letters.discard"), color="red", on_select=Letters.ask_discard(letter.id)
                    ),
                    align="end",
                ),
            ),
            align="center",
            spacing="3",
        ),
        class_name="ps-row ps-row-two ps-letter",
        role="listitem",
        key=letter.id,
    )  # fmt: skip
