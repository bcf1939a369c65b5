"""The update rules on an agent's page: the rules, their form with a trial, what waits for a decision, what they changed."""

from __future__ import annotations

from typing import Any

import reflex as rx

from builder_ui.browser import When
from builder_ui.components.parts import card, confirm, empty, field
from builder_ui.i18n import t, t_of
from builder_ui.pages.agent_rules_state import NONE, AgentRules
from builder_ui.pages.update_changes import changes, proposals
from builder_ui.pages.update_rows import FIELDS, RuleItem
from graph_runtime.contract.forms import FormField


def update_rules() -> rx.Component:
    """The section with everything about update rules."""
    has_history = (AgentRules.rules.length() > 0) | (AgentRules.changes.length() > 0)
    return rx.fragment(
        _failed(),
        proposals(AgentRules, with_contact=True),
        rx.cond(
            AgentRules.rules.length() > 0,
            card(
                t("update_rules.title"),
                rx.el.div(rx.foreach(AgentRules.rules, _rule), class_name="ps-list", role="list"),
                rx.flex(
                    rx.cond(AgentRules.may_edit, _add()), _reader(),
                    gap="10px 16px", align="center", wrap="wrap", margin_top="14px",
                ),
                hint=t("update_rules.lead"),
            ),
            empty(
                "clipboard-pen", t("update_rules.empty_title"), t("update_rules.empty_text"),
                rx.cond(AgentRules.may_edit, _add()),
            ),
        ),
        rx.cond(
            has_history,
            card(
                t("update_rules.changes"),
                rx.cond(
                    AgentRules.changes.length() > 0,
                    changes(AgentRules, with_contact=True),
                    rx.el.p(t("update_rules.changes_none"), class_name="ps-hint", style={"margin": 0}),
                ),
                hint=t("update_rules.changes_hint"),
            ),
        ),
        _dialog(),
        confirm(
            is_open=AgentRules.doomed != "",
            title=t("update_rules.delete_title"),
            text=rx.el.p(t("update_rules.delete_text"), style={"margin": 0}),
            do=t("update_rules.delete"),
            on_do=AgentRules.delete,
            on_close=AgentRules.keep,
        ),
    )  # fmt: skip


def _add() -> rx.Component:
    return rx.button(
        rx.icon("plus", size=15),
        t("update_rules.add"),
        variant="soft",
        on_click=AgentRules.begin(""),
        data_testid="add-rule",
    )


def _reader() -> rx.Component:
    """Who reads what clients say."""
    return rx.el.div(
        rx.cond(
            AgentRules.model != "",
            t("update_rules.read_by", model=AgentRules.model),
            rx.fragment(
                rx.cond(AgentRules.has_model_problem, t("update_rules.model_problem"), t("update_rules.no_model")), " ",
                rx.link(t("update_rules.connect"), href="/models", underline="always"),
            ),
        ),
        class_name="ps-hint",
        style={"margin": 0, "flex": "1 1 260px"},
        data_testid="rule-reader",
    )  # fmt: skip


def _failed() -> rx.Component:
    return rx.cond(
        AgentRules.failed > 0,
        rx.callout.root(
            rx.callout.icon(rx.icon("triangle-alert", size=16)),
            rx.callout.text(
                t("update_rules.failed_n", n=AgentRules.failed), " ",
                rx.cond(
                    AgentRules.may_edit,
                    rx.button(t("update_rules.try_again"), size="1", variant="soft", on_click=AgentRules.try_again),
                ),
            ),
            color_scheme="amber", high_contrast=True, size="1", margin_bottom="16px",
        ),
    )  # fmt: skip


def _rule(item: rx.Var[RuleItem]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.icon("clipboard-pen", size=18), class_name="ps-tile", data_off=~item.is_on, custom_attrs={"aria-hidden": "true"}
        ),
        rx.el.div(
            rx.cond(
                AgentRules.may_edit,
                rx.el.button(
                    item.when, type="button", class_name="ps-title-button", on_click=AgentRules.begin(item.id),
                    style={"overflow_wrap": "anywhere"},
                ),
                rx.el.span(item.when, style={"font_weight": 600, "font_size": "14px"}),
            ),
            rx.el.div(
                item.does, " · ", t_of(item.overwrite, "update_rules.policy_"),
                style={"font_size": "13px", "overflow_wrap": "anywhere"},
            ),
            rx.cond(
                item.problem != "",
                rx.el.div(
                    rx.icon("triangle-alert", size=13, flex="none", margin_top="2px", custom_attrs={"aria-hidden": "true"}),
                    rx.el.span(item.problem),
                    class_name="ps-hint", style={"display": "flex", "gap": "5px", "color": "var(--amber-11)", "margin": 0},
                ),
                rx.el.div(
                    rx.cond(
                        item.applied_at != "",
                        rx.fragment(t("update_rules.applied_n", n=item.applied), " · ", When.create(iso=item.applied_at)),
                        t("update_rules.never_applied"),
                    ),
                    class_name="ps-sub ps-num",
                ),
            ),
            style={"min_width": 0, "display": "grid", "gap": "3px", "justify_items": "start"},
        ),
        rx.flex(
            rx.switch(
                checked=item.is_on, on_change=lambda is_on: AgentRules.switch(item.id, is_on),
                disabled=~AgentRules.may_edit, aria_label=t("update_rules.switch", name=item.when),
            ),
            rx.cond(AgentRules.may_edit, _menu(item)),
            align="center", gap="8px",
        ),
        class_name="ps-row",
        style={
            "grid_template_columns": "40px minmax(0, 1fr) auto",
            "@media (max-width: 560px)": {
                "grid_template_columns": "minmax(0, 1fr) auto", "gap": "10px", "& > .ps-tile": {"display": "none"},
            },
        },
        role="listitem",
        key=item.id,
    )  # fmt: skip


