"""Update rules and their changes as pages show them: in sentences, as rows, and as the fields of a form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from builder_ui.i18n import TEXTS, text
from builder_ui.rows import moment
from graph_runtime.contract.forms import form_fields
from graph_runtime.contract.update_rules import STANDARD_TARGETS, UpdateRule
from graph_runtime.services.crm_later import NOT_THERE

if TYPE_CHECKING:
    from graph_runtime.contract.update_rules import RuleProblem, Target
    from graph_runtime.services.update_changes import Change
    from graph_runtime.services.update_rules import UpdateRuleRow

FIELDS: Final = form_fields(UpdateRule)
EMPTY_FORM: Final[dict[str, str]] = {
    "id": "", **{f.key: "" if isinstance(f.default, list) else str(f.default) for f in FIELDS},
}  # fmt: skip
_STANDARD: Final = {t.key for t in STANDARD_TARGETS}
_YES_NO: Final = ("yes", "no")


@dataclass(frozen=True)
class RuleItem:
    """A line of the list: what it listens for, what it does, and what keeps it from working."""

    id: str = ""
    when: str = ""
    does: str = ""
    overwrite: str = ""
    is_on: bool = False
    problem: str = ""
    applied: int = 0
    applied_at: str = ""


@dataclass(frozen=True)
class TargetItem:
    """A field that a rule may set; `options` when it takes only some values."""

    key: str = ""
    label: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChangeItem:
    """One change. `before` "" was empty; `added` instead of both where something was only added (a tag)."""

    id: str = ""
    contact: str = ""
    contact_path: str = ""
    label: str = ""
    before: str = ""
    after: str = ""
    added: str = ""
    sentence: str = ""
    state: str = ""
    at: str = ""
    when: str = ""
    talk_path: str = ""
    member: str = ""
    percent: int = 0
    by_model: bool = False
    crm: str = ""
    crm_error: str = ""


@dataclass(frozen=True)
class ProblemItem:
    """What is wrong, in the page's language."""

    code: str = ""
    message: str = ""
    is_warning: bool = False
    field: str = ""


def label_of(key: str, label: str, language: str) -> str:
    """A field's name: standard ones in the reader's language."""
    return text(language, f"contacts.{key}") if key in _STANDARD else label


def when_of(rule: UpdateRule, language: str) -> str:
    """What a rule listens for."""
    return text(language, f"update_rules.sentence_{rule.occasion}", when=rule.when.strip().rstrip("."))


def rule_item(row: UpdateRuleRow, language: str) -> RuleItem:
    """A rule in the words of the page."""
    label = label_of(row.rule.field, row.target.label if row.target else row.rule.field, language)
    problem = next((problem_item(p, language).message for p in row.problems), "")
    return RuleItem(
        id=row.id, when=when_of(row.rule, language), overwrite=row.rule.overwrite, is_on=row.is_on, problem=problem,
        does=text(language, f"update_rules.does_{row.rule.source}", label=label, value=row.rule.value),
        applied=row.applied, applied_at=moment(row.applied_at),
    )  # fmt: skip


def problem_item(problem: RuleProblem, language: str) -> ProblemItem:
    """In the page's own words, where there are some."""
    key = f"update_rules.problem_{problem.code}"
    message = text(language, key) if key in TEXTS else problem.message
    return ProblemItem(problem.code, message, problem.is_warning, problem.field)


def target_item(target: Target, language: str) -> TargetItem:
    """A field to choose."""
    options = _YES_NO if target.type == "yes_no" else target.options
    return TargetItem(target.key, label_of(target.key, target.label, language), options)


def change_item(change: Change, language: str) -> ChangeItem:
    """A change in the words of the page."""
    is_tags = change.field == "tags"
    added = sorted({*change.after} - {*(change.before or [])}) if is_tags else []
    talk = f"/conversations?id={change.conversation_id}" if change.conversation_id else ""
    return ChangeItem(
        id=change.id, contact=change.contact, contact_path=f"/contacts/{change.contact_id}",
        label=label_of(change.field, change.label, language), before="" if is_tags else shown(change.before, language),
        after="" if is_tags else shown(change.after, language), added=", ".join(added), sentence=change.sentence,
        state=change.state, at=moment(change.closed_at or change.applied_at or change.created_at),
        when=when_of(change.document, language), talk_path=talk, member=change.member,
        percent=round(change.confidence * 100), by_model=bool(change.by_model),
        crm="not_there" if change.crm_error == NOT_THERE else change.crm, crm_error=change.crm_error,
    )  # fmt: skip


def shown(value: Any, language: str) -> str:
    """A value of a field."""
    if isinstance(value, bool):
        return text(language, "contacts.yes" if value else "contacts.no")
    return "" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def form_of(row: UpdateRuleRow) -> dict[str, str]:
    """The fields of the form for a rule that there is."""
    values = row.rule.model_dump(mode="json")
    return {"id": row.id} | {k: ", ".join(v) if isinstance(v, list) else str(v) for k, v in values.items()}


def document_of(form: Mapping[str, str]) -> dict[str, Any]:
    """What the form says."""
    document: dict[str, Any] = {}
    for field in FIELDS:
        given = form[field.key]
        if field.widget == "strings":
            document[field.key] = [w.strip()[:100] for w in given.split(",") if w.strip()]
        elif field.widget == "number":
            document[field.key] = int(given) if given.strip().isdecimal() else -1
        else:
            document[field.key] = given
    return document
