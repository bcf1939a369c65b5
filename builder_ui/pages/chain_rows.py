"""What the follow-up pages show of chains: steps as the parts of a sentence, people, lines of a log."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from builder_ui.rows import moment
from graph_runtime.contract.chains import (
    CallStep,
    Chain,
    ChainStep,
    CrmStep,
    FlowStep,
    MessageStep,
    NotifyStep,
    UpdateStep,
    WebhookStep,
)

if TYPE_CHECKING:
    from graph_runtime.services.chain_calendar import DayCount
    from graph_runtime.services.chain_drafts import ChainRow
    from graph_runtime.services.chains import Ahead, EnrollmentRow

WORKDAYS: Final = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class ChainItem:
    """A row of the list. `state`: on, off, draft."""

    id: str = ""
    name: str = ""
    path: str = ""
    state: str = "draft"
    is_on: bool = False
    number: int = 0
    has_changes: bool = False
    steps: int = 0
    inside: int = 0
    waiting: int = 0
    enrolled: int = 0
    sent: int = 0
    replied: int = 0
    next_at: str = ""


def chain_item(row: ChainRow) -> ChainItem:
    """From the services' row."""
    return ChainItem(
        id=row.id, name=row.name, path=f"/follow-ups/{row.id}",
        state="on" if row.is_on else "off" if row.live_number else "draft", is_on=row.is_on, number=row.live_number,
        has_changes=row.has_changes and row.live_number > 0, steps=row.steps, inside=row.active + row.paused,
        waiting=row.paused, enrolled=row.enrolled, sent=row.sent, replied=row.replied, next_at=moment(row.next_at),
    )  # fmt: skip


@dataclass(frozen=True)
class StepItem:
    """A step as the parts of a sentence; `since`: how the delay is said, such as previous or field_before."""

    id: str = ""
    kind: str = "message"
    number: int = 1
    name: str = ""
    span: str = "days"
    amount: int = 0
    since: str = "previous"
    field: str = ""
    at: str = ""
    start: str = ""
    end: str = ""
    only_workdays: bool = False
    skips_holidays: bool = False
    has_condition: bool = False
    text: str = ""
    detail: str = ""
    problem: str = ""
    wordings: int = 0


def step_items(chain: Chain, problems: Mapping[str, str], names: Mapping[str, str]) -> list[StepItem]:
    """`problems`: step → code; `names`: id of a channel, agent, member or subscription → its name."""
    return [_step_item(s, n, problems.get(s.id, ""), names) for n, s in enumerate(chain.steps, 1)]


def _step_item(step: ChainStep, number: int, problem: str, names: Mapping[str, str]) -> StepItem:
    delay, window = step.delay, step.window
    # Nothing comes before the first step but the entering itself.
    since: str = "enrollment" if number == 1 and delay.since == "previous" else delay.since
    since += ("_before" if delay.before else "_after") if since == "field" else ""
    text, detail = _about(step, names)
    return StepItem(
        id=step.id, kind=step.kind, number=number, name=step.name, span=delay.unit, amount=delay.amount,
        since=since if delay.amount or delay.since == "field" else f"{since}_now", field=delay.field, at=delay.at,
        start=window.start if window and window.start != window.end else "",
        end=window.end if window and window.start != window.end else "",
        only_workdays=bool(window and window.weekdays), skips_holidays=bool(window and window.skip_holidays),
        has_condition=step.only_if is not None, text=text[:300], detail=detail, problem=problem,
        wordings=len(step.wordings) if isinstance(step, MessageStep) else 0,
    )  # fmt: skip


def _about(step: ChainStep, names: Mapping[str, str]) -> tuple[str, str]:
    """What it says, and where or to whom."""
    if isinstance(step, MessageStep):
        said = step.wordings[0].text("") if step.wordings else ""
        return said, " → ".join(names.get(c, "?") for c in step.channels)
    if isinstance(step, FlowStep):
        flow = f"{step.agent_id}/{step.flow_id}" if step.flow_id else step.agent_id
        return "", names.get(flow, names.get(step.agent_id, ""))
    if isinstance(step, CallStep):
        return "", names.get(step.channel_id, "")
    if isinstance(step, NotifyStep):
        return step.text, names.get(step.member_id, "")
    if isinstance(step, WebhookStep):
        return step.note, names.get(step.subscription_id, "")
    if isinstance(step, CrmStep):
        written = [*(f"{f.label or f.name} = {f.shown or f.value}" for f in step.fields), step.note, step.task]
        return ", ".join(w for w in written if w), names.get(f"{step.agent_id}/{step.slot}", "")
    assert isinstance(step, UpdateStep)
    changes = [f"{c.name} = {c.value}" for c in step.fields]
    return ", ".join([*changes, *(f"+ {t}" for t in step.add_tags), *(f"− {t}" for t in step.remove_tags)]), ""


