"""Callers who key in codes and account for every word they hear: who was left out, who heard a thing twice, whose call ended.

Their agent speaks with `readable_speech`, so that a hundred of them cost little and nothing depends on a recogniser.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import httpx2
import psycopg

from tests.phone_world import phone_flow
from tests.voice.asterisk_stand_in import Ask, Dialplan, Leg, Mouths, Profile, Telephone
from tests.voice.readable_speech import read

KEY_PAUSE_SECONDS: Final = 0.06
LOOK_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 90.0
ANNOUNCEMENTS: Final = 5
CURL_SECONDS: Final = 2.0
PARTS: Final = ("one", "two", "three", "four", "five", "six")
SPOKEN_SECONDS: Final = 1.0
"""That a turn was heard to its end is written down after its last frame; who dies in between says it again."""

Kind = Literal["echo", "long", "model", "bye"]
_FIRST: Final[dict[Kind, int]] = {"echo": 100_000, "long": 200_000, "model": 300_000, "bye": 900_000}


def flow(*, has_model: bool) -> dict[str, Any]:
    """Asks for one code after another; what the code begins with decides what is said to it."""

    def at_least(kind: Kind) -> dict[str, Any]:
        when = {"left": {"ref": "var.code"}, "op": "gte", "right": {"value": _FIRST[kind]}}
        return {"id": kind, "label": kind, "when": when}

    kinds: tuple[Kind, ...] = ("bye", *(("model",) if has_model else ()), "long")  # type: ignore[assignment]  # literals
    nodes: dict[str, Any] = {
        "n_hello": ("say", {"text": hello("{{ call.from }}")}),
        "n_ask": (
            "ask",
            {
                "text": question("{{ call.from }}", "{{ var.code | default: 'none' }}"),
                "kind": "number",
                "save_to": "code",
            },
        ),
        "n_which": ("branch", {"cases": [at_least(kind) for kind in kinds]}),
        "n_echo": ("say", {"text": echo("{{ call.from }}", "{{ var.code }}")}),
        "n_long": ("say", {"text": " ".join(long("{{ call.from }}", "{{ var.code }}"))}),
        "n_bye": ("hang_up", {"text": bye("{{ call.from }}", "{{ var.code }}"), "reason": "told"}),
    }
    edges = {
        "n_start.next": "n_hello", "n_hello.finished": "n_ask", "n_ask.answered": "n_which", "n_ask.invalid": "n_ask",
        "n_which.else": "n_echo", "n_which.long": "n_long", "n_which.bye": "n_bye", "n_echo.finished": "n_ask",
        "n_long.finished": "n_ask",
    }  # fmt: skip
    more: dict[str, Any] = {"variables": {"code": {"type": "number", "label": "Code"}}}
    if has_model:
        asked = "[{{ call.from }} t{{ var.code }} slow2 o1] for caller {{ call.from }}."
        nodes["n_model"] = ("prompt", {"connection": "llm", "system": "Answer.", "user": asked, "history": 0})
        edges |= {"n_which.model": "n_model", "n_model.next": "n_ask", "n_model.error": "n_ask"}
        more["connections"] = {"llm": {"kind": "chat_model", "label": "Model"}}
    return phone_flow(nodes, edges, **more)


def hello(number: str) -> str:
    return f"Hello caller {number}."


def question(number: str, before: str) -> str:
    return f"Caller {number} after {before} the next code please?"


def echo(number: str, code: str) -> str:
    return f"Caller {number} gave {code}."


def long(number: str, code: str) -> list[str]:
    return [f"This is part {part} of what caller {number} hears after {code} was given." for part in PARTS]


def answer(number: str, code: str) -> str:
    return f"Answer [{number} t{code} slow2 o1] for caller {number}."


def bye(number: str, code: str) -> str:
    return f"Goodbye caller {number} after {code}."


def code_of(kind: Kind, place: int) -> str:
    """What is keyed in; each code of a call is another one."""
    return str(_FIRST[kind] + place)


@dataclass(slots=True)
class Sentence:
    """What was heard of one, on which leg of the call; monotonic seconds."""

    text: str
    leg: int
    began: float
    frames: int
    ended: float = 0.0
    heard: int = 0

    @property
    def is_whole(self) -> bool:
        return self.heard == self.frames


class HearingLeg(Leg):
    """Keeps sentences and the moments of frames instead of the frames."""

    def __init__(self, call_id: uuid.UUID, profile: Profile, mouths: Mouths | None = None) -> None:
        super().__init__(call_id, profile, mouths)
        self.arrivals = array("d")
        self.voice_at = 0.0
        self.ended_at = 0.0
        self.sentences: list[Sentence] = []

    def hear(self, now: float, payload: bytes) -> None:
        self.arrivals.append(now)
        try:
            frame = read(payload)
        except ValueError as error:
            self.faults.append(str(error))
            return
        if frame is None:
            return
        self.voice_at = self.voice_at or now
        last = self.sentences[-1] if self.sentences else None
        if last is None or frame.text != last.text or last.is_whole:
            last = Sentence(frame.text, 0, now, frame.frames)
            self.sentences.append(last)
        if frame.place != last.heard:
            self.faults.append(f"frame {frame.place} of “{frame.text}” after {last.heard}")
        last.heard, last.ended = frame.place + 1, now

    def _finish(self, outcome: str) -> None:
        self.ended_at = self.ended_at or time.monotonic()
        super()._finish(outcome)


@dataclass
class Person:
    """One caller. They give codes of `kinds`, over and over, until `may_go`, and then say goodbye. `hangs_up_at`: the place
    of the code whose answer they do not wait for; None: they stay to the end."""

    number: str
    kinds: Sequence[Kind]
    ask: Ask
    plan: Dialplan
    pause: float = 1.0
    hangs_up_at: int | None = None
    may_go: asyncio.Event = field(default_factory=asyncio.Event)
    codes: list[str] = field(default_factory=list)
    outcome: str = ""
    at: int = 0
    """The place of the code that is asked for: so many were answered."""
    keyed: list[tuple[int, float]] = field(default_factory=list)
    """(place of a code, when its last key was released)."""

    trouble: str = ""

    @property
    def legs(self) -> list[HearingLeg]:
        return self.plan.legs  # type: ignore[return-value]  # a telephone of `telephone`

    @property
    def sentences(self) -> list[Sentence]:
        """Everything that was heard, in order."""
        for number, leg in enumerate(self.legs):
            for sentence in leg.sentences:
                sentence.leg = number
        return [sentence for leg in self.legs for sentence in leg.sentences]

    async def run(self) -> None:
        """The whole call."""
        call = asyncio.create_task(self.plan.run(caller=self.number))
        talking = asyncio.create_task(self._talk())
        try:
            await asyncio.wait({call, talking}, return_when=asyncio.FIRST_EXCEPTION)
            if talking.done() and (error := talking.exception()) is not None:
                self.trouble = str(error)
                self.legs[-1].hang_up()
            self.outcome = await call
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
        if self.outcome != "hangup":
            await self.ask("hangup", {"uuid": str(self.plan.call_id), "cause": "16"})

    def timeline(self, since: float = 0.0) -> str:
        """What happened, for whoever looks for the reason of a trouble."""
        heard = [
            (s.began, f"leg {s.leg}: {s.text} ({s.heard}/{s.frames}, to {s.ended - since:.2f})") for s in self.sentences
        ]
        heard += [(leg.ended_at, f"leg {n} ends: {leg.outcome}") for n, leg in enumerate(self.legs) if leg.ended_at]
        heard += [(at, f"keyed {self.codes[place]}") for place, at in self.keyed]
        return "\n".join(
            [f"{self.number} {self.plan.trail}", *(f"  {at - since:8.2f} {what}" for at, what in sorted(heard))]
        )

    def expected(self) -> list[list[str]]:
        """The sentences of each turn, the first one before any code; as far as they wanted to hear."""
        number, turns = self.number, [[hello(self.number), question(self.number, "none")]]
        said = {"1": echo, "2": long, "3": answer}
        for code in self.codes if self.hangs_up_at is None else self.codes[: self.hangs_up_at]:
            if code.startswith("9"):
                turns.append([bye(number, code)])
                continue
            found = said[code[0]](number, code)
            turns.append([*([found] if isinstance(found, str) else found), question(number, code)])
        return turns

    async def _talk(self) -> None:
        while not (self.codes and self.codes[-1].startswith("9") and self.at == len(self.codes)):
            leg = await self._asked(self.at)
            await asyncio.sleep(self.pause)
            if len(self.codes) == self.at:
                kind = "bye" if self.may_go.is_set() else self.kinds[self.at % len(self.kinds)]
                self.codes.append(code_of(kind, self.at + 1))
            if leg.over.is_set() or not await self._key(leg, self.codes[self.at]):
                continue  # the line went; they are asked again
            self.keyed.append((self.at, time.monotonic()))
            if self.at == self.hangs_up_at:
                await asyncio.sleep(self.pause)
                self.legs[-1].hang_up()
                return
            self.at += await self._is_answered(self.codes[self.at], len(self.legs))

    async def _asked(self, place: int) -> HearingLeg:
        """When the question has been heard whole, and nothing after it, on the leg that there is now."""
        wanted = question(self.number, self.codes[place - 1] if place else "none")
        began = time.monotonic()
        while True:
            leg = self.legs[-1] if self.legs else None
            if leg is not None and not leg.over.is_set() and leg.sentences:
                last = leg.sentences[-1]
                if last.is_whole and last.text == wanted:
                    return leg
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise AssertionError(f"{self.number} was not asked after {PATIENCE_SECONDS:g} s: {self._heard_last()}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _key(self, leg: HearingLeg, code: str) -> bool:
        for key in f"{code}#":
            if leg.over.is_set():
                return False
            await leg.press(key)
            await asyncio.sleep(KEY_PAUSE_SECONDS)
        return True

    async def _is_answered(self, code: str, legs: int) -> bool:
        """Whether anything was said about it; on a new leg they may be asked for it again instead."""
        wanted = question(self.number, self.codes[self.at - 1] if self.at else "none")
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE_SECONDS:
            if any(code in sentence.text for leg in self.legs[legs - 1 :] for sentence in leg.sentences):
                return True
            if any(s.is_whole and s.text == wanted for leg in self.legs[legs:] for s in leg.sentences):
                return False
            await asyncio.sleep(LOOK_SECONDS)
        raise AssertionError(f"{self.number} got no answer to {code}: {self._heard_last()}")

    def _heard_last(self) -> str:
        heard = [f"{s.text} ({s.heard}/{s.frames}, leg {s.leg})" for s in self.sentences[-3:]]
        return f"{heard}; {self.plan.trail[-6:]}"


@dataclass(frozen=True, slots=True)
class Blow:
    """What was done to a voice process; monotonic seconds."""

    kind: Literal["replaced", "killed"]
    at: float


@dataclass
class Account:
    """What many people heard, added up; lists name the people."""

    dropped: list[str] = field(default_factory=list)
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
        names = ("dropped", "foreign", "twice", "left_out", "cut", "keyed_in_vain", "transcript", "faults")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


def account(
    people: Sequence[Person], blows: Sequence[Blow], transcripts: Mapping[uuid.UUID, list[tuple[str, str]]]
) -> Account:
    """Go through everything that everybody heard."""
    found = Account()
    for person in people:
        if person.trouble or person.outcome != ("done" if person.hangs_up_at is None else "hangup"):
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
            is_new_leg, leg = sentence.leg != leg, sentence.leg
            if not self._is_own(sentence) or (self.person.hangs_up_at is not None and self.at >= len(self.plan)):
                continue  # what bridges a silence, and the answer they did not wait for
            if self.at < len(self.plan) and sentence.text == self.plan[self.at][1]:
                self._take(sentence)
            elif self._goes_elsewhere(sentence, is_new_leg):
                self._take(sentence)
        if self.at < len(self.plan):
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


async def curl(client: httpx2.AsyncClient, path: str, query: dict[str, str]) -> str:
    """As the dialplan asks: after two seconds, or when nobody is there, the answer is empty."""
    try:
        async with asyncio.timeout(CURL_SECONDS):
            return (await client.get(path, params=query)).text.strip()
    except (TimeoutError, httpx2.TransportError):
        return ""


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


def person(
    number: int,
    kinds: Sequence[Kind],
    ask: Ask,
    port: int,
    mouths: Mouths,
    *,
    pause: float,
    hangs_up_at: int | None = None,
) -> Person:
    """One who gives codes of these kinds."""

    async def asked(path: str, query: dict[str, str]) -> str:
        for _ in range(ANNOUNCEMENTS if path == "announce" else 1):
            if (answer := await ask(path, query)) or path != "announce":
                break
            await asyncio.sleep(0.25)
        if path == "announce" and answer != "ok":
            raise AssertionError(f"the call was not taken: {answer or 'nobody answered'}")
        return answer

    async def dial(whom: str) -> str:
        return "CHANUNAVAIL"

    plan = Dialplan(asked, lambda: port, dial, telephone=Telephone(HearingLeg, mouths))
    return Person(str(number), kinds, ask, plan, pause, hangs_up_at)
