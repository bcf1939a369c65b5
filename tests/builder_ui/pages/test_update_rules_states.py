"""The pages of update rules: the form says what the rule says, problems show as it is filled in, deciding, undoing."""

from __future__ import annotations

from typing import Any

import pytest

from builder_ui.i18n import LANGUAGES, TEXTS
from builder_ui.pages.agent_rules_state import AgentRules
from builder_ui.pages.contact_rules_state import ContactRules
from builder_ui.pages.update_changes_state import RuleChanges
from builder_ui.pages.update_rows import EMPTY_FORM, FIELDS, document_of, form_of, rule_item
from builder_ui.session import Session
from graph_runtime.bootstrap import Services
from graph_runtime.contract.update_rules import STANDARD_TARGETS, RuleProblem, UpdateRule, rule_problems
from graph_runtime.services.agents import AgentRow
from graph_runtime.services.principal import Principal
from graph_runtime.services.update_rules import UpdateRuleRow, read
from graph_runtime.storage.update_checks import CheckSweep
from graph_runtime.worker.update_checks import UpdateLooks
from tests.builder_ui.conftest import Talk
from tests.builder_ui.tab import Tab

RULES: list[dict[str, Any]] = [
    {"occasion": "agrees", "when": "a call", "field": "tags", "source": "fixed", "value": "call", "words": ["call*", "ring me"]},
    {"when": "their e-mail", "field": "email", "overwrite": "ask", "least_percent": 0},
]  # fmt: skip


@pytest.mark.parametrize("document", RULES)
def test_a_form_says_what_the_rule_says(document: dict[str, Any]) -> None:
    class Row:
        id = "r"
        rule = read(document)

    row: Any = Row()
    assert read(document_of(form_of(row))) == row.rule
    assert set(EMPTY_FORM) == {"id", *UpdateRule.model_fields}


def test_everything_that_a_rule_can_say_has_words() -> None:
    for field in FIELDS:
        assert f"update_rules.f_{field.key}" in TEXTS
        assert not field.help or f"update_rules.h_{field.key}" in TEXTS
        assert all(f"update_rules.o_{field.key}_{value}" in TEXTS for value, _ in field.options)
    targets = {t.key: t for t in STANDARD_TARGETS}
    found: list[RuleProblem] = []
    for rule in (UpdateRule(), UpdateRule(when="x", field="gone"), UpdateRule(when="x", field="name", source="fixed"),
                 UpdateRule(when="x", field="email", source="fixed", value="x"), UpdateRule(when="x", field="name")):  # fmt: skip
        found += rule_problems(rule, targets, False, has_model=False)
    assert {p.code for p in found} == {"when", "field", "field_gone", "value", "value_unfit", "needs_model"}
    assert all(f"update_rules.problem_{p.code}" in TEXTS for p in found)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_line_of_the_list_is_in_the_readers_language(language: str) -> None:
    rule = read(RULES[0])
    row = UpdateRuleRow(
        "r", "a", True, rule, STANDARD_TARGETS[-1], "", (RuleProblem("value", "value", "English"),), 0, None,
        None, None,  # type: ignore[arg-type]
    )  # fmt: skip
    item = rule_item(row, language)
    said = {"en": ("agrees to a call", "Tags", "Write"), "ru": ("соглашается a call", "Метки", "Напишите"),
            "uk": ("погоджується a call", "Мітки", "Напишіть")}[language]  # fmt: skip
    assert said[0] in item.when
    assert said[1] in item.does
    assert item.problem.startswith(said[2])


async def test_the_section_from_an_empty_list_to_undo(
    services: Services, tab: Tab, who: Principal, agent: AgentRow, talk: Talk
) -> None:
    tab.go(f"/agents/{agent.id}")
    await tab.call(AgentRules, "load")
    state = tab.state(AgentRules)
    assert (state.rules, state.model, state.may_edit, state.may_decide) == ([], "", True, True)
    await tab.call(AgentRules, "begin", "")
    await tab.call(AgentRules, "save")
    assert (state.is_form_open, [p.code for p in state.problems]) == (True, ["when", "field"])
    for name, value in (
        ("when", "their e-mail"),
        ("field", "email"),
        ("overwrite", "ask"),
        ("id", "other"),
        ("x", "y"),
    ):
        await tab.call(AgentRules, "put", name, value)
    assert state.problems == []
    await tab.call(AgentRules, "try_out", {"trial_text": "a@example.com", "trial_question": ""})
    assert (state.trial.reason, state.trial.value, state.trial.model) == ("", "a@example.com", "")
    await tab.call(AgentRules, "put", "least_percent", "many")
    assert [p.code for p in state.problems] == ["shape"]
    await tab.call(AgentRules, "put", "least_percent", "75")
    await tab.call(AgentRules, "save")
    assert tab.state(AgentRules).is_form_open is False
    assert [r.overwrite for r in state.rules] == ["ask"]
    await talk.say("write to a@example.com")
    looks = UpdateLooks(CheckSweep(services.database), services.update_checks)
    assert await looks.once() == 1
    await tab.call(AgentRules, "refresh")
    (proposal,) = state.proposals
    assert (proposal.after, proposal.sentence, proposal.contact) == ("a@example.com", "write to a@example.com", "Marta")
    await tab.call(RuleChanges, "accept_change", proposal.id)
    assert tab.notice == ("success", "update_rules.accepted_now")
    (change,) = state.changes
    contact_id = change.contact_path.rpartition("/")[2]
    assert (await services.contacts.get(who, contact_id))["email"] == "a@example.com"
    await tab.call(RuleChanges, "accept_change", proposal.id)
    assert tab.notice == ("error", "update_rules.decided")
    await services.contacts.update(who, contact_id, {"email": "b@example.com"})
    await tab.call(RuleChanges, "undo_change", change.id)
    assert tab.notice == ("error", "update_rules.changed_since")
    assert tab.state(Session).notice.params["now"] == "b@example.com"
    await services.contacts.update(who, contact_id, {"email": "a@example.com"})
    await tab.call(RuleChanges, "undo_change", change.id)
    assert [c.state for c in state.changes] == ["undone"]
    await tab.call(AgentRules, "switch", state.rules[0].id, False)
    await talk.say("c@example.com")
    assert await looks.once() == 0
    await tab.call(AgentRules, "ask_delete", state.rules[0].id)
    await tab.call(AgentRules, "delete")
    assert state.rules == []
    tab.go(f"/contacts/{contact_id}")
    await tab.call(ContactRules, "load")
    assert [c.state for c in tab.state(ContactRules).changes] == ["undone"]
    tab.go("/agents/0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b")
    await tab.call(AgentRules, "load")
    assert state.rules == []
