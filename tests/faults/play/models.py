"""The model's maker fails in every way that vendors fail."""

from __future__ import annotations

import asyncio

from tests.faults.flows import TOKEN, document
from tests.faults.hands import Hands
from tests.faults.history import History
from tests.faults.plan import Shape
from tests.faults.stage import Stage, p95
from tests.faults.system import Layout

FALLBACK_P95_SECONDS = 12.0
STEP_SECONDS = 10
MODES = (("server_error", 0.0), ("hang", 0.0), ("slow_first_token", 60.0), ("cut", 0.0), ("invalid_json", 0.0))


async def model_fails(stage: Stage) -> None:
    """F10. The step gives up after ten seconds; its fall-back text is the answer then."""
    each = stage.size("seconds of each failure", 8, 30, promised=60)
    shape = Shape(
        conversations=stage.size("conversations", 25, 60), turns=stage.size("turns", 32, 90), flags={"model": 1.0}, pause=1.5, bye=0.0,
        mix={"api": 0.5, "chat": 0.5},
    )  # fmt: skip

    async def deeds(stage: Stage, hands: Hands) -> None:
        await asyncio.sleep(3.0)
        with hands.noted("model fails"):
            for kind, seconds in MODES:
                await stage.system.vendor_mode(kind, seconds=seconds)
                await asyncio.sleep(each)
            await stage.system.vendor_mode("ok")
            await asyncio.sleep(1.0)

    history = await stage.play(Layout(flow=document(model_seconds=STEP_SECONDS)), shape, deeds)
    fallbacks, partial = _fallbacks(history)
    stage.result.figures["fall-backs"] = len(fallbacks)
    stage.result.gate("fall-back p95, s", p95(fallbacks or [0.0]), "<=", FALLBACK_P95_SECONDS)
    stage.result.figures["longest fall-back, s"] = max(fallbacks, default=0.0)
    stage.result.gate("half an answer shown as a whole one", partial, "==", 0)
    at_once, later = _calls_while_failing(history)
    stage.result.figures["calls that were out when the fifth failed"] = at_once
    stage.result.gate("calls made after that", later, "<=", 5 + 2)
    stage.result.gate("seconds until it is asked again", _asked_again_after(history), "<=", 32)
    stage.result.note = (
        "calls made after the fifth failure: five of the other web process, which finds out for itself, and one try of each after "
        "the pause; chat only, no voice here"
    )


def _fallbacks(history: History) -> tuple[list[float], int]:
    """Seconds of turns that were answered by the fall-back; answers of the model that are not whole."""
    partial, fell_back = 0, set()
    for entry in history.noted("received"):
        mark = TOKEN.search(entry["text"])
        if mark is not None and entry["text"].endswith("] fallback"):
            fell_back.add((entry["name"], int(mark["turn"])))
    for message in history.messages:
        text = message["text"]
        partial += message["role"] == "agent" and text.startswith("Answer") and TOKEN.search(text) is None
    seconds = [e["seconds"] for e in history.noted("complete") if (e["name"], e["turn"]) in fell_back]
    return seconds, partial


def _calls_while_failing(history: History) -> tuple[int, int]:
    """Calls that the vendor saw in its first failing mode: until half a second after the fifth, and later ones. Those
    that are out when the fifth fails cannot be called back: all who talk may have asked in the same moment."""
    modes = [e for e in history.vendor if e["kind"] == "mode"]
    first, second = modes[0]["at"], modes[1]["at"]
    made = sorted(e["at"] for e in history.vendor if e["kind"] == "accepted" and first <= e["at"] < second)
    fifth = made[min(4, len(made) - 1)] if made else 0.0
    at_once = sum(at <= fifth + 0.5 for at in made)
    return at_once, len(made) - at_once


def _asked_again_after(history: History) -> float:
    """Seconds from the vendor's recovery to the first call."""
    back = [e["at"] for e in history.vendor if e["kind"] == "mode"][-1]
    later = [e["at"] for e in history.vendor if e["kind"] == "accepted" and e["at"] > back]
    return round(later[0] - back, 2) if later else 999.0
