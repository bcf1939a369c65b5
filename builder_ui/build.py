"""Builds the screens into static files once per change of their sources, telling how far it is."""

import contextlib
import fcntl
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SCREENS_DIR_VARIABLE = "PATCHCORD_SCREENS_DIR"
SOURCES = ("builder_ui", "assets", "rxconfig.py")
NPM_LOCK = "reflex.lock"
IGNORED_PARTS = ("__pycache__",)
LINKED_BY_BUILD = Path("assets", "external")
"""Reflex links files of builder_ui here while it builds: counted, each first build would be called out of date."""

NEWS_EVERY_SECONDS = 5.0

BAKED_ADDRESS = re.compile(
    r"""(?P<quote>["'`])(?P<scheme>wss?|https?)://(?:localhost|127\.0\.0\.1|0\.0\.0\.0):\d+(?P<path>/[^"'`]*)?(?P=quote)"""
)
"""The address that Reflex writes into the pages at build time; the pages must use the one they came from."""


class ScreensFailed(Exception):
    """The screens could not be built; the message holds the end of what the build said."""


def main() -> int:
    """Build into PATCHCORD_SCREENS_DIR (or webroot/) when the sources changed since the last build."""
    target = Path(os.environ.get(SCREENS_DIR_VARIABLE) or REPOSITORY / "webroot").expanduser().absolute()
    try:
        ensure_screens(target)
    except ScreensFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def ensure_screens(target: Path, source: Path = REPOSITORY) -> bool:
    """Make `target/build/client` and `target/backend` match the sources; say whether a build was needed.

    Raises: ScreensFailed
    """
    if built_from(target) == sources_digest(source):
        return False
    try:
        target.mkdir(parents=True, exist_ok=True)
        with _one_build_at_a_time(target):
            wanted = sources_digest(source, lock=False)
            if built_from(target) == sources_digest(source):  # another process was building just this
                return False
            started = time.monotonic()
            print("  Building the screens (once; about half a minute) ...", flush=True)
            _export(source, started)
            changed_meanwhile = sources_digest(source, lock=False) != wanted
            # The build completes the lock of the npm packages, so only now is the digest the lasting one.
            _install(source / ".web", target, "" if changed_meanwhile else sources_digest(source))
            print(f"  Screens built in {time.monotonic() - started:.0f} s.", flush=True)
    except OSError as error:
        raise ScreensFailed(f"The screens could not be written to {target}: {error.strerror or error}.") from error
    return True


def sources_digest(source: Path, *, lock: bool = True) -> str:
    """Changes when a file of the screens changes, the lock of their packages, or the Reflex that builds them."""
    digest = hashlib.sha256(metadata.version("reflex").encode())
    for top in (*SOURCES, NPM_LOCK) if lock else SOURCES:
        place = source / top
        paths = [place] if place.is_file() else sorted(place.rglob("*"))
        for path in paths:
            name = path.relative_to(source)
            if name.is_relative_to(LINKED_BY_BUILD) or set(name.parts) & set(IGNORED_PARTS):
                continue
            if path.is_file():
                digest.update(f"\0{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def built_from(target: Path) -> str:
    """The digest of the sources that the files in `target` were built from, or an empty text."""
    try:
        note = json.loads((target / "built-from.json").read_text())
    except (OSError, ValueError):
        return ""
    return str(note.get("sources", "")) if (target / "build" / "client" / "index.html").is_file() else ""


@contextlib.contextmanager
def _one_build_at_a_time(target: Path) -> Iterator[None]:
    with (target / ".building.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("  Waiting for another build of the screens ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _export(source: Path, started: float) -> None:
    command = [sys.executable, "-m", "reflex", "export", "--no-zip", "--frontend-only"]
    with tempfile.TemporaryFile() as output:
        build = subprocess.Popen(
            command, cwd=source, env=_build_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            _report_until_done(build, started)
        finally:
            if build.poll() is None:
                build.terminate()
                build.wait()
        output.seek(0)
        said = output.read().decode(errors="replace").replace("\r", "\n")
    if build.returncode or not (source / ".web" / "build" / "client").is_dir():
        ending = "\n  ".join([line for line in said.splitlines() if line.strip()][-25:])
        raise ScreensFailed(f"Building the screens failed. The build said:\n  {ending}")


def _report_until_done(build: "subprocess.Popen[bytes]", started: float) -> None:
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            build.wait(NEWS_EVERY_SECONDS)
            return
        print(f"  ... still building the screens, {time.monotonic() - started:.0f} s", flush=True)


def _build_environment() -> dict[str, str]:
    """The caller's environment, with npm of the virtual environment and the registry that npm is configured for."""
    programs = Path(sys.executable).parent
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("__REFLEX", "REFLEX_"))}
    environment["PATH"] = f"{programs}{os.pathsep}{environment.get('PATH', '')}"
    environment["REFLEX_USE_NPM"] = "1"
    environment["REFLEX_CHECK_LATEST_VERSION"] = "0"
    if not os.access(Path.home(), os.W_OK):  # an account for services often has no home
        environment.setdefault("npm_config_cache", str(REPOSITORY / ".web" / "npm-cache"))
    if not environment.get("NPM_CONFIG_REGISTRY"):
        configured = subprocess.run(
            [str(programs / "npm"), "config", "get", "registry"],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        ).stdout.strip()
        if configured.startswith("http"):
            environment["NPM_CONFIG_REGISTRY"] = configured
    return environment


def _install(web: Path, target: Path, digest: str) -> None:
    """Put the built files in place; the note that says they are complete comes last."""
    (target / "built-from.json").unlink(missing_ok=True)
    for part, place in ((web / "build" / "client", target / "build" / "client"), (web / "backend", target / "backend")):
        shutil.rmtree(place, ignore_errors=True)
        if part.is_dir():
            shutil.copytree(part, place)
    use_own_address(target / "build" / "client")
    unfinished = target / "built-from.json.new"
    unfinished.write_text(json.dumps({"sources": digest}))
    unfinished.rename(target / "built-from.json")


def use_own_address(client: Path) -> None:
    """Replace the address baked into the pages by the one they were loaded from, in the compressed copies too."""
    scripts = list(client.glob("assets/reflex-env-*.js"))
    for script in scripts:
        text, replaced = BAKED_ADDRESS.subn(_own_address, script.read_text())
        if not replaced:
            raise ScreensFailed(f"{script.name} holds no address to replace: this Reflex writes it another way.")
        script.write_text(text)
        compressed = script.with_name(script.name + ".gz")
        if compressed.exists():
            compressed.write_bytes(gzip.compress(text.encode(), mtime=0))
    if not scripts:
        raise ScreensFailed("The build has no assets/reflex-env-*.js: this Reflex writes its address another way.")


def _own_address(found: re.Match[str]) -> str:
    path = json.dumps(found["path"] or "")
    if found["scheme"].startswith("ws"):
        return f'(location.origin.replace(/^http/,"ws")+{path})'
    return f"(location.origin+{path})"


if __name__ == "__main__":
    sys.exit(main())
