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
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graph_runtime.places import REPOSITORY
from tests.faults.result import Result, markdown, table
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.stage import Stage

RESULTS = REPOSITORY / "test-results" / "faults"
PAGE = REPOSITORY / "docs" / "faults.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    options = argparse.ArgumentParser(prog="./patchcord faults", description="The proof of delivery (docs/faults.md).")
    options.add_argument("--full", action="store_true", help="the numbers of the promise; hours instead of minutes")
    options.add_argument("--seed", type=int, default=0, help="plays the same faults again (0: a new seed)")
    options.add_argument("--only", default="", metavar="F1,F4", help="only these")
    options.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options.add_argument("--results", type=Path, default=RESULTS, help=f"where histories go (now {RESULTS.name}/)")
    options.add_argument(
        "--write-docs", action="store_true", help="put the newest result of each fault into docs/faults.md"
    )
    return options


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 when a gate is missed or an invariant broken."""
    options = parser().parse_args(arguments)
    logging.disable(logging.CRITICAL)
    seed = options.seed or random.SystemRandom().randrange(1, 1_000_000)
    wanted = {name.strip().upper() for name in options.only.split(",") if name.strip()}
    unknown = wanted - {s.id for s in SCENARIOS}
    if unknown:
        print(f"No such fault: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    chosen = [s for s in SCENARIOS if not wanted or s.id in wanted]
    results = []
    for scenario in chosen:
        result = play(scenario, seed, options.results, full=options.full)
        results.append(result)
        print(table([result]), file=sys.stderr if options.json else sys.stdout, flush=True)
    report = {
        "seed": seed, "full": options.full, "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "results": [r.as_json() for r in results],
    }  # fmt: skip
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / f"report-{seed}.json").write_text(json.dumps(report, indent=1, ensure_ascii=False), "utf-8")
    (options.results / f"table-{seed}.md").write_text(markdown([r.as_json() for r in results]), "utf-8")
    if options.write_docs:
        write_page(latest(options.results))
    if options.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        failed = [r.id for r in results if r.status == "failed"]
        print(
            f"seed {seed}: {len(results)} scenarios, failed: {', '.join(failed) or 'none'}. Histories: {options.results}"
        )
    return int(any(r.status == "failed" for r in results))


def play(scenario: Scenario, seed: int, results: Path, *, full: bool) -> Result:
    """One scenario, from an empty folder; whatever goes wrong in it is its own result."""
    result = Result(scenario.id, scenario.title, seed)
    if scenario.play is None:
        return _without_result(scenario)
    folder = results / f"{scenario.id}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()
    try:
        asyncio.run(scenario.play(Stage(result, folder, full=full)))
    except Exception as error:  # noqa: BLE001  # the other scenarios are still worth playing
        result.crashed = f"the harness stopped: {type(error).__name__}: {error}"
        (folder / "crash.txt").write_text(traceback.format_exc())
    result.seconds = round(time.monotonic() - began, 1)
    result.store(folder)
    return result


def latest(results: Path) -> list[dict[str, Any]]:
    """The newest stored result of each fault, in the order of the list."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(results.glob("*/result.json"), key=lambda p: p.stat().st_mtime):
        stored = json.loads(path.read_text("utf-8"))
        found[stored["id"]] = stored
    return [found.get(s.id) or _without_result(s).as_json() for s in SCENARIOS]


def _without_result(scenario: Scenario) -> Result:
    result = Result(scenario.id, scenario.title, 0)
    result.missing = "not run" if scenario.play else "not built"
    result.note = scenario.missing or "no result is stored"
    return result


def write_page(results: Sequence[dict[str, Any]]) -> None:
    """Put the table between the marks of docs/faults.md."""
    text = PAGE.read_text("utf-8")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    PAGE.write_text(f"{head}{BEGIN}\n{markdown(results)}\n{END}{tail}", "utf-8")
