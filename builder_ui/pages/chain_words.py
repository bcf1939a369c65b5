"""Steps of a chain in words: one sentence of when, one of what, in the language of the page."""

from __future__ import annotations

from typing import Any, Final

import reflex as rx

from builder_ui.i18n import t, t_of

ICONS: Final = {
    "message": ("message-circle", "iris"), "flow": ("workflow", "blue"), "call": ("phone-call", "green"),
    "notify": ("bell", "pink"), "webhook": ("webhook", "orange"), "update": ("user-pen", "cyan"),
    "crm": ("database", "orange"),
}  # fmt: skip


def kind_icon(kind: rx.Var[str], size: int = 17) -> rx.Component:
    """The sign of a kind of step on its tint."""

    def tile(name: str, tint: str) -> rx.Component:
        return rx.el.span(
            rx.icon(name, size=size),
            class_name="ps-tile",
            style={"background": f"var(--{tint}-3)", "color": f"var(--{tint}-11)"},
            custom_attrs={"aria-hidden": "true"},
        )

    *others, (last, _) = ICONS.items()
    return rx.match(kind, *[(k, tile(*ICONS[k])) for k, _ in others], tile(*ICONS[last]))


def when(step: Any) -> rx.Component:
    """ "2 working days after the previous step, at 11:00, between 10:00 and 18:00" """
    span = t_of(step.span, "chains.span_", n=step.amount)
    return rx.fragment(
        t_of(step.since, "chains.since_", span=span, field=step.field),
        rx.cond(step.at != "", rx.fragment(" ", t("chains.at", time=step.at))),
        rx.cond(step.start != "", rx.fragment(", ", t("chains.between", start=step.start, end=step.end))),
        rx.cond(step.only_workdays, rx.fragment(", ", t("chains.on_workdays"))),
        rx.cond(step.skips_holidays, rx.fragment(", ", t("chains.not_on_holidays"))),
    )


def what(step: Any) -> rx.Component:
    """ "Write to the contact" """
    return rx.fragment(
        t_of(step.kind, "chains.do_"), rx.cond(step.detail != "", rx.fragment(": ", step.detail), rx.fragment())
    )


def reason(code: rx.Var[str]) -> rx.Component:
    """Why something was put off, passed over or ended."""
    return rx.fragment(t_of(code, "chains.why_", otherwise=code))