def _menu(item: rx.Var[RuleItem]) -> rx.Component:
    return rx.dropdown_menu.root(
        rx.dropdown_menu.trigger(
            rx.icon_button(
                rx.icon("ellipsis", size=16), variant="ghost", color_scheme="gray", margin="0", width="32px", height="32px",
                aria_label=t("update_rules.more", name=item.when), data_testid="rule-menu",
            )
        ),
        rx.dropdown_menu.content(
            rx.dropdown_menu.item(rx.icon("pencil", size=15), t("update_rules.edit"), on_select=AgentRules.begin(item.id)),
            rx.dropdown_menu.item(
                rx.icon("trash-2", size=15), t("update_rules.delete"), color="red", on_select=AgentRules.ask_delete(item.id)
            ),
        ),
    )  # fmt: skip


def _dialog() -> rx.Component:
    folded = [f for f in FIELDS if f.advanced]
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(
                rx.cond(AgentRules.form["id"] == "", t("update_rules.form_new"), t("update_rules.form_edit")),
                size="5", data_testid="rule-form",
            ),
            rx.dialog.description(
                t("update_rules.form_lead"), class_name="ps-lead", style={"font_size": "14px", "margin": "0 0 16px"}
            ),
            rx.el.div(
                *_drawn([f for f in FIELDS if not f.advanced]),
                rx.cond(
                    AgentRules.model == "",
                    rx.fragment(*[_field(f) for f in folded]),
                    rx.el.details(
                        rx.el.summary(t("update_rules.advanced"), class_name="ps-more"),
                        rx.el.div(*[_field(f) for f in folded], style={"margin_top": "8px"}),
                    ),
                ),
                _trial(),
                _problems_of(""),
                class_name="ps-form",
                style={"max_width": "none"},
            ),
            rx.flex(
                rx.dialog.close(rx.button(t("common.cancel"), type="button", variant="soft", color_scheme="gray")),
                rx.button(t("common.save"), on_click=AgentRules.save, loading=AgentRules.is_saving, data_testid="save-rule"),
                spacing="3", justify="end", margin_top="20px",
            ),
            max_width="600px",
        ),
        open=AgentRules.is_form_open,
        on_open_change=AgentRules.close_form,
    )  # fmt: skip


def _drawn(fields: list[FormField]) -> list[rx.Component]:
    """The settings in their order, short ones side by side."""
    parts = {f.key: _field(f) for f in fields}
    for first, second in (("field", "source"), ("overwrite", "least_percent"), ("crm_entity", "crm_field")):
        parts[first] = rx.el.div(parts[first], parts.pop(second), class_name="ps-form-two")
    parts["crm_entity"] = rx.cond(AgentRules.form["crm"] != "", parts["crm_entity"])
    return [*parts.values()]


def _field(one: FormField) -> rx.Component:
    """One setting of the rule's model with the control of its kind."""
    field_id = f"rule-{one.key}"
    label = t(f"update_rules.f_{one.key}")
    hint = t(f"update_rules.h_{one.key}") if one.help or one.key == "field" else None
    drawn = rx.el.div(
        field(label, _control(one, field_id, label), field_id=field_id, hint=hint), _problems_of(one.key),
        style={"display": "grid", "gap": "6px", "min_width": 0},
    )  # fmt: skip
    for key, values in one.show_when.items():
        shown = AgentRules.form[key] == values[0]
        for value in values[1:]:
            shown |= AgentRules.form[key] == value
        drawn = rx.cond(shown, drawn)
    return drawn


