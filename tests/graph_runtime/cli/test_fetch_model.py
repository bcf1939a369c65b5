"""Fetching a model from a hub of the test's own: whole or not at all, resumed, and refused with a sentence."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from graph_runtime.cli.fetch_model import NotFetched, files_wanted

COMMIT = "a" * 40
GRAPH = bytes(range(256)) * 4000
FILES = {
    "README.md": b"# Tiny",
    "config.json": b"{}",
    "tokenizer.json": b'{"model": {}}',
    "1_Pooling/config.json": b'{"pooling_mode_mean_tokens": true}',
    "model.safetensors": b"weights for other programs",
    "onnx/model.onnx": GRAPH,
    "onnx/model_quantized.onnx": b"smaller",
}


class Hub:
    """Speaks as the hub does; `cuts` of its large answers break off half way."""

    def __init__(self) -> None:
        self.files = dict(FILES)
        self.cuts = 0
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(with_body=False)

            def do_GET(self) -> None:
                self.answer(with_body=True)

            def answer(self, *, with_body: bool) -> None:
                outer.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
                status, headers, body = outer.answer(self.path)
                begin = 0
                if status == 200 and (span := self.headers.get("range")):
                    begin = int(span.removeprefix("bytes=").partition("-")[0])
                    status, headers["Content-Range"] = 206, f"bytes {begin}-{len(body) - 1}/{len(body)}"
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(body) - begin)}).items():
                    self.send_header(name, value)
                self.end_headers()
                if with_body:
                    is_cut = outer.cuts > 0 and len(body) > 100_000
                    outer.cuts -= is_cut
                    self.wfile.write(body[begin : len(body) // 2 if is_cut else None])

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        path = path.partition("?")[0]
        if path == "/api/models/acme/tiny/revision/main":
            siblings = [{"rfilename": name, "size": len(body)} for name, body in self.files.items()]
            return 200, {}, json.dumps({"id": "acme/tiny", "sha": COMMIT, "siblings": siblings}).encode()
        before, _, name = path.partition(f"/resolve/{COMMIT}/")
        if before == "/acme/tiny" and name in self.files:
            body = self.files[name]
            return 200, {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": COMMIT}, body
        return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def fetch(hub: Hub | None, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as an administrator runs it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")} | {
        "HF_ENDPOINT": hub.url if hub else "http://127.0.0.1:9", "HF_HOME": str(home / "hf"), "PATCHCORD_DATA_DIR": str(home / "data"),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "graph_runtime", "fetch-model", *arguments],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_what_a_model_needs_is_fetched_and_nothing_else(hub: Hub, tmp_path: Path) -> None:
    ran = fetch(hub, tmp_path, "acme/tiny")
    assert ran.returncode == 0, ran.stderr
    models = tmp_path / "data/models"
    stored = {str(f.relative_to(models)): f.read_bytes() for f in models.rglob("*") if f.is_file()}
    wanted = ("config.json", "tokenizer.json", "1_Pooling/config.json", "onnx/model.onnx")
    assert stored == {f"tiny/{name}": FILES[name] for name in wanted}
    assert f"folder {models}" in ran.stdout
    assert "onnx/model.onnx (1.0 MB)" in ran.stdout
    assert not [headers for _, _, headers in hub.asked if "authorization" in headers], "nobody's key is sent"

    again = fetch(hub, tmp_path, "acme/tiny")
    assert (again.returncode, "is there already" in again.stderr) == (1, True)


def test_another_graph_and_another_folder_may_be_chosen(hub: Hub, tmp_path: Path) -> None:
    ran = fetch(hub, tmp_path, "acme/tiny", "--file", "onnx/model_quantized.onnx", "--into", str(tmp_path / "here"))
    assert ran.returncode == 0, ran.stderr
    assert [f.name for f in (tmp_path / "here/tiny/onnx").iterdir()] == ["model_quantized.onnx"]


def test_a_download_that_breaks_off_is_tried_again(hub: Hub, tmp_path: Path) -> None:
    hub.cuts = 1
    ran = fetch(hub, tmp_path, "acme/tiny")
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "data/models/tiny/onnx/model.onnx").read_bytes() == GRAPH


def test_a_download_that_fails_leaves_no_half_model_and_keeps_whole_files(hub: Hub, tmp_path: Path) -> None:
    hub.cuts = 100
    ran = fetch(hub, tmp_path, "acme/tiny")
    assert ran.returncode == 1
    assert "whole files that arrived are kept" in ran.stderr
    assert "Traceback" not in ran.stderr
    models = tmp_path / "data/models"
    assert [p.name for p in models.iterdir() if not p.name.startswith(".")] == []
    hub.cuts, hub.asked = 0, []
    ran = fetch(hub, tmp_path, "acme/tiny")
    assert ran.returncode == 0, ran.stderr
    assert (models / "tiny/onnx/model.onnx").read_bytes() == GRAPH
    got = [path.rpartition(f"{COMMIT}/")[2] for method, path, _ in hub.asked if method == "GET" and COMMIT in path]
    assert got == ["onnx/model.onnx"]


@pytest.mark.parametrize(
    ("name", "is_there", "words"),
    [
        ("acme/other", True, "has no model acme/other"),
        ("acme/tiny", False, "Without a network"),
        ("multilingual", True, "Known are multilingual-e5-small"),
        ("../../etc/passwd", True, "is no model that is known here"),
    ],
)
def test_what_cannot_be_fetched_is_said(hub: Hub, tmp_path: Path, name: str, is_there: bool, words: str) -> None:
    ran = fetch(hub if is_there else None, tmp_path, name)
    assert ran.returncode == 1
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_model_without_the_right_files_is_refused_before_the_download() -> None:
    names = {"tokenizer.json": 1, "model.safetensors": 1}
    with pytest.raises(NotFetched, match="no ONNX file"):
        files_wanted(names)
    with pytest.raises(NotFetched, match=r"no tokenizer\.json"):
        files_wanted({"model.onnx": 1})
    with pytest.raises(NotFetched, match=r"no file other\.onnx"):
        files_wanted(names | {"model.onnx": 1}, "other.onnx")
    large = {"onnx/model.onnx": 1, "onnx/model.onnx_data": 9, "tokenizer.json": 1, "onnx/tokenizer.json": 1}
    assert files_wanted(large) == ["tokenizer.json", "onnx/model.onnx_data", "onnx/model.onnx"]
