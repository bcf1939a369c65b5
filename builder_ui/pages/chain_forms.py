"""Between a chain and the forms that change it: a step as fields of a form, and fields as a step."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from builder_ui.pages.chain_rows import WORKDAYS, RulesForm, StepForm
from builder_ui.session import text_of
from graph_runtime.contract.chains import (
    CALENDAR_UNITS,
    CallStep,
    Chain,
    ChainStep,
    CrmField,
    CrmStep,
    FieldChange,
    FlowStep,
    MessageStep,
    NotifyStep,
    Quiet,
    WebhookStep,
)
from graph_runtime.contract.conditions import UNARY, Comparison, Condition, Ref, Value
from graph_runtime.contract.errors import InputInvalid
from graph_runtime.contract.working_hours import WEEKDAYS, load_hours

_TIME = re.compile(r"^([01]\d|2[0-3]):[0-5]\d")
_DASH = re.compile(r"\s*[-–—]\s*")
_TARGETS = {"call": "channel_id", "notify": "member_id", "webhook": "subscription_id"}
EVERYWHERE = "any"
"""In a select, whose values cannot be empty: no choice."""


def step_form(step: ChainStep, key: str) -> StepForm:
    """The panel's fields for a step."""
    delay, window = step.delay, step.window
    values: dict[str, Any] = {
        "key": key, "id": step.id, "kind": step.kind, "amount": delay.amount, "unit": delay.unit, "date_field": delay.field,
        "since": delay.since + (("_before" if delay.before else "_after") if delay.since == "field" else ""),
        "at": delay.at, "otherwise": step.otherwise,
    }  # fmt: skip
    if window is not None:
        values |= {"only_workdays": bool(window.weekdays), "skips_holidays": window.skip_holidays}
        if window.start != window.end:
            values |= {"start": window.start, "end": window.end}
    values |= condition_fields(step.only_if, "if")
    if isinstance(step, MessageStep):
        first, second = (*step.wordings, None, None)[:2]
        total = sum(w.share for w in step.wordings) or 1
        values |= {
            "text": first.text("") if first else "", "second": second.text("") if second else "",
            "share": round(100 * first.share / total) if first else 50,
            "channel_1": (*step.channels, "", "")[0] or EVERYWHERE, "channel_2": (*step.channels, "", "")[1] or EVERYWHERE,
        }  # fmt: skip
    elif isinstance(step, FlowStep):
        values |= {"target": f"{step.agent_id}/{step.flow_id}" if step.flow_id else step.agent_id}
    elif isinstance(step, CallStep):
        values |= {"target": step.channel_id, "tries": step.tries, "again": step.again_minutes}
    elif isinstance(step, NotifyStep):
        values |= {"target": step.member_id or EVERYWHERE, "text": step.text}
    elif isinstance(step, WebhookStep):
        values |= {"target": step.subscription_id, "text": step.note}
    elif isinstance(step, CrmStep):
        values |= {
            "target": f"{step.agent_id}/{step.slot}", "entity": step.entity, "by": step.by, "creates": step.creates,
            "text": step.note, "task": step.task, "task_hours": step.task_hours,
        } | _pairs(step.fields)  # fmt: skip
    else:
        values |= {"add_tags": ", ".join(step.add_tags), "remove_tags": ", ".join(step.remove_tags)} | _pairs(
            step.fields
        )
    return StepForm(**values)


def _pairs(fields: Sequence[FieldChange | CrmField]) -> dict[str, list[str]]:
    """At least three rows to fill in."""
    names, texts, count = [f.name for f in fields], [f.value for f in fields], max(3, len(fields))
    return {"field_names": [*names, "", "", ""][:count], "texts": [*texts, "", "", ""][:count]}


def condition_fields(found: Condition | None, prefix: str) -> dict[str, Any]:
    """A condition of one comparison fits a form, as `…_field`, `…_op` and `…_value`; any other is kept as it is."""
    if found is None:
        return {}
    if (
        isinstance(found, Comparison)
        and isinstance(found.left, Ref)
        and (found.right is None or isinstance(found.right, Value))
    ):
        value = "" if found.right is None or found.right.value is None else str(found.right.value)
        name = found.left.ref.removeprefix("contact.")
        return {f"{prefix}_field": name, f"{prefix}_op": found.op, f"{prefix}_value": value}
    return {f"is_{prefix}_kept": True}


