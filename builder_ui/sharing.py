"""Files beside a module that pages need: registered with the build; the serving process only knows their addresses."""

from __future__ import annotations

import os

import reflex as rx
from reflex.assets import AssetPathStr


def serves_only() -> bool:
    """Whether this process serves pages that were built before."""
    return os.environ.get("REFLEX_BACKEND_ONLY", "").lower() in ("1", "true")


def share(module: str, name: str) -> AssetPathStr:
    """Register a file of the calling module. `module` is its `__name__`.

    Each registration with Reflex reads the whole stack (some 40 ms), and a process that builds nothing needs none.
    """
    if serves_only():
        return AssetPathStr(f"/external/{module.replace('.', '/')}/{name}")
    return rx.asset(name, shared=True, _stack_level=2)