@dataclass(frozen=True)
class PersonItem:
    """Somebody in a chain. `step`: number of the next one, 0 when there is none."""

    id: str = ""
    contact_id: str = ""
    name: str = ""
    about: str = ""
    state: str = "active"
    reason: str = ""
    note: str = ""
    step: int = 0
    step_kind: str = ""
    due_at: str = ""
    enrolled_at: str = ""
    version: int = 0
    is_chosen: bool = False
    goes_on: bool = True


def person_item(row: EnrollmentRow, chain: Chain, chosen: set[str]) -> PersonItem:
    """From the services' row; `chain`: of the version they are in, as far as it is known here."""
    place = chain.place(row.step_id)
    goes_on = row.state in ("active", "paused")
    is_known = goes_on and place < len(chain.steps)
    return PersonItem(
        id=row.id, contact_id=row.contact_id, name=row.contact_name or row.phone or row.email or row.contact_id[-6:],
        about=row.phone or row.email, state=row.state, reason=row.reason.partition(":")[0],
        note=row.note.partition(":")[0], step=place + 1 if is_known else 0,
        step_kind=chain.steps[place].kind if is_known else "", due_at=moment(row.due_at) if row.state == "active" else "",
        enrolled_at=moment(row.enrolled_at), version=row.version, is_chosen=row.id in chosen, goes_on=goes_on,
    )  # fmt: skip


@dataclass(frozen=True)
class LineItem:
    """A line of somebody's log."""

    what: str = ""
    step: int = 0
    kind: str = ""
    reason: str = ""
    at: str = ""
    until: str = ""
    path: str = ""


def line_item(row: Mapping[str, Any], chain: Chain) -> LineItem:
    """From the services' row."""
    place = chain.place(row["step_id"])
    return LineItem(
        what=row["what"], step=place + 1 if place < len(chain.steps) else 0, kind=row["kind"],
        reason=str(row["reason"]).partition(":")[0], at=moment(row["at"]), until=str(row["data"].get("until", "")),
        path=f"/conversations?id={row['conversation_id']}" if row["conversation_id"] else "",
    )  # fmt: skip


@dataclass(frozen=True)
class AheadItem:
    """Something that will happen. `day` as noon of a date, `time` of the contact's clock; `is_new_day` begins a group."""

    day: str = ""
    time: str = ""
    zone: str = ""
    step: int = 0
    kind: str = ""
    text: str = ""
    reason: str = ""
    name: str = ""
    is_new_day: bool = False


def ahead_items(coming: list[Ahead], chain: Chain) -> list[AheadItem]:
    """In order, grouped by the contact's day."""
    items: list[AheadItem] = []
    day = "-"
    for one in coming:
        here = one.due_at.astimezone(ZoneInfo(one.zone)) if one.due_at else None
        this_day = f"{here:%Y-%m-%d}T12:00:00" if here else ""
        place = chain.place(one.step_id)
        text = _about(chain.steps[place], {})[0][:120] if place < len(chain.steps) else ""
        items.append(AheadItem(
            day=this_day, time=f"{here:%H:%M}" if here else "", zone=one.zone, step=place + 1, kind=one.kind, text=text,
            reason=one.reason, name=one.contact_name, is_new_day=this_day != day,
        ))  # fmt: skip
        day = this_day
    return items


@dataclass(frozen=True)
class DayChip:
    """So many people get a step on a day."""

    kind: str = ""
    step: int = 0
    count: int = 0


@dataclass(frozen=True)
class DayItem:
    """A place of the month's grid; `iso` "" is a blank before the first. `total`: steps of the day, all people together."""

    iso: str = ""
    number: int = 0
    is_today: bool = False
    total: int = 0
    chips: list[DayChip] = field(default_factory=list)


