"""Update rules as data: what an agent keeps of what a contact says, outside any flow. The model is the form and the check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from graph_runtime.contract.forms import NodeSettings, setting

TargetType = Literal[
    "text", "number", "date", "yes_no", "choice", "phone", "email", "language", "time_zone", "country", "tags"
]
PATTERNED: Final = frozenset({"phone", "email", "choice", "language"})
"""Types whose values can be told from other words without knowing what was asked."""
READABLE: Final = PATTERNED | {"number", "date", "yes_no"}
"""Types whose values can be read without a model once it is clear that the right thing is spoken of."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a rule may set. `key`: a standard value of a contact or a field of the workspace's own."""

    key: str
    label: str
    type: TargetType
    options: tuple[str, ...] = ()


STANDARD_TARGETS: Final = (
    Target("name", "Name", "text"),
    Target("phone", "Phone", "phone"),
    Target("email", "E-mail", "email"),
    Target("language", "Language", "language", ("en", "ru", "uk")),
    Target("time_zone", "Time zone", "time_zone"),
    Target("country", "Country", "country"),
    Target("tags", "Tags", "tags"),
)


class UpdateRule(NodeSettings):
    """When the contact says or agrees to something, a field of theirs is set."""

    occasion: Literal["says", "agrees"] = setting(
        "When the client", default="says", options={"says": "says", "agrees": "agrees to"},
        help="“Agrees” is a yes to a question or an offer of the agent.",
    )  # fmt: skip
    when: str = setting(
        "What, in plain words", default="", required=True, max_length=300,
        placeholder="how many people work in their company", help="One thing. The model reads this sentence.",
    )  # fmt: skip
    field: str = setting("Field to set", default="", required=True, widget="remote", of="contact.fields", max_length=64)
    source: Literal["said", "fixed"] = setting(
        "Set it to", default="said", options={"said": "what the client said", "fixed": "a fixed value"}
    )
    value: str = setting(
        "Value", default="", required=True, max_length=2000, show_when={"source": ["fixed"]},
        help="Must fit the field: a date as 2026-12-25, yes or no, one of the field's values.",
    )  # fmt: skip
    overwrite: Literal["never", "if_empty", "always", "ask"] = setting(
        "What is there already", default="if_empty",
        options={
            "never": "never change the field, only note what was said", "if_empty": "set it only while it is empty",
            "always": "overwrite it", "ask": "ask a member first",
        },
    )  # fmt: skip
    least_percent: int = setting(
        "Least confidence, %", default=75, ge=0, le=100, help="What the model is less sure of is not used."
    )
    crm: str = setting(
        "Also write it to", default="", widget="remote", of="crm.connections", max_length=64,
        help="To the client's record there, found by their phone or e-mail. When the CRM is away, it is written later.",
    )  # fmt: skip
    crm_entity: Literal["contact", "lead"] = setting(
        "Of the client's", default="contact", options={"contact": "contact", "lead": "newest open deal"},
    )  # fmt: skip
    crm_field: str = setting("Field there", default="", widget="remote", of="crm.fields", max_length=200)
    words: tuple[str, ...] = setting(
        "Words to listen for", default=(), max_length=30, advanced=True,
        help="Needed only without a model: in what the client says, or for “agrees” in the question before it.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RuleProblem:
    """What is wrong, in plain English; a warning does not keep the rule off."""

    code: str
    field: str
    message: str
    is_warning: bool = False


def works_without_model(rule: UpdateRule, target: Target) -> bool:
    """Whether patterns and words are enough to decide it."""
    has_words = any(w.strip() for w in rule.words)
    if rule.occasion == "agrees":
        return has_words and rule.source == "fixed"
    if rule.source == "fixed":
        return has_words
    return target.type in (READABLE if has_words else PATTERNED)


def rule_problems(
    rule: UpdateRule, targets: Mapping[str, Target], fits: bool, *, has_model: bool
) -> Sequence[RuleProblem]:
    """Everything that keeps a rule from working. `fits`: whether its fixed value fits the field."""
    found: list[RuleProblem] = []
    target = targets.get(rule.field)
    if not rule.when.strip():
        found.append(RuleProblem("when", "when", "Say in plain words what to listen for."))
    if not rule.field:
        found.append(RuleProblem("field", "field", "Choose the field to set."))
    elif target is None:
        found.append(RuleProblem("field_gone", "field", "This field was deleted. Choose another one."))
    if rule.source == "fixed" and not rule.value.strip():
        found.append(RuleProblem("value", "value", "Write the value to set."))
    elif rule.source == "fixed" and target is not None and not fits:
        found.append(RuleProblem("value_unfit", "value", f"“{rule.value}” does not fit the field “{target.label}”."))
    if rule.crm and not rule.crm_field:
        found.append(RuleProblem("crm_field", "crm_field", "Choose the field in the CRM."))
    elif rule.crm and rule.crm_field == "tags":
        text = "A rule cannot add to the tags of a CRM without taking others away. Choose another field."
        found.append(RuleProblem("crm_tags", "crm_field", text))
    if target is not None and not has_model and not works_without_model(rule, target):
        text = "This rule needs a model, and none is connected. Connect one, or add words to listen for."
        found.append(RuleProblem("needs_model", "words", text, is_warning=True))
    return found


def sentence(rule: Mapping[str, Any] | UpdateRule, label: str) -> str:
    """The rule in one English sentence, for the API and for whoever reads the history."""
    r = rule if isinstance(rule, UpdateRule) else UpdateRule.model_validate(rule)
    verb = "agrees to" if r.occasion == "agrees" else "says"
    value = f"“{r.value}”" if r.source == "fixed" else "what was said"
    return f"When the client {verb} {r.when.strip()}, set {label} to {value}."
