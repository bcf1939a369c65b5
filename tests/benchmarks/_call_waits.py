"""What a caller waits for, measured at the wire: `python -m tests.benchmarks._call_waits` prints one JSON object.

Services, PostgreSQL, the voice process and its callers share this machine; the voice process is a part of this one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import uvloop
from pydantic import SecretStr

from connectors.offline_speech.speech import EspeakSynthesizer, SphinxTranscriber, missing
from graph_runtime import bootstrap, event_loop
from graph_runtime.contract.calls import Voice
from graph_runtime.contract.models import ModelEvent, ModelReply, ModelRequest, TextDelta
from graph_runtime.engine.models import ModelRunner
from graph_runtime.services.principal import Principal
from graph_runtime.services.turn_world import Outside
from graph_runtime.settings import Settings
from graph_runtime.storage import migrate
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.benchmarks.parts.whole_calls import Utterance
from tests.phone_world import Line, new_line, phone_flow
from tests.voice import sounds
from tests.voice.asterisk_stand_in import Leg
from tests.voice.fake_speech import FakeSynthesizer
from tests.voice.voice_world import VoiceProcess, until, voice_process
from voice.call import Call
from voice.house import SpeechParts
from voice.latency import Stamp
from voice.speaker import speech_of

CALLS = 4
TURNS = 14
OFFLINE_TURNS = 14
MODEL_TURNS = 14
FIRST_TOKEN_SECONDS = 0.3
ENDPOINT_MS = 400
SPEAKS_SECONDS = 1.2
"""Of an answer, before it is interrupted."""

ECHO_SECONDS = 0.8
ANSWER = sounds.voice(1000, seed=0, pitch=120, level_db=-18)
LONG = " ".join(f"This is sentence number {n}, and it goes on for a while, as the others do." for n in range(26))
"""60 s in the fake voice."""

OPTIONS = [{"id": "yes", "label": "Yes"}, {"id": "no", "label": "No"}]
TALKS = phone_flow(
    {
        "n_ask": ("ask", {"text": "Tell me more, please, and take all the time that you need for it, " * 3, "kind": "text"}),
        "n_set": ("set_variable", {"assignments": [{"id": "i_1", "save_to": "n", "kind": "text", "value": "heard"}]}),
    },
    {"n_start.next": "n_ask", "n_ask.answered": "n_set", "n_set.next": "n_ask"},
    variables={"n": {"type": "text", "label": "N"}},
)  # fmt: skip
ANSWERS = phone_flow(
    {
        "n_ask": ("ask", {"text": "Yes?", "kind": "text"}),
        "n_model": ("prompt", {"connection": "llm", "system": "Help.", "has_filler": False}),
    },
    {"n_start.next": "n_ask", "n_ask.answered": "n_model", "n_model.next": "n_ask", "n_model.error": "n_ask"},
    connections={"llm": {"kind": "chat_model", "label": "Model"}},
)  # fmt: skip
READS = phone_flow(
    {"n_say": ("say", {"text": LONG, "waits_to_end": True}), "n_end": ("hang_up", {})},
    {"n_start.next": "n_say", "n_say.finished": "n_end", "n_say.interrupted": "n_end"},
)
ASKS = phone_flow(
    {"n_ask": ("ask_choice", {"text": "Are you sure?", "options": OPTIONS})},
    {"n_start.next": "n_ask", "n_ask.yes": "n_ask", "n_ask.no": "n_ask", "n_ask.other": "n_ask"},
)


class Understands:
    """Whatever is said, at once."""

    provider = name = "at once"

    def listen(self, _: Any) -> Utterance:
        return Utterance()

    async def warm_up(self) -> None: ...
    async def aclose(self) -> None: ...


class Thinks:
    """A model that begins to answer after a while."""

    provider = name = "thinks"

    async def stream(self, _: ModelRequest) -> AsyncIterator[ModelEvent]:
        await asyncio.sleep(FIRST_TOKEN_SECONDS)
        yield TextDelta("So that is what you have said.")
        yield ModelReply("So that is what you have said.", model=self.name, provider=self.provider)


async def _model_answers(services: bootstrap.Services, who: Principal) -> dict[str, float]:
    """End of speech to the first frame of a model's answer, asked at the hard end and at the soft one, in turns."""

    async def models(*_: str) -> list[Thinks]:
        return [Thinks()]

    services.conversation_side.runner.world.outside = Outside(runner=ModelRunner(), models=models)
    times: dict[str, list[float]] = {"model_answer": [], "model_answer_ahead": []}
    async with voice_process(services, Understands(), FakeSynthesizer()) as process:
        calls = {}
        for name, thinks_ahead in (("model_answer", False), ("model_answer_ahead", True)):
            line = await new_line(services, who, ANSWERS, endpoint_ms=ENDPOINT_MS, thinks_ahead=thinks_ahead)
            calls[name] = await process.dial(line)
        for _ in range(MODEL_TURNS):
            for name, (leg, call) in calls.items():
                await until(lambda: call.turns.waits and not call.turns.we_speak)  # noqa: B023 (awaited here)
                await asyncio.sleep(ECHO_SECONDS)
                await leg.say(ANSWER)
                times[name].append(await _answered(leg))
        for leg, _ in calls.values():
            leg.hang_up()
    return _spread("model_answer", times["model_answer"]) | _spread("model_answer_ahead", times["model_answer_ahead"])


