"""Where things are and listen unless somebody says otherwise; standard library only, so that every start is quick."""

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8600
_NO_SECRETS = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
)  # fmt: skip


def default_data_dir() -> Path:
    """The folder for data of this account, outside the repository (the screens' hot reload watches that)."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Patchcord"
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "patchcord"


def default_screens_dir() -> Path:
    """Where the prebuilt screens are kept; building them again takes half a minute, so they outlive a data folder."""
    return REPOSITORY / "webroot"


def without_secrets() -> dict[str, str]:
    """The environment of a Python process that opens what strangers sent."""
    return {name: os.environ[name] for name in _NO_SECRETS if name in os.environ} | {"PYTHONPATH": str(REPOSITORY)}


def keep_bytecode(environment: MutableMapping[str, str], folder: Path) -> None:
    """Where Python is told to keep no compiled modules, keep them in `folder`: compiling all of them anew costs each
    process three seconds of its start."""
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):
        environment.setdefault("PYTHONPYCACHEPREFIX", str(folder))
