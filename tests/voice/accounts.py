"""What many callers heard, added up against what was to be said to them, and what the transcripts say."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import psycopg

from tests.voice.people import HearingLeg, Person, Sentence
from voice.texts import Bridge, text_of

GIVEN_UP: Final = text_of(Bridge.GIVE_UP, "en")[:20]
SPOKEN_SECONDS: Final = 1.0
"""That a turn was heard to its end is written down after its last frame; who dies in between says it again."""


@dataclass(frozen=True, slots=True)
class Blow:
    """What was done to a voice process; monotonic seconds."""

    kind: Literal["replaced", "killed"]
    at: float


@dataclass
class Account:
    """What many people heard, added up; lists name the people."""

    dropped: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    """Calls that the agent ended in words, because it had no answer for 20 s: the machine had no time for them."""

    foreign: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    """Sentences that an orderly end broke off."""
    keyed_in_vain: list[str] = field(default_factory=list)
    """Codes that were keyed in to the end and lost by an orderly end."""
    transcript: list[str] = field(default_factory=list)
    """Transcripts that are not what was keyed in and answered."""
    faults: list[str] = field(default_factory=list)
    back: dict[int, list[float]] = field(default_factory=dict)
    """Blow → seconds from the end of a leg to the first word on the next one."""
    silent: dict[int, list[float]] = field(default_factory=dict)
    """Blow → seconds between the last frame of a leg and the first of the next one."""
    again: int = 0
    """Sentences that were rightly said once more: an open question, or what nobody knows to have been heard."""
    bridges: int = 0

    @property
    def troubles(self) -> dict[str, list[str]]:
        """Every list that has to be empty."""
        names = ("dropped", "given_up", "foreign", "twice", "left_out", "cut", "keyed_in_vain", "transcript", "faults")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


def account(
    people: Sequence[Person], blows: Sequence[Blow], transcripts: Mapping[uuid.UUID, list[tuple[str, str]]]
) -> Account:
    """Go through everything that everybody heard."""
    found = Account()
    for person in people:
        is_given_up = bool(person.sentences) and person.sentences[-1].text.startswith(GIVEN_UP)
        if is_given_up:
            found.given_up.append(f"{person.number}: {person.trouble or person.outcome}")
        elif person.trouble or person.outcome != ("done" if person.hangs_up_at is None else "hangup"):
            found.dropped.append(f"{person.number}: {person.outcome} {person.trouble or person.plan.trail[-8:]}")
        for leg in person.legs:
            found.faults += [f"{person.number}: {fault}" for fault in [leg.dropped, *leg.faults] if fault]
        _Walk(found, person, blows).go()
        _changed_legs(found, person, blows)
        _written(found, person, transcripts.get(person.plan.call_id, []))
    return found


def _blow_of(leg: HearingLeg, blows: Sequence[Blow]) -> int | None:
    """The blow that ended it: the last one before."""
    return max((n for n, blow in enumerate(blows) if blow.at <= leg.ended_at), default=None)


class _Walk:
    """Through what one person heard, beside what was to be said to them: `at` is the sentence that is to come."""

    def __init__(self, found: Account, person: Person, blows: Sequence[Blow]) -> None:
        self.found = found
        self.person = person
        self.blows = blows
        self.plan = [(turn, text) for turn, texts in enumerate(person.expected()) for text in texts]
        self.at = 0

    def go(self) -> None:
        """From the first sentence to the last one."""
        leg = 0
        for sentence in self.person.sentences:
            if not self._is_own(sentence) or (self.person.hangs_up_at is not None and self.at >= len(self.plan)):
                continue  # what bridges a silence, and the answer they did not wait for
            is_new_leg, leg = sentence.leg != leg, sentence.leg
            is_next = self.at < len(self.plan) and sentence.text == self.plan[self.at][1]
            if is_next or self._goes_elsewhere(sentence, is_new_leg):
                self._take(sentence)
        is_given_up = bool(self.person.sentences) and self.person.sentences[-1].text.startswith(GIVEN_UP)
        if self.at < len(self.plan) and not is_given_up:
            self._left_out(len(self.plan))

    def _take(self, sentence: Sentence) -> None:
        if sentence.is_whole:
            self.at += 1
            return
        number = _blow_of(self.person.legs[sentence.leg], self.blows)
        if number is None or self.blows[number].kind == "replaced":
            self.found.cut.append(f"{self._named(sentence)} after {sentence.heard} of {sentence.frames} frames")

    def _is_own(self, sentence: Sentence) -> bool:
        if f"caller {self.person.number}" in sentence.text.lower():
            return True
        if "caller" in sentence.text.lower():
            self.found.foreign.append(self._named(sentence))
        self.found.bridges += 1
        return False

    def _goes_elsewhere(self, sentence: Sentence, is_new_leg: bool) -> bool:
        """To where a sentence stands that is not the next one; False when it stands nowhere, or was said already."""
        place = next((n for n, (_, said) in enumerate(self.plan) if said == sentence.text), None)
        if place is None:
            self.found.twice.append(f"{self._named(sentence)} was never to be said")
            return False
        if place > self.at:
            self._left_out(place)
        elif not is_new_leg:
            self.found.twice.append(f"{self._named(sentence)} on one connection")
            return False
        else:
            self.found.again += self.at - place
            if not self._may_say_again(place, self.person.legs[sentence.leg - 1]):
                self.found.twice.append(self._named(sentence))
        self.at = place
        return True

    def _may_say_again(self, place: int, old: HearingLeg) -> bool:
        """A question that is open may be put again; after a death, whatever of its turn was not written down as heard."""
        plan, at = self.plan, self.at
        if place == at - 1 and plan[place][1].endswith("?"):
            return True
        number = _blow_of(old, self.blows)
        if number is None or self.blows[number].kind != "killed" or plan[place][0] != plan[at - 1][0]:
            return False
        is_over = at == len(plan) or plan[at][0] != plan[at - 1][0]
        legs = self.person.legs[: self.person.legs.index(old) + 1]
        last = next((s for leg in reversed(legs) for s in reversed(leg.sentences)), None)
        return not is_over or (last is not None and old.ended_at - last.ended < SPOKEN_SECONDS)

    def _left_out(self, until: int) -> None:
        self.found.left_out.append(f"{self.person.number}: {[said for _, said in self.plan[self.at : until]]}")

    def _named(self, sentence: Sentence) -> str:
        return f"{self.person.number}: “{sentence.text}”"


def _changed_legs(found: Account, person: Person, blows: Sequence[Blow]) -> None:
    for old, new in itertools.pairwise(person.legs):
        number = _blow_of(old, blows)
        if number is None or not new.arrivals:
            found.faults.append(f"{person.number}: a leg ended for nothing, or nothing came on the next one")
            continue
        if new.voice_at:
            found.back.setdefault(number, []).append(new.voice_at - old.ended_at)
        if old.arrivals:
            found.silent.setdefault(number, []).append(new.arrivals[0] - old.arrivals[-1])
        if blows[number].kind == "killed":
            continue
        keyed = [place for place, at in person.keyed if at < new.arrivals[0]]
        if keyed and sum(place == keyed[-1] for place, _ in person.keyed) > 1:
            found.keyed_in_vain.append(f"{person.number}: {person.codes[keyed[-1]]}")


def _written(found: Account, person: Person, rows: list[tuple[str, str]]) -> None:
    turns = person.expected()
    wanted = [("agent", text) for text in _messages(turns[0])]
    for code, said in zip(person.codes, turns[1:], strict=False):
        wanted += [("contact", code), *(("agent", text) for text in _messages(said))]
    kept = rows[: len(wanted)] if person.hangs_up_at is not None else rows
    if kept != wanted:
        first = next(
            (n for n, (a, b) in enumerate(zip(kept, wanted, strict=False)) if a != b), min(len(kept), len(wanted))
        )
        found.transcript.append(
            f"{person.number}: from {first} on {rows[first : first + 3]} instead of {wanted[first : first + 3]}"
        )


def _messages(sentences: list[str]) -> list[str]:
    """A turn's messages: all but the question, which is one of its own, and the sentences of a long one together."""
    *before, last = sentences
    return [" ".join(before), last] if before else [last]


def transcripts(connection: psycopg.Connection[Any]) -> dict[uuid.UUID, list[tuple[str, str]]]:
    """(role, text) of every call's messages, in order; past row-level security."""
    rows = connection.execute(
        "SELECT p.id, m.role, coalesce(m.flags ->> 'whole', m.text) FROM phone_call p"
        " JOIN message m ON m.conversation_id = p.conversation_id ORDER BY m.seq"
    ).fetchall()
    found: dict[uuid.UUID, list[tuple[str, str]]] = {}
    for call_id, role, text in rows:
        found.setdefault(call_id, []).append((role, text.strip()))
    return found