async def _answered(leg: Leg) -> float:
    """Milliseconds from the end of what was just said to the first sound."""
    ended = leg.spoke_at
    await until(lambda: leg.speech_began(after=ended) is not None)
    answered = leg.speech_began(after=ended)
    assert answered is not None
    return (answered - ended) * 1000


async def _talk(process: VoiceProcess, line: Line, found: dict[str, list[float]]) -> None:
    """One caller who interrupts every answer."""
    leg, call = await process.dial(line)
    for _ in range(TURNS):
        await _spoken_to(leg, call)
        began = time.monotonic()
        await leg.say(ANSWER)
        ended = leg.spoke_at
        silent = max(at for at, frame in leg.frames if at <= ended and any(frame))
        found["silence"].append((silent - began) * 1000)
        await until(lambda: leg.speech_began(after=ended + 0.15) is not None)  # noqa: B023 (awaited here)
        answered = leg.speech_began(after=ended + 0.15)
        assert answered is not None
        assert call._dialogue is not None
        moments = call._dialogue.latency.moments
        if Stamp.FIRST_FRAME not in moments:
            continue  # held to be no interruption: the answer before went on, and there is none to this
        found["answer"].append((answered - ended) * 1000)
        found["overhead"].append((moments[Stamp.FIRST_FRAME] - moments[Stamp.HARD_END]) * 1000)
    leg.hang_up()


async def _spoken_to(leg: Leg, call: Call) -> None:
    """Until the answer has been heard for a while."""
    await until(lambda: call.turns.we_speak and call.turns.waits)
    await asyncio.sleep(SPEAKS_SECONDS)


async def _listen(process: VoiceProcess, line: Line, found: dict[str, list[float]]) -> None:
    """A caller who hears a long answer to its end."""
    leg, call = await process.dial(line)
    async with asyncio.timeout(120):
        await leg.over.wait()
    assert call._playout is not None
    gaps = [(b[0] - a[0]) * 1000 for a, b in zip(leg.frames, leg.frames[1:], strict=False)]
    found["gaps"] += gaps
    found["underruns"].append(call._playout.counts.underruns)
    found["seconds"].append(sum(any(frame) for _, frame in leg.frames) / 50)


async def _offline(services: bootstrap.Services, who: Principal) -> list[float]:
    """End of “yes” to the first frame of the answer, with the voice that needs no keys."""
    hears, talks = SphinxTranscriber(), EspeakSynthesizer()
    await hears.warm_up()
    await talks.warm_up()
    line = await new_line(services, who, ASKS, endpoint_ms=ENDPOINT_MS)
    voice = Voice("en", "gmw/en-US", 0.9)
    said = b"".join([a async for a in speech_of("Yes", voice, 8000, SpeechParts(hears, talks), None)])
    loud = np.flatnonzero(np.abs(np.frombuffer(said, "<i2").astype(int)) > 400)
    said = said[loud[0] * 2 : loud[-1] * 2 + 2]
    times = []
    async with voice_process(services, hears, talks) as process:
        leg, call = await process.dial(line)
        for _ in range(OFFLINE_TURNS):
            await until(
                lambda: call.turns.waits and not call.turns.we_speak and any(any(f) for _, f in leg.frames[-200:])
            )
            await asyncio.sleep(ECHO_SECONDS)
            await leg.say(said)
            times.append(await _answered(leg))
        leg.hang_up()
    await hears.aclose()
    await talks.aclose()
    return times


async def _measure(url: str, folder: Path) -> dict[str, float]:
    settings = Settings(database_url=SecretStr(url), data_dir=folder, secret_key=SecretStr("for benchmarks only, " * 3))
    services = await bootstrap.build(settings, holds_calls=True)
    found: dict[str, list[float]] = {
        name: [] for name in ("silence", "answer", "overhead", "gaps", "underruns", "seconds")
    }
    try:
        session = await services.accounts.create_owner(
            workspace="Bench", name="Olena", email="olena@example.com", password="a tram that flies home", language="en"
        )  # fmt: skip
        who = await services.accounts.principal(session.token)
        talks = await new_line(services, who, TALKS, endpoint_ms=ENDPOINT_MS)
        reads = await new_line(services, who, READS)
        async with voice_process(services, Understands(), FakeSynthesizer()) as process, asyncio.TaskGroup() as group:
            event_loop.keep_what_stands()  # as the voice process does before it lets calls in
            group.create_task(_listen(process, reads, found))
            for _ in range(CALLS):
                group.create_task(_talk(process, talks, found))
                await asyncio.sleep(0.35)
        figures = _spread("engine_overhead", found["overhead"]) | _spread("interruption_silence", found["silence"])
        figures |= _spread("answer", found["answer"]) | _spread("long_answer_gap", found["gaps"], 99)
        figures |= {"long_answer_underruns": found["underruns"][0], "long_answer_seconds": found["seconds"][0]}
        figures["long_answer_gap_longest_ms"] = max(found["gaps"])
        figures |= await _model_answers(services, who)
        if not missing():
            figures |= _spread("offline_answer", await _offline(services, who))
        return figures
    finally:
        await services.close()


def _spread(name: str, times: list[float], high: int = 95) -> dict[str, float]:
    return {
        f"{name}_p50_ms": float(np.percentile(times, 50)), f"{name}_p{high}_ms": float(np.percentile(times, high)),
        f"{name}_count": float(len(times)),
    }  # fmt: skip


def main() -> None:
    """Measure and print, and nothing else on that way out."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data") as server:
        migrate.upgrade(server.admin_url)
        print(json.dumps(uvloop.run(_measure(server.app_url, Path(folder)))))


if __name__ == "__main__":
    main()
