"""Wraps the flow editor, a React application beside this file, as one Reflex component."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import reflex as rx
from reflex.components.component import NoSSRComponent

from builder_ui.sharing import serves_only, share

HERE = Path(__file__).parent
ENTRY = "flow_editor.tsx"
KINDS = (".ts", ".tsx", ".css")
PACKAGES = (
    "@xyflow/react@12.12.1",
    "@dagrejs/dagre@3.1.3",
    "zustand@5.1.0",
    "lucide-react@1.26.0",  # the version that Reflex's own icons come from: two would overwrite each other in the lock
    "@fontsource-variable/inter@5.3.0",
)


def sources() -> list[Path]:
    """Every file of the React application, relative to this folder, in name order."""
    return sorted(p.relative_to(HERE) for p in HERE.rglob("*") if p.suffix in KINDS)


def _share() -> str:
    """Register the files with the build; the path to import the entry from."""
    target = Path.cwd() / "assets" / "external" / Path(*__name__.split("."))
    if not serves_only():
        for source in sources():
            # rx.asset makes only the first level of folders.
            (target / source.parent).mkdir(parents=True, exist_ok=True)
            share(__name__, source.as_posix())
    return share(__name__, ENTRY).importable_path


class FlowEditor(NoSSRComponent):
    """The whole editor screen of one flow.

    The document lives in the browser: it is loaded over HTTP and its edits go over `/ws/editor/{flow_id}`; Reflex state
    never holds it. Without `flow_id` the editor takes the last part of the page's address.
    """

    library = _share()
    tag = "FlowEditor"
    lib_dependencies: list[str] = list(PACKAGES)

    flow_id: rx.Var[str]
    language: rx.Var[str]
    theme: rx.Var[str]


def flow_editor(**props: Any) -> rx.Component:
    """The editor, filling the window."""
    return FlowEditor.create(**props)
