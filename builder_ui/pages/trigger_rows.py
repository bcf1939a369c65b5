"""Triggers as pages show them: in one sentence, as the fields of a form, and back into a document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from builder_ui.i18n import TEXTS, text
from builder_ui.pages.crm_rows import CrmForm, CrmRow
from builder_ui.rows import moment
from graph_runtime.contract.local_time import wall_of
from graph_runtime.contract.trigger_rules import leaves, value_at

if TYPE_CHECKING:
    from graph_runtime.contract.triggers import Trigger
    from graph_runtime.services.trigger_log import OccasionRow
    from graph_runtime.services.triggers import TriggerRow

ICONS: Final = {
    "message": "message-square", "schedule": "calendar-clock", "event": "zap", "webhook": "webhook", "inactivity": "hourglass",
    "manual": "hand",
}  # fmt: skip
ACTIONS: Final = ("start_flow", "enroll", "leave", "change_contact", "notify", "send_webhook", "write_crm")
USES: Final = ("phone", "email", "external_id", "name", "language", "variable", "field")
MOST_LEAVES: Final = 60
SHOWN: Final = 80


@dataclass(frozen=True)
class TriggerItem:
    """A line of the list. `problem`: what keeps it from working, in words."""

    id: str = ""
    name: str = ""
    kind: str = ""
    sentence: str = ""
    is_on: bool = False
    problem: str = ""
    next_at: str = ""
    fired_at: str = ""
    fired: int = 0
    path: str = ""
    hook_path: str = ""


@dataclass(frozen=True)
class OccasionItem:
    """A line of the log. `why` in words; `did` one for each action."""

    id: str = ""
    source: str = ""
    contact: str = ""
    at: str = ""
    state: str = ""
    reason: str = ""
    did: list[str] = field(default_factory=list)
    conversation_path: str = ""
    depth: int = 0
    data: str = ""
    looked: int = 0
    fits: int = 0
    is_for_all: bool = False


@dataclass(frozen=True)
class TimeItem:
    """A moment to come, by the wall clock of the schedule's zone. `weekday`: 0 is Monday."""

    weekday: str
    day: str
    clock: str


@dataclass(frozen=True)
class LeafItem:
    """A value of the sample and what it is used as."""

    pointer: str
    value: str
    use: str = ""
    name: str = ""


@dataclass(frozen=True)
class ActionItem:
    """One action of the form; only the fields of its kind mean anything."""

    do: str = "start_flow"
    flow_id: str = ""
    channel: str = ""
    if_open: str = "skip"
    chain_id: str = ""
    name: str = ""
    text: str = ""
    add_tags: str = ""
    remove_tags: str = ""
    member_id: str = ""
    subscription_id: str = ""
    slot: str = ""
    entity: str = "lead"
    by: str = "phone"
    creates: str = "1"
    task: str = ""
    task_hours: str = "24"
    crm: CrmForm = field(default_factory=CrmForm)


@dataclass(frozen=True)
class ProblemItem:
    """What is wrong, in the page's own words where there are some."""

    code: str
    message: str
    is_warning: bool


EMPTY_FORM: Final[dict[str, str]] = {
    "id": "", "kind": "message", "name": "", "match": "words", "texts": "", "channel": "", "interrupts": "", "every": "weekday",
    "at": "09:00", "on": "", "weekdays": "0", "day": "1", "cron": "0 9 * * mon-fri", "zone": "UTC", "catch_up": "once",
    "audience": "contacts", "segment_id": "", "event": "flow.finished", "results": "", "tags": "", "stages": "", "auth": "signature",
    "channel_id": "", "dedupe": "", "creates_contacts": "1", "amount": "1", "unit": "1440", "ended": "",
    "per_contact": "1", "contact_period": "day", "total": "0", "total_period": "day",
}  # fmt: skip


def trigger_item(row: TriggerRow, language: str, names: Mapping[str, str]) -> TriggerItem:
    """From the services' row. `names`: of flows and chains, by id."""
    wrong = next((p for p in row.problems if not p.is_warning), None)
    return TriggerItem(
        id=row.id, name=row.name, kind=row.trigger.when.kind, sentence=sentence(row.trigger, language, names),
        is_on=row.is_on, problem=said(language, f"triggers.problem_{wrong.code}", wrong.message) if wrong else "",
        next_at=moment(row.next_at), fired_at=moment(row.fired_at), fired=row.fired, path=f"/triggers/{row.id}",
        hook_path=row.path,
    )  # fmt: skip


def said(language: str, key: str, otherwise: str, **params: Any) -> str:
    """A text by a key that may not be there."""
    return text(language, key, **params) if key in TEXTS else otherwise


