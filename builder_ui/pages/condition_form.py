"""The builder of conditions: comparisons in groups of which all or any must hold; the same for triggers and segments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from builder_ui.i18n import t
from builder_ui.pages.condition_rows import ALONE, OPERATORS

What = Callable[[Any, Callable[[Any], Any]], rx.Component]
_ROW = {"display": "flex", "flex_wrap": "wrap", "gap": "8px", "align_items": "center"}


def conditions_part(state: Any, what: What) -> rx.Component:
    """`what(part, put)`: the control for the value that a comparison looks at; `put(value)` is its handler."""
    return rx.cond(
        state.is_condition_kept,
        rx.callout.root(
            rx.callout.icon(rx.icon("braces", size=15)),
            rx.callout.text(t("conditions.kept")),
            rx.button(t("conditions.anew"), type="button", variant="soft", size="1", on_click=state.build_anew),
            color_scheme="gray", size="1", data_testid="condition-kept",
        ),
        rx.fragment(
            rx.cond(
                state.groups.length() > 1,
                rx.el.div(
                    rx.el.span(t("conditions.groups"), style={"font_size": "14px"}),
                    _joined(state.joined, state.join_groups, t("conditions.groups"), "join-groups"),
                    style={**_ROW, "margin_bottom": "8px"},
                ),
            ),
            rx.foreach(state.groups, lambda g, at: _group(state, g, at, what)),  # Reflex names the index as it is named here
            rx.button(
                rx.icon("plus", size=14),
                rx.cond(state.groups.length() > 0, t("conditions.add_group"), t("conditions.add")),
                variant="soft", color_scheme="gray", size="1", on_click=state.add_group, justify_self="start",
                type="button", data_testid="add-group",
            ),
        ),
    )  # fmt: skip


def _joined(value: Any, change: Any, label: rx.Var[str], testid: str) -> rx.Component:
    return rx.select.root(
        rx.select.trigger(aria_label=label, data_testid=testid),
        rx.select.content(*[rx.select.item(t(f"conditions.{j}"), value=j) for j in ("all", "any")]),
        value=value, on_change=change, size="1",
    )  # fmt: skip


def _group(state: Any, group: Any, place: rx.Var[int], what: What) -> rx.Component:
    return rx.el.div(
        rx.cond(
            group.parts.length() > 1,
            _joined(group.joined, lambda v: state.join_group(place, v), t("conditions.group"), "join-group"),
        ),
        rx.foreach(group.parts, lambda part, n: _part(state, part, place, n, what)),
        rx.button(
            rx.icon("plus", size=13), t("conditions.add"), variant="ghost", color_scheme="gray", size="1", type="button",
            on_click=state.add_part(place), data_testid="add-part", justify_self="start", margin="0",
        ),
        class_name="ps-group", role="group", aria_label=t("conditions.group"),
    )  # fmt: skip


def _part(
    state: Any, part: Any, group: rx.Var[int], place: rx.Var[int], what: What
) -> rx.Component:  # fmt: skip
    is_alone = (part.op == ALONE[0]) | (part.op == ALONE[1]) | (part.op == ALONE[2]) | (part.op == ALONE[3])
    return rx.el.div(
        what(part, lambda value: state.put_part(group, place, "ref", value)),
        rx.select.root(
            rx.select.trigger(aria_label=t("conditions.how"), width="150px"),
            rx.select.content(*[rx.select.item(t(f"conditions.op_{o}"), value=o) for o in OPERATORS]),
            value=part.op, on_change=lambda value: state.put_part(group, place, "op", value),
        ),
        rx.cond(
            is_alone,
            rx.fragment(),
            rx.text_field(
                default_value=part.value, key=f"{group}-{place}-{part.ref}", aria_label=t("conditions.value"), flex="1 1 110px",
                on_blur=lambda value: state.put_part(group, place, "value", value), data_testid="part-value",
            ),
        ),
        rx.icon_button(
            rx.icon("x", size=15), variant="ghost", color_scheme="gray", aria_label=t("conditions.drop"), type="button",
            on_click=state.drop_part(group, place), margin="0",
        ),
        style=_ROW,
    )  # fmt: skip
