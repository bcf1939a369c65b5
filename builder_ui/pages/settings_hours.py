"""Working hours and opting out: two cards of the workspace's settings."""

from __future__ import annotations

import reflex as rx

from builder_ui.components.parts import card, field
from builder_ui.i18n import LANGUAGE_NAMES, t
from builder_ui.pages.settings_hours_state import NONE, WorkSettings
from graph_runtime.contract.working_hours import WEEKDAYS


def _text(
    name: str, value: rx.Var[str], label: rx.Var[str], hint: rx.Var[str] | None = None, **more: object
) -> rx.Component:
    control = rx.text_field(id=f"w-{name}", name=name, default_value=value, key=value, **more)
    return field(label, control, field_id=f"w-{name}", hint=hint)


def hours_card() -> rx.Component:
    """When somebody works, and by which clock."""
    return card(
        t("settings.hours"),
        rx.form(
            rx.el.div(
                _text("zone", WorkSettings.zone, t("contacts.time_zone"), placeholder="Europe/Kyiv"),
                *[_text(d, WorkSettings.days[d], t(f"settings.hours_{d}"), placeholder="09:00–18:00") for d in WEEKDAYS],
                field(
                    t("settings.holiday_country"),
                    rx.select.root(
                        rx.select.trigger(id="w-country", aria_label=t("settings.holiday_country")),
                        rx.select.content(
                            rx.select.item(t("settings.holidays_none"), value=NONE),
                            rx.foreach(WorkSettings.countries, lambda c: rx.select.item(c, value=c)),
                        ),
                        name="country", default_value=WorkSettings.country, key=WorkSettings.country,
                    ),
                    field_id="w-country",
                ),
                rx.box(rx.button(t("common.save"), type="submit", data_testid="save-hours")),
                class_name="ps-form",
            ),
            on_submit=WorkSettings.save_hours,
        ),
        hint=t("settings.hours_text"),
    )  # fmt: skip


def opt_out_card() -> rx.Component:
    """Words by which people opt out and come back."""
    answers = [
        _text(f"{kind}:{lang}", values[lang], t(f"settings.{kind}"), hint=rx.Var.create(name))
        for kind, values in (("stop_answer", WorkSettings.stop_answers), ("start_answer", WorkSettings.start_answers))
        for lang, name in LANGUAGE_NAMES.items()
    ]
    return card(
        t("settings.opt_out"),
        rx.form(
            rx.el.div(
                _text("stop_words", WorkSettings.stop_words, t("settings.stop_words")),
                _text("start_words", WorkSettings.start_words, t("settings.start_words")),
                *answers,
                rx.box(rx.button(t("common.save"), type="submit")),
                class_name="ps-form",
            ),
            on_submit=WorkSettings.save_words,
        ),
        hint=t("settings.opt_out_text"),
    )
