"""Whether a trigger fires: what a message has to say, what a request tells, and the reason in either case. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graph_runtime.contract.answers.words import normal, words
from graph_runtime.contract.conditions import compare, evaluate
from graph_runtime.contract.errors import TemplateInvalid
from graph_runtime.contract.templates import render
from graph_runtime.contract.triggers import (
    MAX_DEPTH,
    MOST_PER_HOUR,
    MOST_PER_HOUR_OF_NOBODY,
    OnEvent,
    OnMessage,
    OnWebhook,
    SendWebhook,
    Trigger,
    Use,
)

_EXACTNESS: Final = {"command": 4, "exact": 3, "pattern": 2, "words": 1, "any": 0}
MOST_LEAVES: Final = 200
SHOWN: Final = 120


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when it is decided. `contact` None: it is about nobody; `event`: what happened, as data.

    `fired_for_contact`, `fired_in_all`: within the periods of the limits; `fired_lately`: for the contact, or about
    nobody, in an hour.
    """

    contact: Mapping[str, Any] | None = None
    event: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    message: Mapping[str, Any] = field(default_factory=dict)
    depth: int = 0
    fired_for_contact: int = 0
    fired_in_all: int = 0
    fired_lately: int = 0

    def values(self) -> dict[str, Any]:
        """The roots that texts and conditions read."""
        return {
            "contact": dict(self.contact or {}), "event": dict(self.event), "var": dict(self.variables),
            "message": dict(self.message),
        }  # fmt: skip

    def resolve(self, path: str) -> Any:
        """The value of a path; None when there is none."""
        value: Any = self.values()
        for part in path.split("."):
            if isinstance(value, Mapping):
                value = value.get(part)
            elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            else:
                return None
        return value

    def render(self, text: str) -> str:
        """Fill a text; one that cannot be filled stays as it is."""
        try:
            return render(text, self.values())
        except TemplateInvalid:
            return text


SENTENCES: Final = {
    "fired": "Fired.",
    "off": "The trigger is off.",
    "agent_off": "The agent is off.",
    "deleted": "The trigger was deleted.",
    "loop": f"Stopped: {MAX_DEPTH} triggers in a row caused one another. Break the circle with a condition.",
    "too_often": f"Stopped: it fired {MOST_PER_HOUR} times for this contact within an hour, so something goes in a circle.",
    "too_often_nobody": f"Stopped: it sent {MOST_PER_HOUR_OF_NOBODY} events within an hour, each after a request. Something goes in a circle.",
    "condition": "The condition is not met.",
    "contact_limit": "It has fired for this contact as often as it may.",
    "total_limit": "It has fired as often as it may in this period.",
    "result": "The flow ended with another result.",
    "tag": "Another tag was added.",
    "stage": "The deal came to another stage.",
    "opted_out": "The contact does not want to be written to.",
    "busy": "A conversation with this contact is going on.",
    "no_contact": "It is not known whom this is about.",
    "only_tests": "This contact only spoke in the tester.",
    "no_channel": "The contact is known in none of the agent's channels that can be written to.",
    "not_published": "The flow to start is not published.",
    "flow_gone": "The flow to start was removed.",
    "no_subscription": "The event subscription is off or was removed.",
    "no_crm": "The customer system is not connected any more.",
    "no_phone": "The contact has no phone, and the record is found by it.",
    "no_email": "The contact has no e-mail, and the record is found by it.",
    "crm": "The customer system refused it.",
    "no_chain": "The chain was removed.",
    "chain_off": "The chain is off.",
    "chain_inside": "The contact is in the chain already.",
    "chain_nothing_to_do": "No step of the chain can ever be due for this contact.",
    "not_inside": "The contact was in no such chain.",
    "nothing_changed": "The contact had all of that already.",
    "missed": "This time passed while nothing ran.",
    "nobody_fits": "Nobody meets the condition.",
    "spread": "Done for each contact that fits.",
    "failed": "An action failed three times.",
    "sample": "The request was kept as a sample.",
    "wrong_words": "The message does not say what the trigger listens for.",
    "wrong_channel": "The message came in another channel.",
}
"""Why a trigger fired or did not, in English; screens have the same codes in their own languages."""


