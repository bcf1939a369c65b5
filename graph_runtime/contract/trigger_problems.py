"""What keeps a trigger from working, and what will surprise its author; each in a sentence that says what to do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from graph_runtime.contract.conditions import references
from graph_runtime.contract.errors import TemplateInvalid
from graph_runtime.contract.schedules import check
from graph_runtime.contract.templates import parse, variables
from graph_runtime.contract.triggers import (
    EVENTS,
    NEEDS_CONTACT,
    ChangeContact,
    EnrollInChain,
    LeaveChain,
    NotifyMembers,
    OnEvent,
    OnMessage,
    OnSchedule,
    OnWebhook,
    SendWebhook,
    StartFlow,
    Trigger,
    WriteCrm,
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a trigger may name. `flows`: id → whether it is live (the main flow also under ""); `channels`: ids; `crms`: slots."""

    now: datetime
    flows: dict[str, bool] = field(default_factory=dict)
    chains: dict[str, bool] = field(default_factory=dict)
    subscriptions: dict[str, bool] = field(default_factory=dict)
    members: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    crms: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Problem:
    """`code` names a text for screens, `message` says it in English; `field` is where; a warning does not keep it off."""

    code: str
    field: str
    message: str
    is_warning: bool = False


def problems(trigger: Trigger, around: Surroundings) -> list[Problem]:
    """Everything that keeps a trigger from working, and what will surprise its author."""
    found = [*_WHEN.get(trigger.when.kind, _nothing)(trigger, trigger.when, around)]
    if not trigger.name.strip():
        found.append(Problem("name", "name", "Give the trigger a name."))
    if not trigger.actions:
        found.append(Problem("no_action", "actions", "Choose what it does. Without an action nothing would happen."))
    for place, action in enumerate(trigger.actions):
        found += _ACTIONS[action.do](action, f"actions.{place}", around)
    allowed = ("contact", "event", "var", "message")
    for path in references(trigger.condition):
        if path.partition(".")[0] not in allowed:
            found.append(Problem("condition", "condition", f"“{path}” is not known here. Use contact.… or event.…."))
    return found


def _nothing(*_: Any) -> Iterable[Problem]:
    return ()


def _needs_contact(trigger: Trigger) -> bool:
    return any(a.do in NEEDS_CONTACT for a in trigger.actions)


def _schedule(trigger: Trigger, when: OnSchedule, around: Surroundings) -> Iterable[Problem]:
    wrong = check(when.schedule, around.now)
    if wrong is not None:
        yield Problem(wrong.code, wrong.field, wrong.message)
    if when.segment_id and when.segment_id not in around.segments:
        yield Problem("segment", "segment_id", "This segment was deleted. Choose another one.")
    if when.audience == "nobody" and _needs_contact(trigger):
        yield Problem("nobody", "actions", "This time is about no contact, so there is nobody to do this with.")


def _message(trigger: Trigger, when: OnMessage, _: Surroundings) -> Iterable[Problem]:
    if when.match != "any" and not any(t.strip() for t in when.texts):
        yield Problem("texts", "texts", "Write at least one word to listen for.")
    if when.match == "pattern" and any(not t.strip("*? ") for t in when.texts):
        yield Problem("pattern", "texts", "A pattern of stars alone fits everything. Choose “Any message” instead.")
    if trigger.actions and not any(a.do == "start_flow" for a in trigger.actions):
        text = "The agent's main flow will answer, as no flow is started here."
        yield Problem("message_flow", "actions", text, is_warning=True)


def _event(_: Trigger, when: OnEvent, _around: Surroundings) -> Iterable[Problem]:
    if when.event not in EVENTS:
        yield Problem("event", "event", "There is no such event. Choose one of the list.")


