"""How many phone calls one core carries, and what a caller waits for besides engines: `./patchcord bench calls`.

`--only media` climbs to the number of calls with which frames are not even any more; `--only memory` measures what a whole
call holds; `--only waits` measures single calls with everything the product does. `--calls N` tries that number alone, for a
look at where the time goes. `--only hour --minutes N`
holds calls of which some end and some begin all the time, and says what has grown.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from graph_runtime.places import REPOSITORY
from tests.benchmarks.figures import Report, parser

JITTER_MS = 5.0
SECONDS = {"whole": 12.0}
USUAL_SECONDS = 6.0
STEPS = {
    "streams": (100, 200, 300, 400, 500, 600, 700),
    "plain": (1, 100, 500, 900, 1200, 1400, 1600),
    "neural_on_all": (1, 100, 300, 500, 550, 600),
    "neural": (500, 700),
    "whole": (100, 300, 500, 600),
}
"""Calls that are tried, in order, until the frames are not even any more."""

ENDPOINT_MS = 400
MEMORY_CALLS = (100, 300)
MEMORY_ROUNDS = 3
MEMORY_SECONDS = 16.0
"""Two rounds of what a caller says and hears."""


@dataclass(frozen=True)
class Run:
    """What one number of calls gave."""

    calls: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    frames: float
    """Share of the frames that were due."""
    lost_calls: float
    cpu: float
    """Of the server's core, while it was measured."""
    load_cpu: float
    seen: dict[str, float] = field(default_factory=dict)
    """What the callers and the server noticed besides."""

    @property
    def is_even(self) -> bool:
        """Whether people would hear nothing amiss."""
        return self.p99_ms <= JITTER_MS and self.frames >= 0.995 and self.lost_calls == 0