def sentence(trigger: Trigger, language: str, names: Mapping[str, str]) -> str:
    """What starts it and what it does, in one sentence."""
    when = trigger.when
    params: dict[str, Any] = {}
    key: str = when.kind
    if when.kind == "message":
        key = f"message_{when.match}"
        params["texts"] = ", ".join(f"“{t}”" for t in when.texts[:4]) + (" …" if len(when.texts) > 4 else "")
    elif when.kind == "schedule":
        plan = when.schedule
        key = f"schedule_{plan.every}"
        days = ", ".join(text(language, f"triggers.wd_{d}") for d in plan.weekdays if 0 <= d <= 6)
        day = text(language, "triggers.last_day") if plan.day == 0 else str(plan.day)
        params = {
            "at": plan.at,
            "on": str(plan.on or ""),
            "days": days,
            "day": day,
            "cron": plan.cron,
            "zone": plan.zone,
        }
    elif when.kind == "event":
        key = f"event_{when.event}"
        params["what"] = ", ".join(when.results or when.tags or when.stages)
        if params["what"] and f"triggers.when_{key}_of" in TEXTS:
            key += "_of"
    elif when.kind == "inactivity":
        params["time"] = span(when.minutes, language)
    start = said(language, f"triggers.when_{key}", key, **params)
    does = [_does(a, language, names) for a in trigger.actions]
    return f"{start} → {', '.join(does)}" if does else start


