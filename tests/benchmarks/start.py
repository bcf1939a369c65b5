"""How long it takes from `up` to the first working dialogue, and what the idle product weighs: memory and first page."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import psutil
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from tests.benchmarks.figures import Report, parser
from tests.end_to_end.whole.conftest import CHROMIUM, FLAGS, OWNER
from tests.end_to_end.whole.stack import REPOSITORY, Stack

STARTS = 3
CALM_SECONDS = 10.0
SCRIPT = ("./patchcord",)


def main(arguments: Sequence[str]) -> int:
    """Measure and report."""
    options = parser("start")
    options.add_argument("--clone", action="store_true", help="also a fresh clone with its own packages and screens")
    options.add_argument("--cold", action="store_true", help="the clone downloads every package anew")
    chosen, _ = options.parse_known_args(arguments)
    report = measure(chosen)
    return report.show([a for a in arguments if a in ("--json", "--check")])


def measure(chosen: argparse.Namespace) -> Report:
    """Everything, on data folders of its own."""
    report = Report("start")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        if chosen.clone or chosen.cold:
            _clone(report, Path(place), browser, is_cold=chosen.cold)
        _empty_folder(report, Path(place) / "data", browser)
        browser.close()
    report.goal("second_start_s", "<=", 3)
    report.goal("idle_memory_mb", "<=", 400)
    report.goal("first_page_kb", "<=", 500)
    goal = "first_dialogue_from_clone_s" if "first_dialogue_from_clone_s" in report.figures else "first_dialogue_s"
    report.goal(goal, "<=", 120)
    load = os.getloadavg()[0]
    report.notes.append(
        f"The scripted person creates the owner, an agent from a template, publishes it and is answered on its page, in "
        f"Chromium on the same machine. Second start: median of {STARTS}. Load of the machine at the end: {load:.1f}."
    )
    return report


def _clone(report: Report, place: Path, browser: Browser, *, is_cold: bool) -> None:
    """`git clone` of what is committed here, with a virtual environment of its own."""
    tree = place / "clone"
    began = time.monotonic()
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(tree)], check=True)
    extra = {"UV_CACHE_DIR": str(place / "uv"), "npm_config_cache": str(place / "npm")} if is_cold else {}
    extra |= {"PYTHONPATH": ""}
    stack = Stack(place / "clone-data", environment=extra, command=SCRIPT, folder=tree)
    stack.forget_screens()
    stack.start()
    try:
        report.figures["ready_from_clone_s"] = time.monotonic() - began
        first_dialogue(browser, stack.url)
        report.figures["first_dialogue_from_clone_s"] = time.monotonic() - began
        report.notes.append("The clone's packages came from " + ("the network." if is_cold else "a warm cache."))
    finally:
        stack.stop()
    shutil.rmtree(tree, ignore_errors=True)


def _empty_folder(report: Report, data: Path, browser: Browser) -> None:
    """Packages and screens are there; the data folder is empty."""
    stack = Stack(data)
    began = time.monotonic()
    stack.start()
    try:
        report.figures["ready_s"] = time.monotonic() - began
        report.figures["first_page_kb"] = first_page_bytes(browser, stack.url) / 1000
        first_dialogue(browser, stack.url)
        report.figures["first_dialogue_s"] = time.monotonic() - began
    finally:
        stack.stop()
    times = []
    for last in range(STARTS):
        stack = Stack(data)
        began = time.monotonic()
        stack.start()
        times.append(time.monotonic() - began)
        if last == STARTS - 1:
            time.sleep(CALM_SECONDS)
            _memory(report, stack)
            report.yardsticks["live_probe_ms"] = _probe(stack.url)
        stack.stop()
    report.figures["second_start_s"] = statistics.median(times)


def _memory(report: Report, stack: Stack) -> None:
    """Proportional set size: shared pages are counted once over all processes."""
    parts = {"web": 0.0, "worker": 0.0, "postgres": 0.0, "supervisor": 0.0}
    for process in [psutil.Process(stack.process.pid), *psutil.Process(stack.process.pid).children(recursive=True)]:
        name = process.cmdline()[-1] if process.cmdline()[-2:-1] == ["graph_runtime"] else process.name()
        kind = name if name in parts else "postgres" if name.startswith("postgres") else "supervisor"
        parts[kind] += process.memory_full_info().pss / 1e6
    for kind, size in parts.items():
        report.figures[f"idle_{kind}_mb"] = size
    report.figures["idle_memory_mb"] = sum(parts.values())


def _probe(url: str) -> float:
    found = []
    for _ in range(50):
        began = time.perf_counter()
        urllib.request.urlopen(f"{url}/health/live", timeout=5).close()
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found)


def first_page_bytes(browser: Browser, url: str) -> float:
    """Bytes on the wire of the first page of somebody who has never been here."""
    context = browser.new_context()
    page = context.new_page()
    session: CDPSession = context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(float(event["encodedDataLength"])))
    page.goto(url, wait_until="networkidle")
    page.wait_for_selector("[data-testid=create-owner]")
    context.close()
    return sum(sizes)


def first_dialogue(browser: Browser, url: str) -> None:
    """From the first page to an agent's answer to a client, without any key."""
    context = browser.new_context(locale="en-US", viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(url)
    for name, value in OWNER.items():
        page.fill(f"input[name={name}]", value)
    page.click("[data-testid=create-owner]")
    page.get_by_test_id("create-agent").click()
    page.locator("#agent-name").fill("First")
    page.get_by_test_id("create-submit").click()
    page.get_by_test_id("board").wait_for()
    page.get_by_test_id("publish-button").click()
    page.get_by_test_id("publish-now").click()
    page.get_by_test_id("published").wait_for()
    address = page.get_by_test_id("published").locator("a[href^='/chat/']").get_attribute("href")
    _talk(context.new_page(), f"{url}{address}")
    context.close()


def _talk(page: Page, address: str) -> None:
    page.goto(address)
    said = page.locator("#log .agent .bubble")
    said.first.wait_for()
    page.locator("#composer textarea:not([disabled])").wait_for()
    before = said.count()
    option = page.locator("#log .option")
    if option.count():
        option.first.click()
    else:
        page.locator("#composer textarea").fill("Olena")
        page.locator("#composer textarea").press("Enter")
    page.wait_for_function("(n) => document.querySelectorAll('#log .agent .bubble').length > n", arg=before)


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