def read_step(form: dict[str, Any], old: dict[str, Any] | None, kind: str, step_id: str) -> dict[str, Any]:
    """A step out of what a form says; what the panel does not show stays as it was. Raises: InputInvalid."""
    since = _one_of(form, "since", ("previous", "enrollment", "field_after", "field_before"))
    unit = _one_of(form, "unit", ("minutes", "hours", "days", "working_days", "weeks", "months"))
    at = _time(form, "at") if unit in CALENDAR_UNITS else ""
    step: dict[str, Any] = {**(old or {}), "id": step_id, "kind": kind}
    step["delay"] = {
        "amount": number(form, "amount", 0, 1000), "unit": unit, "since": since.partition("_")[0],
        "before": since == "field_before", "field": text_of(form, "field", limit=100) if since.startswith("field") else "",
        "at": at,
    }  # fmt: skip
    start, end = _time(form, "start"), _time(form, "end")
    weekdays = WORKDAYS if form.get("only_workdays") else ()
    if bool(start) != bool(end):
        raise InputInvalid("Give both hours: from when and until when.", field="window")
    if start or weekdays or form.get("skips_holidays"):
        step["window"] = {
            "start": start or "00:00", "end": end or "00:00", "weekdays": [*weekdays],
            "skip_holidays": bool(form.get("skips_holidays")),
        }  # fmt: skip
    else:
        step["window"] = None
    step |= _read_condition(form)
    step |= _read_content(form, old or {}, kind)
    return step


def _read_condition(form: dict[str, Any]) -> dict[str, Any]:
    if "if_field" not in form:
        return {}
    condition = _one_comparison(form, "if")
    otherwise = _one_of(form, "otherwise", ("skip", "stop")) if condition else "skip"
    return {"only_if": condition, "otherwise": otherwise}


def _one_comparison(form: dict[str, Any], prefix: str) -> dict[str, Any] | None:
    name = text_of(form, f"{prefix}_field", limit=100)
    if not name:
        return None
    op = text_of(form, f"{prefix}_op") or "eq"
    right = {} if op in UNARY else {"right": {"value": text_of(form, f"{prefix}_value")}}
    return {"left": {"ref": f"contact.{name}"}, "op": op, **right}


def _read_content(form: dict[str, Any], old: dict[str, Any], kind: str) -> dict[str, Any]:
    if kind == "message":
        share = number(form, "share", 1, 99) if text_of(form, "second", limit=20_000) else 50
        known = {w["id"]: w for w in old.get("wordings", [])}
        wordings = [
            {"id": i, "texts": {**known.get(i, {}).get("texts", {}), "": text}, "share": part}
            for i, text, part in (
                ("a", text_of(form, "text", limit=20_000), share), ("b", text_of(form, "second", limit=20_000), 100 - share)
            )
            if text
        ]  # fmt: skip
        chosen = [text_of(form, f"channel_{n}") for n in (1, 2)]
        return {"wordings": wordings, "channels": [*dict.fromkeys(c for c in chosen if c and c != EVERYWHERE)]}
    if kind in ("update", "crm"):
        rows = [
            (text_of(form, f"name_{n}", limit=200), text_of(form, f"value_{n}", limit=4000)) for n in range(20)
        ]  # fmt: skip
        if kind == "crm":
            agent_id, _, slot = text_of(form, "target").partition("/")
            return {
                "agent_id": agent_id, "slot": slot, "entity": _one_of(form, "entity", ("lead", "contact")),
                "by": _one_of(form, "by", ("phone", "email")), "creates": bool(form.get("creates")),
                "fields": [{"name": n, "value": v} for n, v in rows if n], "note": text_of(form, "text", limit=4000),
                "task": text_of(form, "task", limit=1000), "task_hours": number(form, "task_hours", 1, 8760),
            }  # fmt: skip
        for name, _ in rows:
            if name and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,59}", name):
                raise InputInvalid(f"“{name}” cannot be a field: use Latin letters, digits and _.", field="name")
        return {
            "fields": [{"name": n, "value": v} for n, v in rows if n],
            "add_tags": words(form, "add_tags"), "remove_tags": words(form, "remove_tags"),
        }  # fmt: skip
    target = text_of(form, "target")
    if kind == "flow":
        agent_id, _, flow_id = target.partition("/")
        return {"agent_id": agent_id, "flow_id": flow_id}
    content: dict[str, Any] = {_TARGETS[kind]: "" if target == EVERYWHERE else target}
    if kind == "call":
        content |= {"tries": number(form, "tries", 1, 10), "again_minutes": number(form, "again", 5, 1440)}
    elif kind == "notify":
        content["text"] = text_of(form, "text", limit=4000)
    elif kind == "webhook":
        content["note"] = text_of(form, "text", limit=4000)
    return content


