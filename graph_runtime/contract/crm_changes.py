"""What changed in a customer system: what its requests hint at, and what a record that is read again says. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from graph_runtime.contract.crm import CrmRecord, Entity
from graph_runtime.contract.http import ConnectorHttp

CREATED, STAGE, CHANGED = "crm.lead_created", "crm.stage_changed", "crm.lead_changed"
CONTACT_CREATED, CONTACT_CHANGED = "crm.contact_created", "crm.contact_changed"
EVENTS: Final = (CREATED, STAGE, CHANGED, CONTACT_CREATED, CONTACT_CHANGED)
Action = Literal["created", "stage", "changed"]
MOST_AN_HOUR: Final = 20
"""A record of which more is told goes in a circle with something else that changes it."""
NEW_SECONDS: Final = 86_400.0
"""A record that is older was not created just now, whatever a request says."""
OWN_KEY: Final = "pc-"
"""What the keys begin with under which we create."""
OWN_SECONDS: Final = 30.0
"""A write of ours may still be on its way for so long while a record is read."""
SHOWN_VALUES, SHOWN_TEXT = 60, 500


@dataclass(frozen=True, slots=True)
class CrmHint:
    """A record that may have changed. Nothing of it is believed: the record is read before anything happens."""

    entity: Entity
    record_id: str
    action: Action = "changed"


@dataclass(frozen=True, kw_only=True, slots=True)
class CrmHookOffer:
    """How a customer system tells of changes. `parse(body, headers)` gives hints. Raises: InputInvalid.

    `subscribe(settings, address, before, http)`: from now on it posts to this address, and to the one `before` no more;
    "" and it stops. None: a person enters the address there. Raises: ConnectorError.
    `verify(settings, body, headers, now)` judges the raw bytes where the system signs. Raises: SignatureRefused.
    """

    parse: Callable[[bytes, Mapping[str, str]], Sequence[CrmHint]]
    subscribe: Callable[[Any, str, str, ConnectorHttp], Awaitable[None]] | None = None
    verify: Callable[[Any, bytes, Mapping[str, str], datetime], None] | None = None


def gathered(hints: Iterable[CrmHint]) -> list[dict[str, Any]]:
    """Each record once, in an order that is always the same: {entity, record_id, actions}."""
    found: dict[tuple[str, str], set[str]] = {}
    for hint in hints:
        found.setdefault((hint.entity, hint.record_id), set()).add(hint.action)
    return [
        {"entity": entity, "record_id": record_id, "actions": sorted(actions)}
        for (entity, record_id), actions in sorted(found.items())
    ]


@dataclass(frozen=True, slots=True)
class OwnWrites:
    """What we wrote to a record since it was last read: names of fields, and stages."""

    made: bool = False
    fields: frozenset[str] = frozenset()
    stages: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Seen:
    """What stood in a record when it was last read. `values` None: it never was. `is_known`: its creation is no news."""

    values: Mapping[str, str] | None = None
    stage_id: str = ""
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What a reading came to: names of events, and ids of fields that somebody else changed."""

    events: tuple[str, ...] = ()
    changed: tuple[str, ...] = field(default=())


def prints(record: CrmRecord) -> dict[str, str]:
    """Field → a short hash of its value: enough to see that it changed, and nothing that a person is known by."""
    return {name: _hash(value) for name, value in {"name": record.name, **record.values}.items() if name != "stage"}


def stage_of(record: CrmRecord) -> str:
    """The id of a deal's stage, "" where there are none."""
    return str(record.values.get("stage") or "") if record.entity == "lead" else ""


def is_ours(record: CrmRecord) -> bool:
    """Whether it carries a key that we created it under."""
    return any(isinstance(v, str) and v.startswith(OWN_KEY) for v in record.values.values())


def news(seen: Seen, record: CrmRecord, own: OwnWrites, actions: Iterable[str], age: float | None) -> News:
    """What to tell. Only a difference is news, so whatever is repeated or comes in another order tells nothing twice.

    `age`: seconds since the record was created, None where the system does not say. What we wrote ourselves is no news.
    """
    if record.entity == "company":
        return News()
    lead = record.entity == "lead"
    made = own.made or is_ours(record)
    is_new = age < NEW_SECONDS if age is not None else "created" in actions
    if not seen.is_known and is_new and not made:
        return News((CREATED if lead else CONTACT_CREATED,))
    stage = stage_of(record)
    if seen.values is None:
        if made or own.fields or own.stages:
            moved = bool(stage and own.stages and stage not in own.stages)
            return News((STAGE,), ("stage",)) if moved else News()
        # It was there before anybody listened: what changed is only known as far as the request says it.
        if lead and "stage" in actions and stage:
            return News((STAGE,), ("stage",))
        return News((CHANGED if lead else CONTACT_CHANGED,))
    now = prints(record)
    fields = tuple(
        name
        for name in sorted({*now, *seen.values})
        if now.get(name) != seen.values.get(name) and name not in own.fields
    )
    moved = bool(stage and seen.stage_id and stage != seen.stage_id and stage not in own.stages)
    events = ((STAGE,) if moved else ()) + (((CHANGED if lead else CONTACT_CHANGED),) if fields else ())
    return News(events, (("stage",) if moved else ()) + fields)


def shown_values(record: CrmRecord) -> dict[str, Any]:
    """Values as events carry them: not too many, none too long."""
    return {k: _short(v) for k, v in list(record.values.items())[:SHOWN_VALUES] if k != "key"}


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:SHOWN_TEXT]
    return [_short(v) for v in value[:SHOWN_VALUES]] if isinstance(value, list) else value


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
