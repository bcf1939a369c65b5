"""`./patchcord faults`: plays scenarios one after another, stores their histories, prints the table."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import random
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graph_runtime.places import REPOSITORY
from tests.faults.kept import KEPT, keep, kept, shown
from tests.faults.result import Layout, Result, markdown, table
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.stage import Stage

RESULTS = REPOSITORY / "test-results" / "faults"
PAGE = REPOSITORY / "docs" / "faults.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    options = argparse.ArgumentParser(prog="./patchcord faults", description="The proof of delivery (docs/faults.md).")
    options.add_argument("--full", action="store_true", help="the numbers of the promise; hours")
    options.add_argument("--redis", action="store_true", help="workers run the turns, a Redis wakes them")
    options.add_argument("--seed", type=int, default=0, help="plays the same faults again (0: a new seed)")
    options.add_argument("--only", default="", metavar="F1,F4", help="only these")
    options.add_argument(
        "--resume",
        action="store_true",
        help=f"skip what has passed with this size and layout, of full runs with this seed when it is given ({KEPT.name}/)",
    )
    options.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options.add_argument("--results", type=Path, default=RESULTS, help=f"where histories go (now {RESULTS.name}/)")
    options.add_argument(
        "--write-docs", action="store_true", help="put the kept result of each fault into docs/faults.md"
    )
    return options


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 when a gate is missed or an invariant broken."""
    options = parser().parse_args(arguments)
    logging.disable(logging.CRITICAL)
    run = Run(
        options.seed or random.SystemRandom().randrange(1, 1_000_000), options.results,
        full=options.full, redis=options.redis, resume=options.resume, of_any_seed=not options.seed,
    )  # fmt: skip
    wanted = {name.strip().upper() for name in options.only.split(",") if name.strip()}
    unknown = wanted - {s.id for s in SCENARIOS}
    if unknown:
        print(f"No such fault: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    results = []
    for scenario in SCENARIOS:
        if (wanted and scenario.id not in wanted) or (scenario.needs_redis and not run.redis):
            continue
        results.append(run.play(scenario))
        print(table(results[-1:]), file=sys.stderr if options.json else sys.stdout, flush=True)
    report = {
        "seed": run.seed, "full": run.full, "layout": run.layout, "commit": run.commit,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "results": results,
    }  # fmt: skip
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / f"report-{run.name}.json").write_text(json.dumps(report, indent=1, ensure_ascii=False), "utf-8")
    if options.write_docs:
        write_page(latest(KEPT))
    failed = [r["id"] for r in results if r["status"] == "failed"]
    if options.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        print(
            f"seed {run.seed}, {run.layout}: {len(results)} scenarios, failed: {', '.join(failed) or 'none'}."
            f" Histories: {options.results}"
        )
    return int(bool(failed))


class Run:
    """Plays scenarios with one seed, size and layout. What ended is stored before the next begins."""

    def __init__(
        self,
        seed: int,
        results: Path,
        *,
        full: bool,
        redis: bool,
        resume: bool = False,
        kept: Path = KEPT,
        of_any_seed: bool = False,
    ) -> None:
        self.seed = seed
        self.results = results
        self.kept = kept
        self.full = full
        self.redis = redis
        self.layout: Layout = "redis" if redis else "embedded"
        self.commit = _commit()
        self._resume = resume
        self._of = None if of_any_seed else seed

    @property
    def name(self) -> str:
        """Tells its folders from those of other runs."""
        return f"{self.seed}-{self.layout}{'-full' if self.full else ''}"

    def play(self, scenario: Scenario) -> dict[str, Any]:
        """One scenario, from an empty folder, as `Result.as_json`; whatever goes wrong in it is its own result."""
        if scenario.play is None:
            return _without_result(scenario, self.layout)
        folder = self.results / f"{scenario.id}-{self.name}"
        earlier = kept(self.kept, scenario.id, self.layout, is_full=self.full, seed=self._of)
        if self._resume and earlier is not None and earlier["status"] == "passed":
            return earlier
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        load = round(os.getloadavg()[0], 1)
        now = datetime.now(UTC).isoformat(timespec="minutes")
        result = Result(
            scenario.id, scenario.title, self.seed, load=load, commit=self.commit, date=now, machine=machine()
        )
        began = time.monotonic()
        try:
            asyncio.run(scenario.play(Stage(result, folder, full=self.full, redis=self.redis)))
        except Exception as error:  # noqa: BLE001  # the other scenarios are still worth playing
            result.crashed = f"the harness stopped: {type(error).__name__}: {error}"
            (folder / "crash.txt").write_text(traceback.format_exc())
        result.seconds = round(time.monotonic() - began, 1)
        result.store(folder)
        if self.commit and not result.missing:
            keep(result.as_json(), self.kept)
        return result.as_json()


def _commit() -> str:
    """Of the code that is played, "+" where files were changed since; "" outside a repository."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return git("rev-parse", "--short=7", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def machine() -> str:
    """What it is played on."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def latest(folder: Path) -> list[dict[str, Any]]:
    """Of each fault and layout the kept results, in the order of the list."""
    layouts: tuple[Layout, ...] = ("embedded", "redis")
    return [
        result
        for s in SCENARIOS for layout in layouts
        if not (s.needs_redis and layout == "embedded")
        for result in shown(folder, s.id, layout) or [_without_result(s, layout)]
    ]  # fmt: skip


def _without_result(scenario: Scenario, layout: Layout) -> dict[str, Any]:
    result = Result(scenario.id, scenario.title, 0, layout=layout)
    result.missing = "not run" if scenario.play else "not built"
    result.note = scenario.missing or "no result is stored"
    return result.as_json()


def write_page(results: Sequence[dict[str, Any]]) -> None:
    """Put the table between the marks of docs/faults.md."""
    text = PAGE.read_text("utf-8")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    PAGE.write_text(f"{head}{BEGIN}\n{markdown(results)}\n{END}{tail}", "utf-8")