def rules_form(chain: Chain, key: str) -> RulesForm:
    """What the dialog of a chain's rules begins with."""
    quiet, caps = chain.quiet or Quiet(), chain.caps
    return RulesForm(
        key=key, on_reply=chain.stop.on_reply, tags=", ".join(chain.stop.tags), results=", ".join(chain.stop.results),
        stages=", ".join(chain.stop.stages), has_quiet=chain.quiet is not None, quiet_start=quiet.start,
        quiet_end=quiet.end, per_day=caps.per_contact_day,
        spacing=caps.spacing_minutes, per_hour=caps.per_channel_hour, per_channel_day=caps.per_channel_day,
        zone=chain.time_zone, country=chain.country, jitter=chain.jitter_minutes,
        hours={day: ", ".join("–".join(span) for span in chain.hours.get(day, ())) for day in WEEKDAYS},
        has_hours=bool(chain.hours),
        **condition_fields(chain.stop.when, "stop"),
    )  # fmt: skip


def read_rules(form: dict[str, Any], chain: Chain) -> dict[str, Any]:
    """A chain's document with other rules. Raises: InputInvalid."""
    document = chain.to_json()
    document["stop"] = {
        **document["stop"], "on_reply": bool(form.get("on_reply")), "tags": words(form, "tags"),
        "results": words(form, "results"), "stages": words(form, "stages"),
    }  # fmt: skip
    if "stop_field" in form:
        document["stop"]["when"] = _one_comparison(form, "stop")
    quiet = {"start": _time(form, "quiet_start") or "21:00", "end": _time(form, "quiet_end") or "09:00"}
    document["quiet"] = quiet if form.get("has_quiet") else None
    document["caps"] = {
        "per_contact_day": number(form, "per_day", 0, 100), "spacing_minutes": number(form, "spacing", 0, 10_080),
        "per_channel_hour": number(form, "per_hour", 0, 1_000_000),
        "per_channel_day": number(form, "per_channel_day", 0, 1_000_000),
    }  # fmt: skip
    country = text_of(form, "country", limit=2).upper()
    document |= {
        "time_zone": text_of(form, "zone", required=True, limit=60), "jitter_minutes": number(form, "jitter", 0, 240),
        "country": country if len(country) == 2 and country.isalpha() else "",
        "hours": _hours(form),
    }  # fmt: skip
    return document


def _hours(form: dict[str, Any]) -> dict[str, list[list[str]]]:
    """By weekday. Raises: InputInvalid when the times of a day cannot be read."""
    hours = {}
    for day in WEEKDAYS:
        spans = [_DASH.split(span.strip()) for span in text_of(form, f"hours_{day}").split(",") if span.strip()]
        try:
            load_hours({day: spans})
        except ValueError as error:
            raise InputInvalid(str(error), field="week") from None
        if spans:
            hours[day] = spans
    return hours


def words(form: dict[str, Any], name: str) -> list[str]:
    """Tags between commas."""
    return [*dict.fromkeys(w.strip()[:60] for w in text_of(form, name, limit=2000).split(",") if w.strip())][:20]


def number(form: dict[str, Any], name: str, least: int, most: int) -> int:
    """A whole number within limits. Raises: InputInvalid."""
    text = text_of(form, name) or str(least)
    if not re.fullmatch(r"\d{1,7}", text) or not least <= int(text) <= most:
        raise InputInvalid(f"Give a whole number from {least} to {most}.", field=name)
    return int(text)


def _time(form: dict[str, Any], name: str) -> str:
    text = text_of(form, name)
    if text and not _TIME.match(text):
        raise InputInvalid("Give a time such as 09:30.", field=name)
    return text[:5]


def _one_of(form: dict[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    value = text_of(form, name) or allowed[0]
    if value not in allowed:
        raise InputInvalid(f"Choose one of {', '.join(allowed)}.", field=name)
    return value
