"""Writes the lock files again: hashes for every file, no address of any machine or registry."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from graph_runtime.places import REPOSITORY

HEADER = """\
# Every package with the hashes of its files, for every platform. Written by `./patchcord lock`; do not edit.
"""
OPTIONS = ("--universal", "--generate-hashes", "--python-version", "3.11", "--no-header")
OPTIONS_WITHOUT_ADDRESSES = ("--no-emit-index-url", "--no-emit-find-links")


def run(arguments: Sequence[str]) -> int:
    """Resolve again; extra arguments, such as `--upgrade-package NAME`, go to `uv pip compile`.

    Writes requirements.lock, and requirements-EXTRA.lock for each optional extra: what it needs beside the former.
    """
    target = REPOSITORY / "requirements.lock"
    code = _compile(("--group", "dev", "pyproject.toml"), target, arguments)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for extra, names in project["optional-dependencies"].items():
        if code == 0:
            options = ("-", "--constraint", target.name)
            code = _compile(options, REPOSITORY / f"requirements-{extra}.lock", arguments, "\n".join(names))
    return code


def _compile(options: Sequence[str], target: Path, arguments: Sequence[str], wanted: str = "") -> int:
    uv = os.environ.get("PATCHCORD_UV") or "uv"
    command = [uv, "pip", "compile", *OPTIONS, *OPTIONS_WITHOUT_ADDRESSES, *options]
    try:
        code = subprocess.run(
            [*command, "--output-file", target.name, "--quiet", *arguments],
            cwd=REPOSITORY,
            check=False,
            input=wanted,
            text=True,
        ).returncode
    except FileNotFoundError:
        print("uv was not found. Run this as ./patchcord lock, which brings uv with it.", file=sys.stderr)
        return 1
    if code == 0:
        target.write_text(HEADER + target.read_text().removeprefix(HEADER))
    return code
