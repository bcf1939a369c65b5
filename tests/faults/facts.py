"""A run's history, indexed for the proofs; and what a proof says when something does not hold."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from tests.faults.flows import TOKEN
from tests.faults.history import History


@dataclass(frozen=True)
class Violation:
    """What does not hold, and where."""

    invariant: str
    what: str
    where: str


@dataclass(frozen=True, slots=True)
class Marked:
    """A reply's mark."""

    name: str
    turn: int
    ordinal: int


class Facts:
    """The history, indexed."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.conversation_of = {e["name"]: e["conversation_id"] for e in history.noted("begun")}
        self.name_of = {conversation: name for name, conversation in self.conversation_of.items()}
        self.flags = {(e["name"], e["turn"]): e["flags"] for e in history.noted("sent")}
        self.acked = {(e["name"], e["turn"]) for e in history.noted("acked")}
        self.inbox = {row["id"]: row for row in history.inbox}
        self.messages: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.of_turn: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.trigger: dict[tuple[str, int], str] = {}
        """(name, turn) → the inbox row of the contact's message."""
        for message in history.messages:
            self.messages[message["conversation_id"]].append(message)
            if message["role"] == "agent":
                self.of_turn[message["turn_id"]].append(message)
            else:
                name, _, turn = message["client_id"].rpartition(".t")
                if turn.isdecimal():
                    self.trigger.setdefault((name, int(turn)), message["turn_id"])
        for row in history.inbox:
            name, _, turn = row["dedupe_key"].removeprefix("hook:").rpartition(".t")
            if row["dedupe_key"].startswith("hook:") and turn.isdecimal():
                self.trigger.setdefault((name, int(turn)), row["id"])
        self.failed = {row["inbox_id"] for row in history.turns if row["error"]}
        self.arrivals: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        """(lane, recipient) → what a receiver took in, in order."""
        for entry in history.receiver:
            if entry["kind"] == "arrived" and entry["accepted"]:
                self.arrivals[entry["lane"], entry["to"]].append(entry)
        self.place_of = {inbox_id: place for place, inbox_id in self.trigger.items()}
        self.turn_of = {inbox_id: turn for inbox_id, (_, turn) in self.place_of.items()}


def mark_of(text: str) -> Marked | None:
    """The mark in a reply; None when it has none."""
    found = TOKEN.search(text)
    return None if found is None else Marked(found["name"], int(found["turn"]), int(found["ordinal"]))


def calls_by_turn(facts: Facts) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """(name, turn) → the vendor's accepted calls in order."""
    calls: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for entry in facts.history.vendor:
        mark = mark_of(entry["text"]) if entry["kind"] == "accepted" else None
        if mark is not None:
            calls[mark.name, mark.turn].append(entry)
    return calls


def is_hurt(history: History, since: float, until: float) -> bool:
    """Whether something was done to the installation between two moments."""
    return any(a["kind"] == "hurt" and a["since"] <= until and a["at"] >= since for a in history.actions)