def verdict(trigger: Trigger, facts: Facts) -> str:
    """ "" when it fires, else the reason (a key of SENTENCES)."""
    if facts.depth >= MAX_DEPTH:
        return "loop"
    when = trigger.when
    if isinstance(when, OnEvent):
        if when.results and not _among(facts.event.get("result"), when.results):
            return "result"
        if when.tags and not _among(facts.event.get("tag"), when.tags):
            return "tag"
        if when.stages and not any(_among(facts.event.get(k), when.stages) for k in ("stage", "stage_id")):
            return "stage"
    if not evaluate(trigger.condition, facts.resolve, facts.render):
        return "condition"
    limits = trigger.limits
    if facts.contact is not None and limits.per_contact and facts.fired_for_contact >= limits.per_contact:
        return "contact_limit"
    if limits.total and facts.fired_in_all >= limits.total:
        return "total_limit"
    if facts.contact is not None:
        return "too_often" if facts.fired_lately >= MOST_PER_HOUR else ""
    may_circle = isinstance(when, OnWebhook) and any(isinstance(a, SendWebhook) for a in trigger.actions)
    return "too_often_nobody" if may_circle and facts.fired_lately >= MOST_PER_HOUR_OF_NOBODY else ""


def _among(value: Any, wanted: tuple[str, ...]) -> bool:
    return normal(str(value or "")) in {normal(w) for w in wanted}


def hears(when: OnMessage, channel: str, text: str) -> str:
    """ "" when the message is one that the trigger listens for, else "wrong_channel" or "wrong_words"."""
    if when.channels and channel not in when.channels:
        return "wrong_channel"
    if when.match == "any":
        return ""
    said = normal(text)
    if when.match == "command":
        first = said.split(" ", 1)[0].partition("@")[0]
        fits = first.startswith("/") and any(first == "/" + normal(t).lstrip("/") for t in when.texts)
    elif when.match == "exact":
        spoken = " ".join(words(text))
        fits = bool(said) and any(normal(t) == said or spoken == " ".join(words(t)) != "" for t in when.texts)
    elif when.match == "pattern":
        fits = any(compare(said, "matches", normal(t)) for t in when.texts if t.strip())
    else:
        spoken = f" {' '.join(words(text))} "
        fits = any(w and f" {w} " in spoken for w in (" ".join(words(t)) for t in when.texts))
    return "" if fits else "wrong_words"


def exactness(when: OnMessage) -> int:
    """Of several triggers that hear a message the most exact one decides; of equals the oldest."""
    return _EXACTNESS[when.match]


def leaves(sample: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Every plain value of a request with its pointer (RFC 6901), in order."""
    if isinstance(sample, Mapping):
        for key, value in sample.items():
            yield from leaves(value, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")
    elif isinstance(sample, list):
        for place, value in enumerate(sample):
            yield from leaves(value, f"{pointer}/{place}")
    else:
        yield pointer, sample


def value_at(data: Any, pointer: str) -> Any:
    """The value that a pointer points at; None when there is none."""
    if pointer and not pointer.startswith("/"):
        return None
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(data, Mapping):
            data = data.get(key)
        elif isinstance(data, list) and key.isascii() and key.isdigit() and int(key) < len(data):
            data = data[int(key)]
        else:
            return None
    return data


@dataclass(frozen=True, slots=True)
class Told:
    """What a request says, as the mapping reads it: whom it is about, and what of it is kept."""

    who: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)


def told(uses: tuple[Use, ...], data: Any) -> Told:
    """Read a request. Values that are missing or no plain values of the kind are left out."""
    who: dict[str, str] = {}
    kept: dict[str, dict[str, Any]] = {"variable": {}, "field": {}}
    for use in uses:
        value = value_at(data, use.pointer)
        if value is None or value == "":
            continue
        if use.as_ in kept:
            kept[use.as_][use.name] = value
        elif isinstance(value, str | int) and not isinstance(value, bool):
            who.setdefault(use.as_, str(value).strip()[:254])
    if "phone" in who:
        who["phone"] = phone_of(who["phone"])
    if "email" in who and "@" not in who["email"]:
        who["email"] = ""
    return Told({k: v for k, v in who.items() if v}, kept["variable"], kept["field"])


def phone_of(text: str) -> str:
    """A number as E.164; "" when it is none. One without its country's code cannot be known."""
    digits = "".join(c for c in text if c.isascii() and c.isdigit())
    if text.strip().startswith("00"):
        digits = digits[2:]
    elif not text.strip().startswith("+") and len(digits) < 11:
        return ""
    return f"+{digits}" if 6 <= len(digits) <= 15 and digits[:1] != "0" else ""