def span(minutes: int, language: str) -> str:
    """A length of time in its largest whole unit."""
    unit = next(u for u in (1440, 60, 1) if minutes % u == 0)
    return text(language, f"triggers.span_{unit}", n=minutes // unit)


def _does(action: Any, language: str, names: Mapping[str, str]) -> str:
    named = {
        "start_flow": lambda: names.get(action.flow_id, ""),
        "enroll": lambda: names.get(action.chain_id, ""),
        "leave": lambda: names.get(action.chain_id, ""),
    }
    name = named[action.do]() if action.do in named else ""
    key = f"triggers.does_{action.do}" + ("_of" if name else "")
    return text(language, key, name=name)


def occasion_item(row: OccasionRow, language: str) -> OccasionItem:
    """From the services' row."""
    return OccasionItem(
        id=row.id, source=row.source, contact=row.contact, at=moment(row.at), state=row.state, reason=row.reason,
        did=[did_text(d["do"], d.get("reason", ""), language) for d in row.did],
        conversation_path=f"/conversations?id={row.conversation_id}" if row.conversation_id else "", depth=row.depth,
        looked=int(row.data.get("looked", 0)), fits=int(row.data.get("fits", 0)), is_for_all=row.spreads,
    )  # fmt: skip


def did_text(do: str, reason: str, language: str) -> str:
    """What an action came to, in words."""
    name = text(language, f"triggers.do_{do}")
    return name if not reason else f"{name}: {said(language, f'triggers.reason_{reason}', reason)}"


def time_items(moments: Iterable[datetime], zone: str) -> list[TimeItem]:
    """By the wall clock of a zone."""
    walls = [wall_of(m, zone) for m in moments]
    return [TimeItem(str(w.weekday()), f"{w:%d.%m.%Y}", f"{w:%H:%M}") for w in walls]


def leaf_items(sample: Any, uses: Mapping[str, tuple[str, str]]) -> list[LeafItem]:
    """The values of a sample with what they are used as, and uses that the sample does not have."""
    found = [(p, _shown(v)) for p, v in list(leaves(sample))[:MOST_LEAVES]] if sample is not None else []
    known = {p for p, _ in found}
    found += [(p, _shown(value_at(sample, p))) for p in uses if p not in known]
    return [LeafItem(p, v, *uses.get(p, ("", ""))) for p, v in found]


def _shown(value: Any) -> str:
    shown = "" if value is None else str(value)
    return shown if len(shown) <= SHOWN else shown[:SHOWN] + "…"


def form_of(
    row: TriggerRow,
) -> tuple[dict[str, str], list[ActionItem], dict[str, tuple[str, str]]]:
    """The form's fields, actions and uses of a trigger."""
    trigger, when = row.trigger, row.trigger.when
    form = {**EMPTY_FORM, "id": row.id, "name": trigger.name, "kind": when.kind}
    uses: dict[str, tuple[str, str]] = {}
    data = when.model_dump(mode="json")
    if when.kind == "schedule":
        form |= {k: str(v if v is not None else "") for k, v in data["schedule"].items() if k != "weekdays"}
        form |= {
            "weekdays": ",".join(map(str, when.schedule.weekdays)),
            "audience": when.audience,
            "segment_id": when.segment_id,
        }
    elif when.kind == "message":
        form |= {"match": when.match, "texts": "\n".join(when.texts), "channel": (*when.channels, "")[0]}
        form["interrupts"] = "1" if when.interrupts else ""
    elif when.kind == "event":
        form |= {
            "event": when.event,
            "results": ", ".join(when.results),
            "tags": ", ".join(when.tags),
            "stages": ", ".join(when.stages),
        }
    elif when.kind == "webhook":
        form |= {"auth": when.auth, "channel_id": when.channel_id, "dedupe": when.dedupe}
        form["creates_contacts"] = "1" if when.creates_contacts else ""
        uses = {u.pointer: (u.as_, u.name) for u in when.uses}
    elif when.kind == "inactivity":
        unit = next(u for u in (1440, 60, 1) if when.minutes % u == 0)
        form |= {"amount": str(when.minutes // unit), "unit": str(unit), "ended": "1" if when.ended else ""}
    limits = trigger.limits
    form |= {
        "per_contact": str(limits.per_contact), "contact_period": limits.contact_period, "total": str(limits.total),
        "total_period": limits.total_period,
    }  # fmt: skip
    return form, [_action_item(a) for a in trigger.actions], uses


def _action_item(action: Any) -> ActionItem:
    values = action.model_dump(mode="json")
    if values["do"] == "write_crm":
        rows = [CrmRow(f["name"], f["value"]) for f in values["fields"]]
        return ActionItem(
            do="write_crm", slot=values["slot"], entity=values["entity"], by=values["by"], text=values["note"],
            creates="1" if values["creates"] else "", task=values["task"], task_hours=str(values["task_hours"]),
            crm=CrmForm(rows=rows),
        )  # fmt: skip
    name, value = next(iter(values.get("fields", {}).items()), ("", ""))
    return ActionItem(
        do=values["do"], flow_id=values.get("flow_id", ""), channel=(*values.get("channels", ()), "")[0],
        if_open=values.get("if_open", "skip"), chain_id=values.get("chain_id", ""), name=name,
        text=values.get("text", "") or values.get("note", "") or value, add_tags=", ".join(values.get("add_tags", ())),
        remove_tags=", ".join(values.get("remove_tags", ())), member_id=values.get("member_id", ""),
        subscription_id=values.get("subscription_id", ""),
    )  # fmt: skip


def document_of(
    form: Mapping[str, str], condition: Mapping[str, Any], actions: Iterable[ActionItem],
    uses: Mapping[str, tuple[str, str]],
) -> dict[str, Any]:  # fmt: skip
    """What the form says, as the services read it."""
    return {
        "name": form["name"],
        "when": _when(form, uses),
        "condition": dict(condition),
        "actions": [_action(a) for a in actions],
        "limits": {
            "per_contact": _number(form["per_contact"]), "contact_period": form["contact_period"],
            "total": _number(form["total"]), "total_period": form["total_period"],
        },
    }  # fmt: skip


def _when(form: Mapping[str, str], uses: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    kind = form["kind"]
    if kind == "message":
        return {
            "kind": kind, "match": form["match"], "texts": _lines(form["texts"]), "interrupts": bool(form["interrupts"]),
            "channels": [form["channel"]] if form["channel"] else [],
        }  # fmt: skip
    if kind == "schedule":
        plan: dict[str, Any] = {k: form[k] for k in ("every", "at", "cron", "zone", "catch_up")}
        plan |= {
            "on": form["on"] or None,
            "day": _number(form["day"]),
            "weekdays": [int(d) for d in form["weekdays"].split(",") if d],
        }
        return {"kind": kind, "schedule": plan, "audience": form["audience"], "segment_id": form["segment_id"]}
    if kind == "event":
        return {
            "kind": kind, "event": form["event"],
            "results": _lines(form["results"]) if form["event"] == "flow.finished" else [],
            "tags": _lines(form["tags"]) if form["event"] == "contact.tag_added" else [],
            "stages": _lines(form["stages"]) if form["event"] == "crm.stage_changed" else [],
        }  # fmt: skip
    if kind == "webhook":
        return {
            "kind": kind, "auth": form["auth"], "channel_id": form["channel_id"], "dedupe": form["dedupe"],
            "creates_contacts": bool(form["creates_contacts"]),
            "uses": [{"pointer": p, "as": use, "name": name} for p, (use, name) in uses.items() if use],
        }  # fmt: skip
    if kind == "inactivity":
        return {"kind": kind, "minutes": _number(form["amount"]) * _number(form["unit"]), "ended": bool(form["ended"])}
    return {"kind": kind}


def _action(item: ActionItem) -> dict[str, Any]:
    note = {"text": item.text, "member_id": item.member_id}
    fields = {item.name.strip(): item.text} if item.name.strip() else {}
    values: dict[str, dict[str, Any]] = {
        "start_flow": {
            "flow_id": item.flow_id, "channels": [item.channel] if item.channel else [], "if_open": item.if_open,
        },
        "enroll": {"chain_id": item.chain_id},
        "leave": {"chain_id": item.chain_id},
        "change_contact": {
            "fields": fields, "add_tags": _lines(item.add_tags), "remove_tags": _lines(item.remove_tags),
        },
        "notify": note,
        "send_webhook": {"subscription_id": item.subscription_id, "note": item.text},
        "write_crm": {
            "slot": item.slot, "entity": item.entity, "by": item.by, "creates": bool(item.creates), "note": item.text,
            "task": item.task, "task_hours": min(max(_number(item.task_hours), 1), 8760),
            "fields": [{"name": r.name, "value": r.value} for r in item.crm.rows if r.name],
        },
    }  # fmt: skip
    return {"do": item.do, **values[item.do]}


def _lines(words: str) -> list[str]:
    return [w.strip() for w in words.replace("\n", ",").split(",") if w.strip()]


def _number(digits: str) -> int:
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else 0