def main(arguments: Sequence[str]) -> int:
    """Measure and report."""
    options = parser("calls")
    options.add_argument("--only", choices=("media", "memory", "waits", "hour"), help="measure this alone")
    options.add_argument("--calls", type=int, default=0, help="try this number of calls alone")
    options.add_argument("--minutes", type=int, default=60, help="how long --only hour takes")
    wanted = options.parse_args(arguments)
    report = Report("calls")
    if wanted.only in (None, "media"):
        _media(report, dict.fromkeys(STEPS, (wanted.calls,)) if wanted.calls else STEPS)
    if wanted.only in (None, "memory"):
        _memory(report, (wanted.calls,) if wanted.calls else MEMORY_CALLS)
    if wanted.only in (None, "waits"):
        _waits(report)
    if wanted.only == "hour":
        _hour(report, wanted.calls or 100, wanted.minutes)
    report.notes.append(f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    return report.show([a for a in arguments if a in ("--json", "--check")])


def _media(report: Report, steps: dict[str, tuple[int, ...]]) -> None:
    runs = {kind: _climb(kind, numbers) for kind, numbers in steps.items()}
    for kind, found in runs.items():
        capacity = float(max((r.calls for r in found if r.is_even), default=0))
        target = report.yardsticks if kind == "streams" else report.figures
        target[f"{kind}_calls_per_core"] = capacity
        for run in found:
            key = f"{kind}_{run.calls}"
            target[f"{key}_jitter_p99_ms"] = run.p99_ms
            target[f"{key}_jitter_p999_ms"] = run.p999_ms
            target[f"{key}_cpu_ratio"] = run.cpu
            for name, value in run.seen.items():
                target[f"{key}_{name}"] = value
    report.figures["plain_to_streams_ratio"] = report.figures["plain_calls_per_core"] / max(
        report.yardsticks["streams_calls_per_core"], 1
    )
    even = [r for r in runs["whole"] if r.is_even] or runs["whole"]
    report.figures["whole_answer_over_endpoint_p95_ms"] = even[-1].seen.get("answer_p95_ms", 1e6) - ENDPOINT_MS
    report.figures["whole_silence_p95_ms"] = even[-1].seen.get("silence_p95_ms", 1e6)
    report.goal("neural_on_all_calls_per_core", ">=", 500)
    report.goal("whole_calls_per_core", ">=", 500)
    report.goal("whole_silence_p95_ms", "<=", 250)
    report.goal("plain_calls_per_core", ">=", 1200)
    load = max(r.load_cpu for found in runs.values() for r in found)
    report.notes.append(
        f"Server and load each on a core of their own; {USUAL_SECONDS:g} s per number of calls after the ramp; the load took "
        f"up to {load:.0%} of its core. plain, neural: each caller and we speak all the time. neural_on_all asks the model about "
        "every window; neural leaves out what is too quiet. whole: calls as the voice process holds them, with dialogue, echo "
        "gate and turns; callers speak, are answered and interrupt every second answer; services and engines answer from "
        "memory. streams: an echo server on asyncio streams."
    )


def _climb(kind: str, numbers: Sequence[int]) -> list[Run]:
    """Up to the first number of calls that is too many; that one is tried twice."""
    found: list[Run] = []
    for calls in numbers:
        run = _measure(kind, calls)
        if not run.is_even:
            again = _measure(kind, calls)
            run = min(run, again, key=lambda r: r.p99_ms)
        found.append(run)
        print(
            f"{kind} {calls}: p99 {run.p99_ms:.2f} ms, {run.frames:.1%} of the frames, {run.cpu:.0%} of the core {run.seen}",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        if not run.is_even:
            break
    return found


def _measure(kind: str, calls: int) -> Run:
    seconds = SECONDS.get(kind, USUAL_SECONDS)
    talks = ["talks"] if kind == "whole" else []
    with _server(kind) as server:
        port = int(_line(server))
        with _process("_call_load", str(port), str(calls), str(seconds), *talks, core=-1) as load:
            _ask(server, "freeze")
            assert _line(load) == "begins\n"
            before = _ask(server, "freeze")
            measured = json.loads(_line(load))
            after = _ask(server, "figures")  # calls that end would be counted, too
            load.communicate(timeout=30)
    noticed = ("answers", "answer_p50_ms", "answer_p95_ms", "silences", "silence_p50_ms", "silence_p95_ms")
    seen = {name: measured[name] for name in noticed if measured.get(name)}
    told = ("underruns", "interruptions", "false_interruptions")
    seen |= {name: after[name] - before[name] for name in told if name in after}
    return Run(
        calls=calls,
        p50_ms=measured["p50_ms"],
        p99_ms=measured["p99_ms"],
        p999_ms=measured["p999_ms"],
        frames=measured["frames"],
        lost_calls=measured["lost_calls"],
        cpu=(after["cpu"] - before["cpu"]) / (after["at"] - before["at"]),
        load_cpu=measured["own_cpu"],
        seen=seen,
    )


def _memory(report: Report, numbers: Sequence[int]) -> None:
    """What whole calls add to a process that was ready for them, each number in processes of its own, in turns."""
    found: dict[int, list[dict[str, float]]] = {number: [] for number in numbers}
    for _ in range(MEMORY_ROUNDS):
        for number, rounds in found.items():
            rounds.append(_held(number))
            print(f"{number} whole calls: {rounds[-1]}", file=sys.stderr, flush=True)
    for number, rounds in found.items():
        for name in rounds[0]:
            report.figures[f"memory_{number}_{name}"] = median(r[name] for r in rounds)
    report.figures["rss_per_call_kb"] = max(report.figures[f"memory_{n}_rss_per_call_kb"] for n in numbers)
    report.goal("rss_per_call_kb", "<=", 60)
    report.notes.append(
        f"Memory: medians of {MEMORY_ROUNDS} processes, {MEMORY_SECONDS:g} s of whole calls after the ramp; nothing is collected "
        "or given back for the look. Time passes when all is done that was due, so a slow machine measures the same calls. "
        "frame: processor time of the server for one call and 20 ms, without waiting for time to pass."
    )


def _held(calls: int) -> dict[str, float]:
    """What so many calls add to a process, and what they cost it."""
    with _server("whole", "steps") as server:
        port = int(_line(server))
        _ask(server, "freeze")  # as the voice process does before it lets calls in, and never again
        empty = _ask(server, "figures")
        with _process("_call_load", str(port), str(calls), str(MEMORY_SECONDS), "talks", "steps", core=-1) as load:
            while (line := _line(load)) != "begins\n":
                _pass(server, load, line)
            begun = _ask(server, "figures")
            while not (line := _line(load)).startswith("{"):
                _pass(server, load, line)
            full = _ask(server, "figures")
            load.communicate(timeout=30)
    return {
        "rss_per_call_kb": (full["rss"] - empty["rss"]) / calls / 1000,
        "frame_us": (full["stepped_cpu"] - begun["stepped_cpu"]) / calls / MEMORY_SECONDS / 50 * 1e6,
        "answers": full["answers"],
    }


def _pass(server: subprocess.Popen[str], load: subprocess.Popen[str], at: str) -> None:
    """Tell the server what time it is, and the load that everything has happened."""
    _write(server, at)
    _line(server)
    _write(load, "\n")


def _hour(report: Report, calls: int, minutes: int) -> None:
    told: list[dict[str, float]] = []
    with _server("whole") as server:
        port = int(_line(server))
        _ask(server, "freeze")  # as the voice process does
        with _process("_call_turnover", str(port), str(calls), str(minutes), core=-1) as load:
            for minute in range(1, minutes + 1):
                told.append(json.loads(_line(load)) | _ask(server, "figures"))
                print(f"minute {minute}: {told[-1]}", file=sys.stderr, flush=True)
            load.wait(timeout=30)
    # Of the first tenth the first minute does not count: caches fill, and Python's own memory.
    share = max(1, minutes // 10)
    begin, end = told[min(1, minutes - 1) :][:share], told[-share:]
    for name, minutes_of in (("begin", begin), ("end", end)):
        for key, unit in (("p99_ms", "jitter_p99"), ("p999_ms", "jitter_p999")):
            report.figures[f"hour_{unit}_{name}_ms"] = max(one[key] for one in minutes_of)
        report.figures[f"hour_rss_{name}_mb"] = max(one["rss"] for one in minutes_of) / 1e6
    report.figures |= {
        "hour_minutes": minutes, "hour_calls_at_once": calls, "hour_calls_begun": told[-1]["begun"],
        "hour_lost_calls": told[-1]["lost_calls"], "hour_underruns": told[-1]["underruns"],
        "hour_rss_growth_ratio": report.figures["hour_rss_end_mb"] / report.figures["hour_rss_begin_mb"],
        "hour_cpu_ratio": (told[-1]["cpu"] - told[0]["cpu"]) / max(told[-1]["at"] - told[0]["at"], 1),
    }  # fmt: skip
    report.goal("hour_rss_growth_ratio", "<=", 1.05)
    report.goal("hour_lost_calls", "<=", 0)
    report.goal("hour_jitter_p99_end_ms", "<=", JITTER_MS)


def _waits(report: Report) -> None:
    with _process("_call_waits", core=None) as waits:
        report.figures |= json.loads(_line(waits))
        waits.wait(timeout=60)
    report.figures["thinking_ahead_gain_ms"] = (
        report.figures["model_answer_p50_ms"] - report.figures["model_answer_ahead_p50_ms"]
    )
    report.goal("thinking_ahead_gain_ms", ">=", 150)
    report.goal("engine_overhead_p95_ms", "<=", 40)
    report.goal("interruption_silence_p95_ms", "<=", 250)
    report.goal("long_answer_gap_p99_ms", "<=", 25)
    report.goal("long_answer_underruns", "<=", 0)
    if "offline_answer_p95_ms" in report.figures:
        report.goal("offline_answer_p95_ms", "<=", ENDPOINT_MS + 150)
    report.notes.append(
        "Waits: services, PostgreSQL and callers on the same cores. engine_overhead: from the silence that ends a turn to the "
        "first frame of the answer, with a recogniser and a voice that need no time. offline_answer: from the last frame of "
        f"“yes” to the first of the answer, with the voice without keys and {ENDPOINT_MS} ms of end-pointing. model_answer: the "
        "same with a model that says its first word after 300 ms, asked at the hard end; model_answer_ahead: asked at the soft one."
    )


@contextlib.contextmanager
def _server(kind: str, *how: str) -> Iterator[subprocess.Popen[str]]:
    with _process("_call_server", kind, *how, core=0) as server:
        try:
            yield server
        finally:
            server.kill()


def _process(module: str, *arguments: str, core: int | None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OPENBLAS_NUM_THREADS": "1"},  # as the voice process has it
    )
    if core is not None and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(process.pid, {cores[core]})
    with contextlib.suppress(PermissionError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, process.pid, -10)
    return process


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _write(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def _ask(process: subprocess.Popen[str], what: str) -> dict[str, float]:
    _write(process, what + "\n")
    found: dict[str, float] = json.loads(_line(process))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
