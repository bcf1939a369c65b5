"""Builds the editor page alone, once per change of its sources, the way the product builds its screens."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = ("builder_ui/canvas", "builder_ui/editor")
APP = '''"""The editor page alone."""
import reflex as rx
from builder_ui.editor.page import ROUTE, flow_page
app = rx.App(enable_state=False)
app.add_page(flow_page, route=ROUTE, title="Patchcord")
'''
CONFIG = """
config.app_name, config.app_module_import = "editor_alone", "editor_alone.editor_alone"
"""


def digest() -> str:
    """Changes with any file of the editor."""
    found = hashlib.sha256(APP.encode())
    for top in SOURCES:
        for path in sorted((REPOSITORY / top).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found.update(str(path.relative_to(REPOSITORY)).encode() + path.read_bytes())
    return found.hexdigest()


def built_screens() -> Path:
    """The folder with the built page; building takes about half a minute the first time."""
    if ready := os.environ.get("PATCHCORD_EDITOR_PAGES"):
        return Path(ready)
    place = Path(
        os.environ.get("PATCHCORD_EDITOR_BUILD") or Path(tempfile.gettempdir()) / f"patchcord-editor-{os.getuid()}"
    )
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _built_at(place)


def _built_at(place: Path) -> Path:
    note, client = place / "built-from", place / ".web" / "build" / "client"
    if note.is_file() and note.read_text() == digest() and client.is_dir():
        return client
    package = place / "editor_alone"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "editor_alone.py").write_text(APP)
    (place / "rxconfig.py").write_text((REPOSITORY / "rxconfig.py").read_text() + CONFIG)
    wanted = digest()
    shutil.rmtree(place / "assets", ignore_errors=True)
    registry = subprocess.run(
        [str(Path(sys.executable).parent / "npm"), "config", "get", "registry"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("REFLEX_", "__REFLEX"))}
    environment |= {"PYTHONPATH": str(REPOSITORY), "NPM_CONFIG_REGISTRY": registry}
    build = subprocess.run(
        [sys.executable, "-m", "reflex", "export", "--no-zip", "--frontend-only"],
        cwd=place, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if build.returncode or not client.is_dir():
        raise RuntimeError(f"the editor could not be built:\n{build.stdout[-3000:]}\n{build.stderr[-3000:]}")
    note.write_text(wanted)
    return client
