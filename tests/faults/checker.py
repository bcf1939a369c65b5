"""Proves the invariants I1 to I7 of a run from its history, or says where they do not hold; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise

from graph_runtime.engine.run import SORRY
from tests.faults.delivery_proofs import DELIVERY_PROOFS
from tests.faults.facts import Facts, Marked, Violation, calls_by_turn, is_hurt, mark_of
from tests.faults.flows import ordinals
from tests.faults.history import History
from tests.faults.plan import HOOKS

LATE_TIMER_SECONDS = 5.0
APOLOGIES = frozenset(SORRY.values())
PUSHING_OR_API = frozenset({"api", *HOOKS.values()})


def check(history: History) -> list[Violation]:
    """Everything that does not hold."""
    facts = Facts(history)
    return [violation for proof in PROOFS for violation in proof(facts)]


def every_acknowledged_message_is_answered(facts: Facts) -> Iterator[Violation]:
    """I1: answered in full, or by an apology that goes with a failed turn or a dead letter; and the contact got it."""
    for name, turn in sorted(facts.acked):
        where = f"{name} t{turn}"
        inbox_id = facts.trigger.get((name, turn))
        row = facts.inbox.get(inbox_id or "")
        if inbox_id is None or row is None:
            yield Violation("I1", "an acknowledged message is not in the database", where)
            continue
        said = facts.of_turn[inbox_id]
        if any(message["text"] in APOLOGIES for message in said):
            if row["state"] != "dead" and inbox_id not in facts.failed:
                yield Violation("I1", "an apology without a failed turn or a dead letter", where)
            continue
        marks = {m for message in facts.messages[row["conversation_id"]] if (m := mark_of(message["text"]))}
        here = {m.ordinal for m in marks if m.turn == turn and m.name in (name, "" if turn else "new")}
        missing = set(ordinals(facts.flags[name, turn])) - here
        if missing:
            yield Violation("I1", f"no answer {sorted(missing)} (its row is {row['state']})", where)
    for entry in facts.history.noted("gave_up"):
        yield Violation("I1", "the contact waited in vain", f"{entry['name']} t{entry['turn']}")
    for entry in facts.history.noted("refused"):
        yield Violation("I1", f"the contact was refused: {entry['why']}", entry["name"])


def nothing_happens_twice(facts: Facts) -> Iterator[Violation]:
    """I2: one message of each mark, one row of each message, one conversation of each beginning, one push of each seq."""
    for conversation, messages in facts.messages.items():
        name = facts.name_of.get(conversation, conversation)
        marks = Counter(m for message in messages if message["role"] == "agent" and (m := mark_of(message["text"])))
        for mark, count in marks.items():
            if count > 1:
                yield Violation("I2", f"said {count} times", f"{name}: t{mark.turn} o{mark.ordinal}")
        ids = Counter(m["client_id"] for m in messages if m["client_id"])
        for client_id, count in ids.items():
            if count > 1:
                yield Violation("I2", f"stored {count} times", client_id)
    for inbox_id, count in Counter(t["inbox_id"] for t in facts.history.turns).items():
        if count > 1:
            yield Violation("I2", f"its turn was committed {count} times", inbox_id)
    written = Counter(
        (message["conversation_id"], message["text"])
        for message in facts.history.messages
        if message["role"] == "contact"
    )
    for (conversation, text), count in written.items():
        if count > 1:
            yield Violation("I2", f"“{text}” stored {count} times", str(facts.name_of.get(conversation, conversation)))
    begun = Counter(c["external"] for c in facts.history.conversations if c["channel_kind"] in PUSHING_OR_API)
    for external, count in begun.items():
        if count > 1:
            yield Violation("I2", f"begun {count} times", external)
    yield from _receipts_twice(facts)


def _receipts_twice(facts: Facts) -> Iterator[Violation]:
    pushed: Counter[tuple[str, int]] = Counter()
    places: dict[tuple[str, Marked], set[int]] = defaultdict(set)
    for entry in facts.history.noted("received"):
        if entry["via"] == "push":
            pushed[entry["name"], entry["seq"]] += 1
        mark = mark_of(entry["text"])
        if mark is not None:
            places[entry["name"], mark].add(entry["seq"])
    for (name, seq), count in pushed.items():
        if count > 1:
            yield Violation("I2", f"pushed {count} times", f"{name} seq {seq}")
    for (name, mark), seqs in places.items():
        if len(seqs) > 1:
            yield Violation("I2", f"received under {sorted(seqs)}", f"{name}: t{mark.turn} o{mark.ordinal}")


def order_is_kept(facts: Facts) -> Iterator[Violation]:
    """I3: numbers without gaps; messages in the order they were acknowledged, answers in theirs; pushes ascend."""
    heads = {c["id"]: c for c in facts.history.conversations}
    for conversation, messages in facts.messages.items():
        name = facts.name_of.get(conversation, conversation)
        if [m["seq"] for m in messages] != list(range(1, len(messages) + 1)):
            yield Violation("I3", "the numbers of the transcript have gaps", name)
        if conversation in heads and heads[conversation]["message_seq"] != len(messages):
            yield Violation("I3", "the conversation counts other messages than it has", name)
        marks = [(m.turn, m.ordinal) for row in messages if row["role"] == "agent" and (m := mark_of(row["text"]))]
        if marks != sorted(marks):
            yield Violation("I3", f"answers out of order: {marks}", name)
        said = [turn for row in messages if row["role"] == "contact" and (turn := facts.turn_of.get(row["turn_id"]))]
        if said != sorted(said):
            yield Violation("I3", f"messages out of order: {said}", name)
    yield from _clients_saw_them_in_order(facts)


def _clients_saw_them_in_order(facts: Facts) -> Iterator[Violation]:
    acked: dict[str, list[int]] = defaultdict(list)
    for entry in facts.history.noted("acked"):
        if entry["seq"] is None:
            continue  # a webhook is not told its number
        acked[entry["name"]].append(entry["seq"])
    pushed: dict[str, list[int]] = defaultdict(list)
    for entry in facts.history.noted("received"):
        if entry["via"] == "push":
            pushed[entry["name"]].append(entry["seq"])
    for what, lists in (("acknowledged", acked), ("pushed", pushed)):
        for name, seqs in lists.items():
            if seqs != sorted(seqs):
                yield Violation("I3", f"{what} out of order: {seqs}", name)


def nobody_hears_another(facts: Facts) -> Iterator[Violation]:
    """I4: every mark is the conversation's own."""
    for conversation, messages in facts.messages.items():
        name = facts.name_of.get(conversation)
        for message in messages:
            mark = mark_of(message["text"])
            if mark is not None and mark.name not in (name, "new") and (name is not None or mark.turn):
                owner = facts.conversation_of.get(mark.name)
                if owner != conversation:
                    yield Violation("I4", f"holds a message of {mark.name}", name or conversation)
    for entry in facts.history.noted("received"):
        mark = mark_of(entry["text"])
        if mark is not None and mark.name not in (entry["name"], "new"):
            yield Violation("I4", f"got a message of {mark.name}", entry["name"])