def _control(one: FormField, field_id: str, label: rx.Var[str]) -> rx.Component:
    value = AgentRules.form[one.key]

    def put(given: Any) -> Any:
        return AgentRules.put(one.key, given)

    if one.widget == "select":
        return _select(
            field_id, label, value, put,
            *[rx.select.item(t(f"update_rules.o_{one.key}_{v}"), value=str(v)) for v, _ in one.options],
        )  # fmt: skip
    if one.key == "crm":
        nothing = rx.select.item(t("update_rules.crm_none"), value=NONE)
        items = rx.foreach(AgentRules.crms, lambda crm: rx.select.item(crm.label, value=crm.id))
        return rx.fragment(
            _select(field_id, label, rx.cond(value == "", NONE, value), put, nothing, items),
            rx.cond(
                AgentRules.crm_problem != "",
                rx.el.p(AgentRules.crm_problem, class_name="ps-hint", style={"margin": "4px 0 0", "color": "var(--red-11)"}),
            ),
        )  # fmt: skip
    if one.key == "crm_field":
        items = rx.foreach(AgentRules.crm_fields, lambda one_field: rx.select.item(one_field.label, value=one_field.id))
        return _select(field_id, label, value, put, items, placeholder=t("update_rules.choose_field"))
    if one.widget == "remote":
        items = rx.foreach(AgentRules.targets, lambda target: rx.select.item(target.label, value=target.key))
        return _select(field_id, label, value, put, items, placeholder=t("update_rules.choose_field"))
    placeholder: Any = ""
    if one.key == "when":
        placeholder = t_of(AgentRules.form["occasion"], "update_rules.p_when_")
    typed = rx.text_field(
        id=field_id, default_value=value, placeholder=placeholder, max_length=one.max_length or 2000, on_blur=put,
        width="120px" if one.widget == "number" else "100%",
        **({"type": "number", "min": str(one.minimum), "max": str(one.maximum)} if one.widget == "number" else {}),
    )  # fmt: skip
    if one.key != "value":
        return typed
    chosen = _select(
        field_id, label, value, put, rx.foreach(AgentRules.options, lambda option: rx.select.item(option, value=option)),
        placeholder=label,
    )  # fmt: skip
    return rx.cond(AgentRules.options.length() > 0, chosen, typed)


def _select(field_id: str, label: rx.Var[str], value: Any, put: Any, *items: rx.Component, **more: Any) -> rx.Component:
    return rx.select.root(
        rx.select.trigger(id=field_id, aria_label=label, width="100%", **more), rx.select.content(*items),
        value=value, on_change=put,
    )  # fmt: skip


def _trial() -> rx.Component:
    trial = AgentRules.trial
    return rx.el.fieldset(
        rx.el.legend(t("update_rules.trial"), class_name="ps-label"),
        rx.el.p(t("update_rules.trial_hint"), class_name="ps-hint", style={"margin": "0 0 8px"}),
        rx.form(
            rx.text_field(
                name="trial_question", placeholder=t("update_rules.trial_question"), max_length=2000,
                aria_label=t("update_rules.trial_question"),
            ),
            rx.flex(
                rx.text_field(
                    name="trial_text", placeholder=t("update_rules.trial_text"), max_length=2000,
                    aria_label=t("update_rules.trial_text"), flex="1 1 200px",
                ),
                rx.button(
                    rx.icon("flask-conical", size=15), t("update_rules.trial_do"), variant="soft", type="submit",
                    loading=AgentRules.is_trying, data_testid="try-rule",
                ),
                gap="8px", wrap="wrap",
            ),
            on_submit=AgentRules.try_out,
            style={"display": "grid", "gap": "8px"},
        ),
        rx.cond(
            trial.is_done,
            rx.callout.root(
                rx.callout.icon(rx.icon(rx.cond(trial.reason == "", "circle-check", "circle-slash"), size=16)),
                rx.callout.text(
                    rx.cond(
                        trial.reason == "",
                        t("update_rules.trial_finds", value=trial.value),
                        t_of(trial.reason, "update_rules.reason_", percent=trial.percent),
                    ),
                    rx.cond(trial.reason == "", rx.el.span(
                        "“", trial.sentence, "” · ",
                        rx.cond(trial.model != "", t("update_rules.trial_by", percent=trial.percent, model=trial.model),
                                t("update_rules.trial_plainly")),
                        style={"display": "block", "overflow_wrap": "anywhere"},
                    )),
                ),
                color_scheme=rx.cond(trial.reason == "", "green", "amber"),
                high_contrast=True, size="1", margin_top="10px", role="status", data_testid="rule-trial",
            ),
        ),
        class_name="ps-fieldset",
    )  # fmt: skip


def _problems_of(key: str) -> rx.Component:
    """What is wrong with one field, under it; "": with none of them."""
    return rx.el.div(
        rx.foreach(
            AgentRules.problems,
            lambda problem: rx.cond(
                problem.field == key,
                rx.el.p(
                    rx.icon("triangle-alert", size=14, flex="none", margin_top="2px", custom_attrs={"aria-hidden": "true"}),
                    rx.el.span(problem.message),
                    style={
                        "display": "flex", "gap": "6px", "margin": 0, "font_size": "13px",
                        "color": rx.cond(problem.is_warning, "var(--blue-11)", "var(--red-11)"),
                    },
                ),
            ),
        ),
        role="status",
        data_testid=f"rule-problems-{key or 'form'}",
    )  # fmt: skip
