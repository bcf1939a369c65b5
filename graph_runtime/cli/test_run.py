"""Runs checks and tests in stages, quickest first, and stops at the first stage that fails."""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

from graph_runtime.cli import checks
from graph_runtime.cli.chromium import VARIABLE, NoChromium, ensure_chromium
from graph_runtime.places import REPOSITORY, keep_bytecode

SLOW_FOLDERS = ("end_to_end", "faults", "integration", "benchmarks")
"""Those with long files come first, so that at the end of a run no process works alone."""
SCREENS_FOLDER = "tests/end_to_end"
BYTECODE = REPOSITORY / "test-results" / "bytecode"
AT_ONCE = ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")
"""Three processes for two cores, each with servers of its own: tests wait half of their time. What stays together, and who has browsers,
is in `tests/scheduling.py`; files keep their order."""


def run(arguments: Sequence[str]) -> int:
    """Parse `[paths ...] [--fast | --screens] [--no-checks] [pytest options]` and run what they ask for."""
    parser = argparse.ArgumentParser(prog="patchcord test", add_help=False, allow_abbrev=False)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--fast", action="store_true")
    only.add_argument("--screens", action="store_true")
    parser.add_argument("--no-checks", action="store_true")
    options, for_pytest = parser.parse_known_args(arguments)
    paths_given = any(not argument.startswith("-") for argument in for_pytest)

    environment = dict(os.environ)
    keep_bytecode(environment, BYTECODE)
    if not options.fast:
        try:
            environment[VARIABLE] = ensure_chromium()
        except NoChromium as error:
            print(error, file=sys.stderr)
            return 1
    with contextlib.nullcontext() if options.fast or paths_given else _screens_built_meanwhile(environment):
        if not (options.no_checks or options.screens or paths_given):
            for name, command in checks.commands():
                if code := checks.stage(name, command):
                    print(f"Stopped: the check of {name} failed. Nothing after it was run.", flush=True)
                    return code
        paths = [] if paths_given else _chosen_paths(fast=options.fast, screens=options.screens)
        # One run of pytest, so that its last line counts everything; it ends soon after the first failures.
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--maxfail=10",
            *([] if paths_given else AT_ONCE),
            *for_pytest,
            *paths,
        ]
        return subprocess.run(
            command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, check=False
        ).returncode


@contextlib.contextmanager
def _screens_built_meanwhile(environment: Mapping[str, str]) -> Iterator[None]:
    """Build the screens, if need be, beside checks that use one core. Tests wait for it, or build again and say what is wrong."""
    build = subprocess.Popen(
        [sys.executable, "-P", "-m", "builder_ui.build"],
        cwd=REPOSITORY,
        env={**environment, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        if build.poll() is None:
            os.killpg(build.pid, signal.SIGTERM)  # npm and what it started as well
        build.wait()


def _chosen_paths(*, fast: bool, screens: bool) -> list[str]:
    """The folders of tests in the order of their cost; pytest keeps that order."""
    if screens:
        return [SCREENS_FOLDER]
    slow = [] if fast else [f"tests/{name}" for name in SLOW_FOLDERS if _has_tests(name)]
    return [*_unit_paths(), *slow]


def _unit_paths() -> list[str]:
    found = sorted((REPOSITORY / "tests").iterdir())
    folders = [
        path for path in found if path.is_dir() and path.name not in SLOW_FOLDERS and any(path.rglob("test_*.py"))
    ]
    files = [path for path in found if path.is_file() and path.name.startswith("test_") and path.suffix == ".py"]
    return [str(path.relative_to(REPOSITORY)) for path in (*files, *folders)]


def _has_tests(name: str) -> bool:
    return any((REPOSITORY / "tests" / name).rglob("test_*.py"))
