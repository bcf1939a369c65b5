"""What the product measures about its work; labels name kinds, never ids."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

INBOUND_TO_REPLY: Final = Histogram(
    "inbound_to_reply_seconds",
    "From the storing of a message to the commit of its answer, on the database's clock",
    ["connector"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
INGEST: Final = Histogram(
    "ingest_seconds",
    "Time to store an accepted message",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
LEASE_STEALS: Final = Counter("lease_steals_total", "Conversations taken over from a process that did not let go")
EFFECTS_REPLAYED: Final = Counter("effects_replayed_total", "Calls that a repeated turn answered from the journal")
POSSIBLY_DUPLICATE: Final = Counter("possibly_duplicate_total", "Deliveries sent again after an unknown outcome")
BREAKER: Final = Gauge("breaker_state", "0 closed, 1 half-open, 2 open; the worst account of a kind", ["connector"])
RATE_LIMITED: Final = Counter("rate_limited_total", "Requests and calls held back by a limit", ["limit"])
MODEL_COST: Final = Counter("llm_cost_microusd", "Price of answers of language models, in millionths of a dollar")
MODELS_AHEAD: Final = Counter(
    "models_asked_ahead_total", "Answers of models begun before a caller was certainly done", ["outcome"]
)
EVENTS_SENT: Final = Counter("events_sent_total", "Attempts to tell subscriptions an event", ["outcome"])
WEBHOOK_REJECTS: Final = Counter("webhook_reject_total", "Webhooks that were refused", ["reason"])
HAND_OFFS: Final = Counter("hand_offs_total", "Conversations that people took, released or gave back", ["what"])
APPROVALS: Final = Counter("approvals_total", "What became of messages that waited for somebody's approval", ["what"])
APPROVAL_WAIT: Final = Histogram(
    "approval_wait_seconds",
    "From a message that has to be approved to a member deciding about it",
    buckets=(1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600),
)
HAND_OFF_WAIT: Final = Histogram(
    "hand_off_wait_seconds",
    "From the wish for a person to somebody taking the conversation",
    buckets=(1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600),
)
OPERATOR_MESSAGES: Final = Counter("operator_messages_total", "What people said to clients")
CALLS_TO_DESK: Final = Counter(
    "calls_to_desk_total",
    "Calls that went to the telephone system's desk because nobody here could hold them",
    ["reason"],
)
WAKE_UPS: Final = Counter("wake_ups_total", "Wake-ups of workers by the way they took", ["way"])
DELETED: Final = Counter("retention_deleted_total", "Rows deleted because their time was over", ["kind"])

# Asked of the database when somebody looks (`storage.figures`).
OUTBOX_AGE: Final = Gauge("outbox_age_seconds", "Age of the oldest delivery that is not finished", ["state"])
OVERDUE: Final = Gauge("overdue_seconds", "How long ago the oldest of what is due and not begun fell due", ["kind"])
EVENTS_WAITING: Final = Gauge("events_waiting", "Events that subscriptions have not received yet")
COPIES_WAITING: Final = Gauge(
    "copies_waiting", "Passages that stores of vectors have not been told yet, and copies to be emptied"
)
COPIES_FAILING: Final = Gauge("copies_failing", "Copies in stores of vectors whose last attempt failed")
DEAD_LETTERS: Final = Gauge("dead_letters_open", "Triggers and deliveries put aside and not yet resolved")
OLD_KEYS: Final = Gauge("vault_rows_old_key", "Data keys still wrapped by a former secret key")
VOICE_PROCESSES: Final = Gauge(
    "voice_processes", "Living processes that hold calls, by what keeps new ones out of them", ["state"]
)
HELD: Final = Gauge("held_by_restore", "Rows held back since a restore, until somebody decides")
