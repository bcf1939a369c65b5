"""The model fake as a program of its own, as end-to-end tests use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a fake in another process."""
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.model_vendors", "--port", "0"],
        stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.split()[-1]
        process.terminate()


def call(url: str, body: Any = None, method: str = "") -> tuple[int, str]:
    """One request."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method or None)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def ask(address: str, lane: str = "") -> tuple[int, str]:
    """One whole (not streamed) answer."""
    body = {"model": "small", "messages": [{"role": "user", "content": "Hi"}]}
    return call(f"{address}{lane}/v1/chat/completions", body)


def test_it_answers_and_is_steered_by_http(address: str) -> None:
    assert "You said: Hi" in ask(address)[1]
    call(f"{address}/_fake/answer", {"text": "Planned."})
    assert "Planned." in ask(address)[1]
    call(f"{address}/_fake/fail", {"kind": "server_error"})
    assert ask(address)[0] == 500
    journal = json.loads(call(f"{address}/_fake/journal")[1])
    assert [entry["fault"] for entry in journal] == ["", "", "server_error"]


def test_lanes_do_not_disturb_one_another(address: str) -> None:
    call(f"{address}/_fake/fail?lane=a", {"kind": "unauthorized", "times": 2})
    assert ask(address, "/lane/b")[0] == 200
    assert ask(address, "/lane/a")[0] == 401
    call(f"{address}/_fake?lane=a", method="DELETE")
    assert ask(address, "/lane/a")[0] == 200