def month_grid(first: date, today: date, counts: list[DayCount], chain: Chain) -> list[DayItem]:
    """The month that begins with `first`, from Monday on."""
    by_day: dict[date, list[DayChip]] = {}
    for one in counts:
        place = chain.place(one.step_id)
        number = place + 1 if place < len(chain.steps) else 0
        by_day.setdefault(one.day, []).append(DayChip(one.kind, number, one.count))
    length = monthrange(first.year, first.month)[1]
    days = [first + timedelta(days=n) for n in range(length)]
    return [DayItem() for _ in range(first.weekday())] + [
        DayItem(
            f"{day:%Y-%m-%d}T12:00:00", day.day, day == today, sum(c.count for c in by_day.get(day, [])), by_day.get(day, [])
        )
        for day in days
    ]  # fmt: skip


@dataclass(frozen=True)
class FigureItem:
    """How a step went. `rate`: replies of those it reached, in per cent."""

    step: int = 0
    kind: str = ""
    wording: str = ""
    text: str = ""
    done: int = 0
    delivered: int = 0
    replied: int = 0
    rate: int = 0
    stopped: int = 0
    skipped: int = 0
    failed: int = 0


def figure_items(rows: list[dict[str, Any]], chain: Chain) -> list[FigureItem]:
    """In the order of the steps; a step that has several wordings has a line for each."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["step_id"], []).append(row)
    items = []
    for number, step in enumerate(chain.steps, 1):
        lines = sorted(found.get(step.id, [{}]), key=lambda r: str(r.get("wording", "")))
        # A skipped message has no wording: its count joins the first line.
        bare = [r for r in lines if r.get("wording") == ""] if len(lines) > 1 else []
        named = [r for r in lines if r not in bare]
        for n, row in enumerate(named):
            extra = bare if n == 0 else []
            total = {k: sum(r.get(k, 0) for r in [row, *extra]) for k in _COUNTS}
            wording = next((w for w in getattr(step, "wordings", ()) if w.id == row.get("wording")), None)
            items.append(FigureItem(
                step=number, kind=step.kind, wording=wording.id if wording and len(named) > 1 else "",
                text=(wording.text("") if wording else _about(step, {})[0])[:90],
                rate=round(100 * total["replied"] / total["done"]) if total["done"] else 0, **total,
            ))  # fmt: skip
    return items


_COUNTS: Final = ("done", "delivered", "replied", "stopped", "skipped", "failed")


@dataclass(frozen=True)
class StepForm:
    """What the side panel begins with. `key` changes with every opening, so that fields show what they begin with."""

    key: str = ""
    id: str = ""
    kind: str = "message"
    amount: int = 0
    unit: str = "days"
    since: str = "previous"
    date_field: str = ""
    at: str = ""
    start: str = ""
    end: str = ""
    only_workdays: bool = False
    skips_holidays: bool = False
    if_field: str = ""
    if_op: str = "eq"
    if_value: str = ""
    is_if_kept: bool = False
    otherwise: str = "skip"
    text: str = ""
    second: str = ""
    share: int = 50
    channel_1: str = ""
    channel_2: str = ""
    target: str = ""
    entity: str = "lead"
    by: str = "phone"
    creates: bool = True
    task: str = ""
    task_hours: int = 24
    tries: int = 1
    again: int = 60
    add_tags: str = ""
    remove_tags: str = ""
    field_names: list[str] = field(default_factory=lambda: ["", "", ""])
    texts: list[str] = field(default_factory=lambda: ["", "", ""])


@dataclass(frozen=True)
class RulesForm:
    """What the dialog of a chain's rules begins with."""

    key: str = ""
    on_reply: bool = True
    tags: str = ""
    results: str = ""
    stages: str = ""
    has_quiet: bool = True
    quiet_start: str = "21:00"
    quiet_end: str = "09:00"
    per_day: int = 3
    spacing: int = 60
    per_hour: int = 0
    per_channel_day: int = 0
    stop_field: str = ""
    stop_op: str = "eq"
    stop_value: str = ""
    is_stop_kept: bool = False
    hours: dict[str, str] = field(default_factory=dict)
    has_hours: bool = False
    zone: str = "UTC"
    country: str = ""
    jitter: int = 0


def when_read(value: datetime | None) -> str:
    """A moment for the browser."""
    return moment(value)
