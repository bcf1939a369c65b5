"""The rows of a form in which fields of a customer system are chosen, and what they become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from builder_ui.i18n import t
from builder_ui.pages.crm_rows import CrmForm, CrmRow


def crm_field_rows(
    form: rx.Var[CrmForm], base: Any, on_pick: Callable[[Any, Any], Any], on_value: Callable[[Any, Any], Any] | None = None
) -> rx.Component:  # fmt: skip
    """`base`: the beginning of ids and of names in a form (`base`name_0, `base`value_0); `on_pick`, `on_value`: (row, value)."""
    return rx.el.fieldset(
        rx.el.legend(t("chains.crm_fields"), class_name="ps-label"),
        rx.cond(
            form.problem != "",
            rx.el.p(t("crm_fields.unread", why=form.problem), class_name="ps-hint", role="status",
                    style={"margin": "0", "color": "var(--amber-11)"}),
        ),
        rx.foreach(form.rows, lambda row, n: _row(form, base, row, n, on_pick, on_value)),
        class_name="ps-fieldset",
    )  # fmt: skip


def _row(
    form: rx.Var[CrmForm], base: Any, row: rx.Var[CrmRow], n: rx.Var[int], on_pick: Any, on_value: Any
) -> rx.Component:  # fmt: skip
    place = n.to_string()
    choices = base + "choices_" + place
    more: dict[str, Any] = {} if on_value is None else {"on_blur": lambda value: on_value(n, value)}
    return rx.el.div(
        rx.el.select(
            rx.el.option(t("crm_fields.choose"), value=""),
            rx.foreach(form.fields, lambda item: rx.el.option(item.label, value=item.id)),
            name=base + "name_" + place,
            default_value=row.name,
            on_change=lambda value: on_pick(n, value),
            aria_label=t("chains.field_name"),
            class_name="ps-select",
            # What is chosen is drawn anew when the account's fields are there.
            key="name-" + form.key + place,
        ),
        rx.el.div(
            rx.text_field(
                name=base + "value_" + place, default_value=row.value, placeholder=t("chains.field_value"), max_length=4000,
                aria_label=t("chains.field_value"), custom_attrs={"list": rx.cond(row.choices.length() > 0, choices, "")},
                auto_complete=False, key="value-" + form.key + place, **more,
            ),
            rx.el.datalist(rx.foreach(row.choices, lambda choice: rx.el.option(value=choice)), id=choices),
        ),
        style={"display": "grid", "grid_template_columns": "1fr 1fr", "gap": "12px", "align_items": "start"},
    )  # fmt: skip
