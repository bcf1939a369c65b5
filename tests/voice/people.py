"""Callers who key in codes and account for every word they hear: who was left out, who heard a thing twice, whose call ended.

Their agent speaks with `readable_speech`, so that a hundred of them cost little and nothing depends on a recogniser.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import httpx2

from tests.phone_world import phone_flow
from tests.voice.asterisk_stand_in import Ask, Dialplan, Leg, Mouths, Profile, Telephone
from tests.voice.readable_speech import read

KEY_PAUSE_SECONDS: Final = 0.06
LOOK_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 90.0
ANNOUNCEMENTS: Final = 5
CURL_SECONDS: Final = 2.0
PARTS: Final = ("one", "two", "three", "four", "five", "six")

Kind = Literal["echo", "long", "model", "bye"]
_FIRST: Final[dict[Kind, int]] = {"echo": 100_000, "long": 200_000, "model": 300_000, "bye": 900_000}


def flow(*, has_model: bool) -> dict[str, Any]:
    """Asks for one code after another; what the code begins with decides what is said to it."""

    def at_least(kind: Kind) -> dict[str, Any]:
        when = {"left": {"ref": "var.code"}, "op": "gte", "right": {"value": _FIRST[kind]}}
        return {"id": kind, "label": kind, "when": when}

    kinds: tuple[Kind, ...] = ("bye", *(("model",) if has_model else ()), "long")
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
        """When the question has been heard whole, and nothing of the flow after it, on the leg that there is now."""
        wanted = question(self.number, self.codes[place - 1] if place else "none")
        began = time.monotonic()
        while True:
            leg = self.legs[-1] if self.legs else None
            if leg is not None and not leg.over.is_set():
                # “One second” and its kin say nothing.
                last = next((s for s in reversed(leg.sentences) if "aller" in s.text), None)
                if last is not None and last.is_whole and last.text == wanted:
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


async def curl(client: httpx2.AsyncClient, path: str, query: dict[str, str]) -> str:
    """As the dialplan asks: after two seconds, or when nobody is there, the answer is empty."""
    try:
        async with asyncio.timeout(CURL_SECONDS):
            return (await client.get(path, params=query)).text.strip()
    except (TimeoutError, httpx2.TransportError):
        return ""


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
        answer = await ask(path, query)
        for _ in range(ANNOUNCEMENTS - 1):
            if answer or path != "announce":
                break
            await asyncio.sleep(0.25)
            answer = await ask(path, query)
        if path == "announce" and answer != "ok":
            raise AssertionError(f"the call was not taken: {answer or 'nobody answered'}")
        return answer

    async def dial(whom: str) -> str:
        return "CHANUNAVAIL"

    plan = Dialplan(asked, lambda: port, dial, telephone=Telephone(HearingLeg, mouths))
    return Person(str(number), kinds, ask, plan, pause, hangs_up_at)
