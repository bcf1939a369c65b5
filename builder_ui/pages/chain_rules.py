"""The dialog of what holds for a whole chain: when it ends, hours, how often at most, whose clock."""

from __future__ import annotations

import reflex as rx

from builder_ui.components.parts import field
from builder_ui.i18n import t
from builder_ui.pages.chain_fields import check, choice, clock_time, line, number, pair
from builder_ui.pages.chain_panel import OPERATORS
from builder_ui.pages.chain_state import ChainPage
from graph_runtime.contract.working_hours import WEEKDAYS

RULES = ChainPage.rules
FIELDS = {"gap": "10px"}
"""Of a fieldset with fields that have labels above them, not only statements to check."""


def rules_dialog() -> rx.Component:
    """What holds for the whole chain."""
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(t("chains.rules"), size="5"),
            rx.dialog.description(t("chains.rules_lead"), class_name="ps-hint", style={"margin": "0 0 16px"}),
            rx.form(
                rx.el.div(
                    rx.el.fieldset(
                        rx.el.legend(t("chains.stop"), class_name="ps-label"),
                        check("on_reply", RULES.on_reply, "chains.stop_reply"),
                        line("tags", RULES.tags, "chains.stop_tags", "chains.tags_hint"),
                        line("results", RULES.results, "chains.stop_results", "chains.stop_results_hint"),
                        line("stages", RULES.stages, "chains.stop_stages", "chains.stop_stages_hint"),
                        rx.cond(RULES.is_stop_kept, rx.el.p(t("chains.stop_kept"), class_name="ps-hint"), _stop_condition()),
                        class_name="ps-fieldset", style=FIELDS,
                    ),
                    rx.el.fieldset(
                        rx.el.legend(t("chains.quiet"), class_name="ps-label"),
                        check("has_quiet", RULES.has_quiet, "chains.has_quiet"),
                        pair(
                            clock_time("quiet_start", RULES.quiet_start, "chains.hours_from"),
                            clock_time("quiet_end", RULES.quiet_end, "chains.hours_until"),
                        ),
                        class_name="ps-fieldset", style=FIELDS,
                    ),
                    _working_hours(),
                    rx.el.fieldset(
                        rx.el.legend(t("chains.caps"), class_name="ps-label"),
                        rx.el.p(t("chains.caps_hint"), class_name="ps-hint", style={"margin": "0"}),
                        pair(
                            number("per_day", RULES.per_day, "chains.per_day", 0, 100),
                            number("spacing", RULES.spacing, "chains.spacing", 0, 10_080),
                        ),
                        pair(
                            number("per_hour", RULES.per_hour, "chains.per_hour", 0, 1_000_000),
                            number("per_channel_day", RULES.per_channel_day, "chains.per_channel_day", 0, 1_000_000),
                        ),
                        number("jitter", RULES.jitter, "chains.jitter", 0, 240),
                        class_name="ps-fieldset", style=FIELDS,
                    ),
                    pair(
                        line("zone", RULES.zone, "chains.zone", "chains.zone_hint"),
                        line("country", RULES.country, "chains.country", "chains.country_hint"),
                    ),
                    class_name="ps-form",
                    style={"max_width": "none"},
                ),
                rx.flex(
                    rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                    rx.button(t("chains.keep_rules"), type="submit", data_testid="save-rules"),
                    spacing="3", justify="end", class_name="ps-panel-foot",
                ),
                key=RULES.key,
                on_submit=ChainPage.save_rules,
            ),
            class_name="ps-side",
        ),
        open=ChainPage.is_rules_open,
        on_open_change=ChainPage.open_rules,
    )  # fmt: skip


def _stop_condition() -> rx.Component:
    """One comparison, such as a stage that the customer system wrote into a field."""
    operators = [rx.select.item(t(f"chains.op_{o}"), value=o) for o in OPERATORS]
    return rx.fragment(
        pair(
            line("stop_field", RULES.stop_field, "chains.stop_field", "chains.stop_field_hint"),
            choice("stop_op", RULES.stop_op, t("chains.if_op"), *operators),
        ),
        line("stop_value", RULES.stop_value, "chains.if_value"),
    )


def _working_hours() -> rx.Component:
    def day(name: str) -> rx.Component:
        control = rx.text_field(
            id=f"step-hours_{name}", name=f"hours_{name}", default_value=RULES.hours[name], placeholder="09:00–18:00",
        )  # fmt: skip
        return field(t(f"settings.hours_{name}"), control, field_id=f"step-hours_{name}")

    return rx.el.details(
        rx.el.summary(t("chains.hours"), class_name="ps-more"),
        rx.el.div(
            rx.el.p(t("chains.hours_hint"), class_name="ps-hint", style={"margin": "0"}),
            rx.el.div(
                *[day(name) for name in WEEKDAYS],
                style={
                    "display": "grid",
                    "grid_template_columns": "repeat(auto-fill, minmax(150px, 1fr))",
                    "gap": "12px",
                },
            ),
            class_name="ps-form",
            style={"padding_top": "8px", "max_width": "none"},
        ),
        custom_attrs={"open": RULES.has_hours},
    )
