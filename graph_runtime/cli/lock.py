"""Writes requirements.lock again: hashes for every file, no address of any machine or registry."""

import os
import subprocess
import sys
from collections.abc import Sequence

from graph_runtime.places import REPOSITORY

HEADER = """\
# Every package with the hashes of its files, for every platform. Written by `./patchcord lock`; do not edit.
"""
OPTIONS = ("--universal", "--generate-hashes", "--python-version", "3.11", "--no-header")
OPTIONS_WITHOUT_ADDRESSES = ("--no-emit-index-url", "--no-emit-find-links")


def run(arguments: Sequence[str]) -> int:
    """Resolve again; extra arguments, such as `--upgrade-package NAME`, go to `uv pip compile`."""
    uv = os.environ.get("PATCHCORD_UV") or "uv"
    target = REPOSITORY / "requirements.lock"
    command = [uv, "pip", "compile", *OPTIONS, *OPTIONS_WITHOUT_ADDRESSES, "--group", "dev", "pyproject.toml"]
    try:
        code = subprocess.run(
            [*command, "--output-file", target.name, "--quiet", *arguments], cwd=REPOSITORY, check=False
        ).returncode
    except FileNotFoundError:
        print("uv was not found. Run this as ./patchcord lock, which brings uv with it.", file=sys.stderr)
        return 1
    if code == 0:
        target.write_text(HEADER + target.read_text().removeprefix(HEADER))
    return code
