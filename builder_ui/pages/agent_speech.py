"""The card "Speech" on the tab Phone: what listens to callers and what speaks to them."""

from __future__ import annotations

import reflex as rx

from builder_ui.components.parts import card
from builder_ui.i18n import t, t_of
from builder_ui.pages.agent_speech_state import DEFAULT, AgentSpeech, SpeechItem


def speech_card() -> rx.Component:
    """Both sides of a call."""
    return card(
        t("speech.title"),
        rx.el.div(rx.foreach(AgentSpeech.sides, _side), class_name="ps-list"),
        hint=t("speech.text"),
    )


def _side(side: rx.Var[SpeechItem]) -> rx.Component:
    names = "speech-names-" + side.slot
    usual = rx.cond(side.usual != "", t("speech.default_is", name=side.usual), t("speech.default_none"))
    return rx.el.div(
        rx.el.div(
            rx.el.div(t_of(side.slot, "speech.side_"), style={"font_weight": 600}),
            rx.cond(side.missing != "", rx.el.div(side.missing, class_name="ps-sub", style={"color": "var(--amber-11)"})),
            style={"min_width": 0},
        ),
        rx.select.root(
            rx.select.trigger(aria_label=t_of(side.slot, "speech.side_"), width="100%"),
            rx.select.content(
                rx.select.item(usual, value=DEFAULT),
                rx.foreach(side.choices, lambda choice: rx.select.item(choice.label, value=choice.id)),
            ),
            value=side.choice,
            on_change=lambda choice: AgentSpeech.choose(side.slot, choice),
        ),
        rx.cond(
            side.choice != DEFAULT,
            rx.fragment(
                rx.text_field(
                    default_value=side.model, placeholder=t_of(side.slot, "speech.name_"), list=names,
                    aria_label=t_of(side.slot, "speech.name_"), key=side.slot + side.choice + side.model,
                    on_blur=lambda model: AgentSpeech.name(side.slot, model),
                ),
                rx.el.datalist(rx.foreach(side.names, lambda name: rx.el.option(value=name)), id=names),
            ),
            rx.el.span(),
        ),
        class_name="ps-row ps-row-three",
        key=side.slot,
    )  # fmt: skip
