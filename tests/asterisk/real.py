"""An Asterisk of the test's own, from a program that is installed somewhere: `PATCHCORD_ASTERISK` names it.

It runs the files of `asterisk/`, written by its `start.sh` as in a container; only places and ports are the test's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from graph_runtime.places import REPOSITORY
from tests.ports import free_port

PROGRAM: Final = os.environ.get("PATCHCORD_ASTERISK", "")
FOLDER: Final = REPOSITORY / "asterisk"
PASSWORD: Final = "of-test-phones"
SECRET: Final = "of-the-manager"
KNOWN_TROUBLE: Final = ("No call detail records",)


@dataclass
class Asterisk:
    """A running one. Its telephones are 100 and 101, with `PASSWORD`."""

    folder: Path
    manager: str
    sip: tuple[str, int] = ("127.0.0.1", 5060)
    rest: str = ""
    """Of its REST interface, when PATCHCORD_REST_PASSWORD switched it on."""

    async def command(self, text: str) -> str:
        """On its console."""
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "-C", str(self.folder / "asterisk.conf"), "-rx", text,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        return out.decode(errors="replace")

    async def take(self, dialplan: str) -> None:
        """A dialplan from now on, beside that of the telephones."""
        (self.folder / "patchcord.conf").write_text(dialplan)
        await self.command("dialplan reload")

    async def channels(self) -> int:
        """How many there are."""
        out = await self.command("core show channels count")
        return int(out.split("active channel")[0].split()[-1])

    def trouble(self) -> list[str]:
        """What its log complains of."""
        lines = (self.folder / "full").read_text(errors="replace").splitlines()
        return [
            one for one in lines if re.search(r"(WARNING|ERROR)\[", one) and not any(k in one for k in KNOWN_TROUBLE)
        ]


@contextlib.asynccontextmanager
async def asterisk(folder: Path, **environment: str) -> AsyncIterator[Asterisk]:
    """Start one, and end it."""
    port, rest, sip = free_port(), free_port(), free_port(socket.SOCK_DGRAM)
    settings = {
        "CONF": str(folder), "FROM": str(FOLDER), "PATH": os.environ["PATH"], "PATCHCORD_LINE_SECRET": "SECRET",
        "PATCHCORD_PHONE_URL": "http://127.0.0.1:8000", "PATCHCORD_PHONE_AUDIO": "127.0.0.1:9092",
        "PATCHCORD_TEST_PHONES": PASSWORD, "PATCHCORD_MANAGER_SECRET": SECRET,
    }  # fmt: skip
    writing = await asyncio.create_subprocess_exec(
        "/bin/sh", str(FOLDER / "start.sh"), "--only-write", env=settings | environment
    )
    assert await writing.wait() == 0
    home = Path(PROGRAM).parent.parent
    modules = next(p for p in (home / "lib/asterisk/modules", Path("/usr/lib/asterisk/modules")) if p.is_dir())
    places = {"astetcdir": folder, "astmoddir": modules, "astvarlibdir": folder, "astdbdir": folder, "astkeydir": folder,
              "astdatadir": folder, "astspooldir": folder, "astrundir": folder, "astlogdir": folder}  # fmt: skip
    lines = "".join(f"{name} => {place}\n" for name, place in places.items())
    changes = {
        "asterisk.conf": ("\n[options]\n", f"\n[directories]\n{lines}\n[options]\n"),
        "manager.conf": ("port = 5038", f"port = {port}"),
        "http.conf": ("bindport = 8088", f"bindport = {rest}"),
        "pjsip.conf": ("bind = 0.0.0.0:5060", f"bind = 127.0.0.1:{sip}"),
        "logger.conf": ("console =>", "full => dtmf,"),
    }
    for name, (old, new) in changes.items():
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "-C", str(folder / "asterisk.conf"), "-f", "-n",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    running = Asterisk(folder, f"127.0.0.1:{port}", ("127.0.0.1", sip), f"http://127.0.0.1:{rest}/ari")
    try:
        async with asyncio.timeout(30):
            while "fully booted" not in (await running.command("core waitfullybooted")).lower():
                assert process.returncode is None, "Asterisk did not start; see its log."
                await asyncio.sleep(0.1)
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
