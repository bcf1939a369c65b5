"""The checker is only worth something if it fails: every invariant is fed a history in which it does not hold."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from graph_runtime.engine.run import SORRY
from tests.faults.checker import check
from tests.faults.history import History, Rows

Row = dict[str, Any]
Doctor = Callable[[History], None]


def message(conversation: str, seq: int, role: str, text: str, turn_id: str, client_id: str = "") -> Row:
    return {
        "conversation_id": conversation, "seq": seq, "role": role, "text": text, "turn_id": turn_id,
        "client_id": client_id, "created_at": 100.0 + seq,
    }  # fmt: skip


def talk(
    name: str, conversation: str, flags: tuple[str, str] = ("", "model")
) -> tuple[Rows, Rows, Rows, Rows]:  # fmt: skip
    """Driver, messages, inbox and turns of two turns, the second asks the model."""
    inbox: Rows = []
    turns: Rows = []
    driver: Rows = [{"kind": "begun", "name": name, "conversation_id": conversation, "channel": "chat"}]
    messages = [message(conversation, 1, "agent", "[new t0 o2] next", f"{name}-0")]
    for n, flag in enumerate(flags, 1):
        words = f"{name} t{n} {flag}".rstrip()
        answer = f"Answer [{words} o1]" if flag else f"[{words} o1] echo"
        seq = len(messages) + 1
        messages += [
            message(conversation, seq, "contact", words, f"{name}-{n}", f"{name}.t{n}"),
            message(conversation, seq + 1, "agent", answer, f"{name}-{n}"),
            message(conversation, seq + 2, "agent", f"[{words} o2] next", f"{name}-{n}"),
        ]
        driver += [
            {"kind": "sent", "name": name, "turn": n, "flags": flag},
            {"kind": "acked", "name": name, "turn": n, "seq": seq},
            {"kind": "complete", "name": name, "turn": n, "seconds": 1.0, "sorry": False},
        ]
    for n in range(3):
        inbox.append(
            {"id": f"{name}-{n}", "conversation_id": conversation, "kind": "message", "state": "done", "attempts": 1,
             "seq": 0, "dedupe_key": f"{name}.{n}", "received_at": 49.0, "due_at": None, "done_at": 101.0}
        )  # fmt: skip
        turns.append(
            {"conversation_id": conversation, "seq": n + 1, "inbox_id": f"{name}-{n}", "attempts": 1, "error": ""}
        )
    driver += [
        {"kind": "received", "name": name, "seq": m["seq"], "text": m["text"], "via": "push"}
        for m in messages
        if m["role"] == "agent"
    ]
    return driver, messages, inbox, turns


def good() -> History:
    """Two conversations in which everything is as it should be."""
    history = History()
    for name in ("anna", "boris"):
        conversation = f"id-{name}"
        driver, messages, inbox, turns = talk(name, conversation)
        history.driver += driver
        history.messages += messages
        history.inbox += inbox
        history.turns += turns
        history.conversations.append(
            {"id": conversation, "channel_kind": "api", "status": "open", "lease_owner": None, "is_pending": False,
             "message_seq": len(messages), "turn_seq": 3, "external": name}
        )  # fmt: skip
        history.vendor.append({"kind": "accepted", "at": 50.0, "call": 1, "text": f"[{name} t2 model o1]", "fault": ""})
        history.model_events.append({"conversation_id": conversation, "turn_id": f"{name}-2", "replayed": False})
    for lane, name in (("webhook", "vera"), ("fake_blind", "boris2"), ("fake_reconcile", "rita")):
        push(history, lane, name)
    return history


def push(history: History, lane: str, name: str) -> None:
    """A conversation over a channel that pushes, two turns without the model."""
    conversation = f"id-{name}"
    driver, messages, inbox, turns = talk(name, conversation, flags=("", ""))
    for row in messages:
        row["client_id"] = ""
    for n in (1, 2):
        inbox[n]["dedupe_key"] = f"hook:{name}.t{n}"
    for entry in driver:
        if entry["kind"] == "acked":
            entry["seq"] = None
    history.driver += driver
    history.messages += messages
    history.inbox += inbox
    history.turns += turns
    history.conversations.append(
        {"id": conversation, "channel_kind": lane, "status": "open", "lease_owner": None, "is_pending": False,
         "message_seq": len(messages), "turn_seq": 3, "external": name}
    )  # fmt: skip
    for row in messages:
        if row["role"] == "agent":
            key = f"key-{name}-{row['seq']}"
            history.outbox.append(
                {"id": f"out-{name}-{row['seq']}", "conversation_id": conversation, "ordinal": row["seq"],
                 "state": "sent", "attempt": 1, "vendor_key": key, "recipient": name, "possibly_duplicate": False,
                 "connector": lane}
            )  # fmt: skip
            history.receiver.append(
                {"kind": "arrived", "at": 100.0 + row["seq"], "lane": lane, "key": key, "to": name, "seq": row["seq"],
                 "text": row["text"], "conversation_id": conversation, "hash": f"h-{key}", "fault": "", "accepted": True}
            )  # fmt: skip


def of(history: History, text: str) -> Row:
    return next(m for m in history.messages if text in m["text"])


def lost_answer(h: History) -> None:
    h.messages.remove(of(h, "[anna t1 o1]"))


def lost_message(h: History) -> None:
    h.messages = [m for m in h.messages if m["turn_id"] != "anna-1"]


def sorry_for_nothing(h: History) -> None:
    of(h, "[anna t1 o1]")["text"] = SORRY["en"]


def hello_without_a_question(h: History) -> None:
    hello = message("id-anna", 9, "contact", "anna t0 hello", "anna-9", "anna.t0")
    h.messages.append(hello)
    h.messages.remove(of(h, "[new t0 o2]"))
    h.inbox.append({**h.inbox[0], "id": "anna-9", "dedupe_key": "anna.9"})
    h.driver += [
        {"kind": "sent", "name": "anna", "turn": 0, "flags": "hello"},
        {"kind": "acked", "name": "anna", "turn": 0, "seq": 9},
    ]


def waited_in_vain(h: History) -> None:
    h.driver.append({"kind": "gave_up", "name": "anna", "turn": 1})


def said_twice(h: History) -> None:
    h.messages.append({**of(h, "[anna t2 model o2]"), "seq": 8})


def committed_twice(h: History) -> None:
    h.turns.append({**h.turns[1], "seq": 9})


def pushed_twice(h: History) -> None:
    h.driver.append(next(e for e in h.driver if e["kind"] == "received" and e["seq"] == 3))


def begun_twice(h: History) -> None:
    h.conversations.append({**h.conversations[0], "id": "another", "message_seq": 0})


def stored_twice(h: History) -> None:
    h.messages.append({**of(h, "anna t1"), "seq": 8, "role": "contact", "text": "anna t1"})


def reordered(h: History) -> None:
    one, two = of(h, "[anna t1 o1]"), of(h, "[anna t1 o2]")
    one["text"], two["text"] = two["text"], one["text"]


def pushed_out_of_order(h: History) -> None:
    received = [e for e in h.driver if e["kind"] == "received"]
    received[0]["seq"], received[1]["seq"] = received[1]["seq"], received[0]["seq"]


def gap(h: History) -> None:
    of(h, "[anna t2 model o2]")["seq"] = 9


def foreign_row(h: History) -> None:
    of(h, "[anna t1 o1]")["text"] = "[boris t1 o1] echo"


def foreign_receipt(h: History) -> None:
    h.driver.append({"kind": "received", "name": "anna", "seq": 99, "text": "[boris t9 o1] echo", "via": "poll"})


def call_without_entry(h: History) -> None:
    h.model_events.pop()


def entry_without_call(h: History) -> None:
    h.vendor.pop()


def entry_twice(h: History) -> None:
    h.model_events.append(h.model_events[0])


def unexplained_repeat(h: History) -> None:
    h.vendor.append({**h.vendor[0], "at": 60.0})


def still_pending(h: History) -> None:
    h.inbox[1]["state"] = "pending"


def still_leased(h: History) -> None:
    h.conversations[0]["lease_owner"] = 7


def outbox_stuck(h: History) -> None:
    h.outbox[0]["state"] = "sending"


def timer_overdue(h: History) -> None:
    h.timers.append({"id": "t", "conversation_id": "id-anna", "late": 60.0})


def claim_unanswered(h: History) -> None:
    h.claims.append({"key": "k", "created_at": 1.0})


def timer_early(h: History) -> None:
    h.inbox[1] |= {"kind": "timer", "due_at": 130.0}


def leaked(h: History) -> None:
    h.leaks.append("model key in web1.log")


def arrival(h: History, name: str, seq: int) -> Row:
    return next(e for e in h.receiver if e["to"] == name and e["seq"] == seq)


def arrived_again(h: History, name: str) -> None:
    """Seq 3 comes twice under its key."""
    first = arrival(h, name, 3)
    place = h.receiver.index(first) + 1
    h.receiver.insert(place, {**first, "at": first["at"] + 0.5})


def flag(h: History, name: str) -> None:
    next(row for row in h.outbox if row["id"] == f"out-{name}-3")["possibly_duplicate"] = True


def never_arrived(h: History) -> None:
    h.receiver.remove(arrival(h, "vera", 6))


def given_up_in_silence(h: History) -> None:
    h.outbox[-1]["state"] = "failed"


def nobody_sends_it(h: History) -> None:
    h.outbox.pop()


def signature_refused(h: History) -> None:
    h.receiver.append({"kind": "not_signed", "at": 1.0, "lane": "webhook"})


def two_keys(h: History) -> None:
    again = {**arrival(h, "vera", 3), "key": "another"}
    h.receiver.insert(h.receiver.index(arrival(h, "vera", 3)) + 1, again)


def two_bodies(h: History) -> None:
    arrived_again(h, "vera")
    arrival(h, "vera", 3)["hash"] = "other"


def reconciled_twice(h: History) -> None:
    arrived_again(h, "rita")
    flag(h, "rita")
    h.actions.append({"kind": "hurt", "what": "kill", "who": "worker1", "since": 102.9, "at": 103.2})


def blind_twice_unmarked(h: History) -> None:
    arrived_again(h, "boris2")
    h.actions.append({"kind": "hurt", "what": "kill", "who": "worker1", "since": 102.9, "at": 103.2})


def blind_twice_unexplained(h: History) -> None:
    arrived_again(h, "boris2")
    flag(h, "boris2")


def overtaken(h: History) -> None:
    one, two = arrival(h, "vera", 3), arrival(h, "vera", 4)
    n, m = h.receiver.index(one), h.receiver.index(two)
    h.receiver[n], h.receiver[m] = two, one


def sent_to_another(h: History) -> None:
    arrival(h, "vera", 3)["text"] = "[rita t1 o1] echo"


def sent_from_another(h: History) -> None:
    arrival(h, "vera", 1)["conversation_id"] = "id-rita"


def hook_begun_twice(h: History) -> None:
    h.conversations.append({**h.conversations[-1], "id": "another", "message_seq": 0})


def hook_stored_twice(h: History) -> None:
    h.messages.append({**of(h, "vera t1"), "seq": 8, "role": "contact", "text": "vera t1"})


def hooks_reordered(h: History) -> None:
    one, two = (next(m for m in h.messages if m["role"] == "contact" and m["text"] == f"vera t{n}") for n in (1, 2))
    one["turn_id"], two["turn_id"] = two["turn_id"], one["turn_id"]


DOCTORED: list[tuple[str, Doctor]] = [
    ("I1", lost_answer), ("I1", lost_message), ("I1", waited_in_vain), ("I1", sorry_for_nothing),
    ("I1", hello_without_a_question),
    ("I2", said_twice), ("I2", committed_twice), ("I2", pushed_twice), ("I2", begun_twice), ("I2", stored_twice),
    ("I3", reordered), ("I3", pushed_out_of_order), ("I3", gap),
    ("I4", foreign_row), ("I4", foreign_receipt),
    ("I5", call_without_entry), ("I5", entry_without_call), ("I5", entry_twice), ("I5", unexplained_repeat),
    ("I6", still_pending), ("I6", still_leased), ("I6", outbox_stuck), ("I6", timer_overdue), ("I6", claim_unanswered),
    ("timers", timer_early), ("I7", leaked),
    ("I1", never_arrived), ("I1", given_up_in_silence), ("I1", nobody_sends_it), ("I1", signature_refused),
    ("I2", two_keys), ("I2", two_bodies), ("I2", reconciled_twice), ("I2", blind_twice_unmarked),
    ("I2", blind_twice_unexplained), ("I2", hook_begun_twice), ("I2", hook_stored_twice),
    ("I3", overtaken), ("I3", hooks_reordered), ("I4", sent_to_another), ("I4", sent_from_another),
]  # fmt: skip


def test_a_good_history_passes() -> None:
    assert check(good()) == []


@pytest.mark.parametrize(("invariant", "doctor"), DOCTORED, ids=lambda v: v if isinstance(v, str) else v.__name__)
def test_a_doctored_history_fails(invariant: str, doctor: Doctor) -> None:
    history = copy.deepcopy(good())
    doctor(history)
    assert invariant in {v.invariant for v in check(history)}


def test_a_repeated_call_is_excused_by_a_kill_between_the_two() -> None:
    history = good()
    unexplained_repeat(history)
    history.actions.append({"kind": "hurt", "what": "kill", "who": "web1", "since": 55.0, "at": 56.0})
    assert check(history) == []


def test_a_repeated_call_is_excused_by_an_outage_that_held_its_trigger_up() -> None:
    history = good()
    unexplained_repeat(history)
    history.actions.append({"kind": "hurt", "what": "kill", "who": "database", "since": 49.2, "at": 49.8})
    assert check(history) == []


@pytest.mark.parametrize("since", [10.0, 70.0])
def test_a_repeated_call_is_not_excused_by_a_kill_at_another_time(since: float) -> None:
    history = good()
    unexplained_repeat(history)
    history.actions.append({"kind": "hurt", "what": "kill", "who": "web1", "since": since, "at": since + 1})
    assert {v.invariant for v in check(history)} == {"I5"}


def test_a_dead_letter_with_an_apology_counts_as_answered() -> None:
    history = good()
    history.messages = [m for m in history.messages if "[anna t2 model o2]" not in m["text"]]
    of(history, "[anna t2 model o1]")["text"] = SORRY["en"]
    history.conversations[0]["message_seq"] = 6
    history.driver = [e for e in history.driver if not (e["kind"] == "received" and "anna t2" in e["text"])]
    history.vendor, history.model_events = history.vendor[1:], history.model_events[1:]
    next(row for row in history.inbox if row["id"] == "anna-2")["state"] = "dead"
    assert check(history) == []


def test_a_keyed_receiver_folds_a_repeat() -> None:
    history = good()
    arrived_again(history, "vera")
    assert check(history) == []


def test_a_blind_receiver_may_get_a_marked_message_twice_after_a_kill() -> None:
    history = good()
    arrived_again(history, "boris2")
    flag(history, "boris2")
    history.actions.append({"kind": "hurt", "what": "kill", "who": "worker1", "since": 102.9, "at": 103.2})
    assert check(history) == []


def test_a_blind_receiver_may_get_a_marked_message_twice_after_it_broke_the_connection() -> None:
    history = good()
    arrived_again(history, "boris2")
    flag(history, "boris2")
    arrival(history, "boris2", 3)["fault"] = "reset_after_accept"
    assert check(history) == []


def test_a_message_that_was_given_up_has_a_dead_letter() -> None:
    history = good()
    given_up_in_silence(history)
    history.letters.append({"source": "outbox", "ref": history.outbox[-1]["id"], "reason": "refused"})
    assert check(history) == []
