"""“Call me” on the tab Phone: a dialog that rings a phone and shows how the call is doing."""

from __future__ import annotations

import reflex as rx

from builder_ui.components.parts import field
from builder_ui.i18n import t, t_of
from builder_ui.pages.agent_call_me_state import CallMe
from builder_ui.pages.agent_phone_state import LineItem

RUNS = ("ringing", "talking", "moving")


def call_me_button(line: rx.Var[LineItem]) -> rx.Component:
    """Of one line; off, with the reason, where it cannot place calls."""
    button = rx.button(
        rx.icon("phone-outgoing", size=13), t("callme.open"), variant="soft", size="1", disabled=~line.can_call,
        on_click=CallMe.begin(line.id), data_testid="call-me",
    )  # fmt: skip
    return rx.cond(line.can_call, button, rx.el.span(button, title=t("callme.cannot")))


def call_me_dialog() -> rx.Component:
    """Opened by one of the buttons."""
    is_running = (CallMe.phase == RUNS[0]) | (CallMe.phase == RUNS[1]) | (CallMe.phase == RUNS[2])
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("callme.title"), size="5"),
            rx.dialog.description(
                t("callme.text", line=rx.cond(CallMe.line_name != "", CallMe.line_name, t("phone.unnamed"))),
                size="2", color_scheme="gray",
            ),
            rx.form(
                field(
                    t("callme.number"),
                    rx.text_field(
                        id="call-me-number", name="number", default_value=CallMe.number, max_length=80, type="tel",
                        auto_complete=False, required=True, read_only=is_running,
                    ),
                    field_id="call-me-number",
                    hint=t("callme.number_hint"),
                ),
                rx.el.div(rx.cond(CallMe.phase != "", _phase(is_running)), role="status", aria_live="polite"),
                rx.flex(
                    rx.dialog.close(rx.button(t("callme.close"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(
                        rx.cond(CallMe.phase == "", t("callme.do"), t("callme.again")), type="submit",
                        loading=CallMe.is_placing, disabled=is_running, data_testid="call-me-now",
                    ),
                    spacing="3",
                    justify="end",
                    margin_top="20px",
                ),
                on_submit=CallMe.call,
                style={"margin_top": "16px"},
            ),
            max_width="440px",
        ),
        open=CallMe.line_id != "",
        on_open_change=CallMe.close,
    )  # fmt: skip


def _phase(is_running: rx.Var[bool]) -> rx.Component:
    color = rx.cond(is_running, "amber", rx.cond(CallMe.phase == "over", "green", "red"))
    icon = rx.match(
        CallMe.phase,
        ("ringing", rx.icon("bell-ring", size=16)), ("talking", rx.icon("phone-call", size=16)),
        ("moving", rx.icon("phone-forwarded", size=16)), ("over", rx.icon("check", size=16)),
        rx.icon("triangle-alert", size=16),
    )  # fmt: skip
    return rx.callout.root(
        rx.callout.icon(icon),
        rx.callout.text(
            t_of(CallMe.phase, "callme.is_", number=CallMe.number, otherwise=CallMe.phase),
            rx.cond(
                CallMe.talk_path != "",
                rx.fragment(" ", rx.link(t("callme.transcript"), href=CallMe.talk_path, underline="always")),
            ),
        ),
        color_scheme=rx.cond((CallMe.phase == "talking") | (CallMe.phase == "moving"), "green", color),
        high_contrast=True,
        size="1",
        margin_top="16px",
        custom_attrs={"data-phase": CallMe.phase},
    )