def _webhook(trigger: Trigger, when: OnWebhook, around: Surroundings) -> Iterable[Problem]:
    known = {u.as_ for u in when.uses}
    if any(u.as_ in ("variable", "field") and not is_name(u.name) for u in when.uses):
        yield Problem("use_name", "uses", "A name has letters, digits and _, and begins with a letter: order_number.")
    if _needs_contact(trigger) and not {"phone", "email", "external_id"} & known:
        text = "Point at the value that says who it is about: phone, e-mail or an id in a channel."
        yield Problem("no_identity", "uses", text)
    if "external_id" in known and when.channel_id not in around.channels:
        yield Problem("channel", "channel_id", "Choose the channel in which this id is known.")


def _start_flow(action: StartFlow, where: str, around: Surroundings) -> Iterable[Problem]:
    if action.flow_id not in around.flows:
        yield Problem("flow_gone", where, "This flow was removed. Choose another one.")
    elif not around.flows[action.flow_id]:
        yield Problem("flow_draft", where, "This flow is not published yet, so it cannot start.", is_warning=True)


def _chain(action: EnrollInChain | LeaveChain, where: str, around: Surroundings) -> Iterable[Problem]:
    if action.do == "leave" and not action.chain_id:
        return
    if action.chain_id not in around.chains:
        yield Problem("chain_gone", where, "This chain was removed. Choose another one.")
    elif action.do == "enroll" and not around.chains[action.chain_id]:
        yield Problem("chain_off", where, "This chain is off, so nobody can be put into it.", is_warning=True)


def _change_contact(action: ChangeContact, where: str, _: Surroundings) -> Iterable[Problem]:
    if not (action.fields or action.add_tags or action.remove_tags):
        yield Problem("change_nothing", where, "Choose a field or a tag to change.")
    for key, text in action.fields.items():
        if not is_name(key):
            yield Problem("field_name", where, f"“{key}” is no name of a field. It looks like order_number.")
        yield from _about_text(text, where)


def _notify(action: NotifyMembers, where: str, around: Surroundings) -> Iterable[Problem]:
    if not action.text.strip():
        yield Problem("note_empty", where, "Write what the note should say.")
    if action.member_id and action.member_id not in around.members:
        yield Problem("member_gone", where, "This member is not here any more. Choose another one.")
    yield from _about_text(action.text, where)


def _send_webhook(action: SendWebhook, where: str, around: Surroundings) -> Iterable[Problem]:
    if action.subscription_id not in around.subscriptions:
        yield Problem("subscription_gone", where, "This subscription was removed. Choose another one.")
    elif not around.subscriptions[action.subscription_id]:
        yield Problem("subscription_off", where, "This subscription is off, so nothing is sent.", is_warning=True)
    yield from _about_text(action.note, where)


def _write_crm(action: WriteCrm, where: str, around: Surroundings) -> Iterable[Problem]:
    if action.slot not in around.crms:
        yield Problem("crm_gone", where, "Choose the customer system, connected to this agent.")
    if not (action.fields or action.note.strip() or action.task.strip()):
        yield Problem("crm_nothing", where, "Choose a field, or write a note or a task.")
    for text in (*(f.value for f in action.fields), action.note, action.task):
        yield from _about_text(text, where)


def _about_text(text: str, where: str) -> Iterable[Problem]:
    try:
        parse(text)
    except TemplateInvalid as error:
        yield Problem("text", where, error.message)
        return
    for path in sorted(variables(text)):
        if path.partition(".")[0] not in ("contact", "event", "var", "message", "now"):
            yield Problem("text_path", where, f"“{path}” is not known here. Use contact.… or event.….")


def is_name(text: str) -> bool:
    """Whether this can be the name of a variable or a field."""
    return text.isascii() and text.isidentifier() and len(text) <= 64


_Check = Callable[[Any, Any, Any], Iterable[Problem]]
_WHEN: Final[dict[str, _Check]] = {"schedule": _schedule, "message": _message, "event": _event, "webhook": _webhook}
_ACTIONS: Final[dict[str, _Check]] = {
    "start_flow": _start_flow,
    "enroll": _chain,
    "leave": _chain,
    "change_contact": _change_contact,
    "notify": _notify,
    "send_webhook": _send_webhook,
    "write_crm": _write_crm,
}