def the_ledger_is_what_the_vendor_saw(facts: Facts) -> Iterator[Violation]:
    """I5: one entry per answered turn, a call for each entry, and no repeated call that no fault explains."""
    calls = calls_by_turn(facts)
    booked: Counter[tuple[str, int]] = Counter()
    for event in facts.history.model_events:
        place = facts.place_of.get(event["turn_id"])
        if place is None:
            continue  # a client that was never told of its conversation
        booked[place] += 1
        if place not in calls:
            yield Violation("I5", "an entry without a call", f"{place[0]} t{place[1]}")
    for (name, turn), count in booked.items():
        if count > 1:
            yield Violation("I5", f"{count} entries for one call", f"{name} t{turn}")
    for (name, turn), made in calls.items():
        where = f"{name} t{turn}"
        trigger = facts.inbox.get(facts.trigger.get((name, turn), ""))
        for earlier, later in pairwise(made):
            # An attempt may be held up by an outage before its call: what counts is that the trigger met the fault.
            since = min(earlier["at"], trigger["received_at"]) if trigger else earlier["at"]
            if not earlier["fault"] and not is_hurt(facts.history, since, later["at"]):
                yield Violation("I5", "a call was repeated though nothing went wrong", where)
        inbox_id = facts.trigger.get((name, turn))
        answered = inbox_id is not None and any(
            "] Answer" in m["text"] or m["text"].startswith("Answer") for m in facts.of_turn[inbox_id]
        )
        if answered and not booked[name, turn]:
            yield Violation("I5", "an answer of the model that is not in the ledger", where)


def nothing_is_left_over(facts: Facts) -> Iterator[Violation]:
    """I6: once quiet, every row is in a state that ends something."""
    for row in facts.history.inbox:
        if row["state"] == "pending":
            yield Violation("I6", f"still pending after {row['attempts']} attempts", f"inbox {row['id']}")
    for head in facts.history.conversations:
        if head["lease_owner"] is not None or head["is_pending"]:
            yield Violation("I6", "still leased or pending", f"conversation {head['id']}")
    for row in facts.history.outbox:
        if row["state"] in ("pending", "sending"):
            yield Violation("I6", f"still {row['state']}", f"outbox {row['id']}")
    for row in facts.history.timers:
        if row["late"] > LATE_TIMER_SECONDS:
            yield Violation("I6", f"overdue by {row['late']:.0f} s", f"timer {row['id']}")
    for row in facts.history.claims:
        yield Violation("I6", "an Idempotency-Key that is never answered", row["key"])


def no_timer_is_early(facts: Facts) -> Iterator[Violation]:
    """Part of the promise beside the invariants: timers fire at least once, never early."""
    for row in facts.history.inbox:
        if row["kind"] == "timer" and row["due_at"] is not None and row["received_at"] < row["due_at"] - 0.001:
            yield Violation("timers", f"{row['due_at'] - row['received_at']:.3f} s early", f"inbox {row['id']}")


def no_secret_gets_out(facts: Facts) -> Iterator[Violation]:
    """I7: no canary in any sink."""
    for leak in facts.history.leaks:
        yield Violation("I7", leak, leak)


PROOFS: tuple[Callable[[Facts], Iterator[Violation]], ...] = (
    every_acknowledged_message_is_answered,
    nothing_happens_twice,
    order_is_kept,
    nobody_hears_another,
    the_ledger_is_what_the_vendor_saw,
    nothing_is_left_over,
    no_timer_is_early,
    no_secret_gets_out,
    *DELIVERY_PROOFS,
)
