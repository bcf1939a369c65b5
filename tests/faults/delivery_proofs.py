"""The proofs about messages that were pushed: what receivers took in, against the database, by each send class's rule."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from tests.faults.facts import Facts, Violation, is_hurt, mark_of
from tests.faults.history import Rows

KEYED, BLIND = "webhook", "fake_blind"
GIVEN_UP = frozenset({"failed", "unknown"})


def every_message_arrives(facts: Facts) -> Iterator[Violation]:
    """I1: a message that was sent is in its receiver's books; one that was given up has a dead letter."""
    keys = {entry["key"] for entries in facts.arrivals.values() for entry in entries}
    letters = {letter["ref"] for letter in facts.history.letters if letter["source"] == "outbox"}
    pushed = {(row["conversation_id"], row["ordinal"]) for row in facts.history.outbox}
    for row in facts.history.outbox:
        where = f"{row['recipient']} seq {row['ordinal']}"
        if row["state"] == "sent" and row["vendor_key"] not in keys:
            yield Violation("I1", "marked as sent, and its receiver does not have it", where)
        if row["state"] in GIVEN_UP and row["id"] not in letters:
            yield Violation("I1", f"{row['state']} without a dead letter", where)
    kinds = {c["id"]: c["channel_kind"] for c in facts.history.conversations}
    lanes = {lane for lane, _ in facts.arrivals}
    for message in facts.history.messages:
        place = message["conversation_id"], message["seq"]
        if message["role"] == "agent" and kinds.get(place[0]) in lanes and place not in pushed:
            yield Violation("I1", "a message that nobody sends", f"{place[0]} seq {place[1]}")
    for entry in facts.history.receiver:
        if entry["kind"] == "not_signed":
            yield Violation("I1", "a receiver refused a signature", entry["lane"])


def deliveries_follow_their_class(facts: Facts) -> Iterator[Violation]:
    """I2: KEYED: once after folding by key; RECONCILE: once; BLIND: twice only where a fault left the first one open."""
    flagged = {row["vendor_key"] for row in facts.history.outbox if row["possibly_duplicate"]}
    for (lane, to), entries in sorted(facts.arrivals.items()):
        by_key: dict[str, Rows] = defaultdict(list)
        for entry in entries:
            by_key[entry["key"]].append(entry)
        yield from _twice_after_folding(to, [same[0] for same in by_key.values()])
        for key, same in by_key.items():
            if len({entry["hash"] for entry in same}) > 1:
                yield Violation("I2", "different bodies under one key", f"{to}: {key}")
            for earlier, later in pairwise(same):
                reason = _why_not_again(facts, lane, is_flagged=key in flagged, earlier=earlier, later=later)
                if reason:
                    yield Violation("I2", reason, f"{to} seq {later['seq']}")


def _twice_after_folding(to: str, entries: Rows) -> Iterator[Violation]:
    for place, count in Counter(entry["seq"] for entry in entries).items():
        if count > 1:
            yield Violation("I2", f"delivered under {count} keys", f"{to} seq {place}")
    for mark, count in Counter(m for entry in entries if (m := mark_of(entry["text"]))).items():
        if count > 1:
            yield Violation("I2", f"delivered {count} times", f"{to}: t{mark.turn} o{mark.ordinal}")


def _why_not_again(
    facts: Facts, lane: str, *, is_flagged: bool, earlier: dict[str, Any], later: dict[str, Any]
) -> str:  # fmt: skip
    if lane == KEYED:
        return ""
    if lane != BLIND:
        return "delivered twice though the receiver could be asked"
    if not is_flagged:
        return "delivered twice and not marked as possibly duplicate"
    if not earlier["fault"] and not is_hurt(facts.history, earlier["at"] - 1, later["at"]):
        return "delivered twice though nothing went wrong"
    return ""


def deliveries_keep_their_order(facts: Facts) -> Iterator[Violation]:
    """I3: to one receiver strictly one after the other; repeats come before the next one."""
    for (_, to), entries in sorted(facts.arrivals.items()):
        places = [entry["seq"] for entry in entries]
        if places != sorted(places):
            yield Violation("I3", f"delivered out of order: {places}", to)


def deliveries_reach_their_own(facts: Facts) -> Iterator[Violation]:
    """I4: what a receiver gets for somebody is of their own conversation."""
    for (_, to), entries in sorted(facts.arrivals.items()):
        for entry in entries:
            mark = mark_of(entry["text"])
            if mark is not None and mark.name not in (to, "new"):
                yield Violation("I4", f"was sent a message of {mark.name}", to)
            if to in facts.conversation_of and entry["conversation_id"] != facts.conversation_of[to]:
                yield Violation("I4", "was sent a message of another conversation", to)


DELIVERY_PROOFS: tuple[Callable[[Facts], Iterator[Violation]], ...] = (
    every_message_arrives,
    deliveries_follow_their_class,
    deliveries_keep_their_order,
    deliveries_reach_their_own,
)
