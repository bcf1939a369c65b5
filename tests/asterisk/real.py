"""An Asterisk of the test's own, from a program that is installed somewhere: `PATCHCORD_ASTERISK` names it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from graph_runtime.places import REPOSITORY
from tests.fakes.asterisk_manager import SECRET

PROGRAM: Final = os.environ.get("PATCHCORD_ASTERISK", "")
MODULES: Final = (
    "pbx_config", "app_audiosocket", "res_audiosocket", "func_curl", "res_curl", "func_uri", "func_uuid", "func_cut",
    "app_exec", "app_stack", "func_logic", "func_callerid", "func_strings", "app_dial", "app_senddtmf", "app_echo",
    "app_playtones", "bridge_simple", "bridge_builtin_features", "res_timing_timerfd", "codec_ulaw", "codec_resample",
    "func_channel", "res_clioriginate", "app_userevent", "app_verbose", "func_global",
)  # fmt: skip


def free_port() -> int:
    """A port that nobody uses just now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Asterisk:
    """A running one, without SIP: its calls are Local channels of its own dialplan."""

    folder: Path
    manager: str
    dialplan: str = ""

    async def command(self, text: str) -> str:
        """On its console."""
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "-C", str(self.folder / "asterisk.conf"), "-rx", text,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        return out.decode(errors="replace")

    async def take(self, dialplan: str) -> None:
        """A dialplan from now on."""
        (self.folder / "extensions.conf").write_text(dialplan)
        await self.command("dialplan reload")

    async def channels(self) -> int:
        """How many there are."""
        out = await self.command("core show channels count")
        return int(out.split("active channel")[0].split()[-1])


@contextlib.asynccontextmanager
async def asterisk(folder: Path) -> AsyncIterator[Asterisk]:
    """Start one, and end it."""
    port = free_port()
    home = Path(PROGRAM).parent.parent
    modules = next(p for p in (home / "lib/asterisk/modules", Path("/usr/lib/asterisk/modules")) if p.is_dir())
    places = {"astetcdir": folder, "astmoddir": modules, "astvarlibdir": folder, "astdbdir": folder, "astkeydir": folder,
              "astdatadir": folder, "astspooldir": folder, "astrundir": folder, "astlogdir": folder}  # fmt: skip
    options = (REPOSITORY / "asterisk" / "asterisk.conf").read_text("utf-8")
    lines = "".join(f"{name} => {place}\n" for name, place in places.items())
    files = {
        "asterisk.conf": f"[directories]\n{lines}\n{options}",
        "modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in MODULES),
        "manager.conf": f"[general]\nenabled = yes\nport = {port}\nbindaddr = 127.0.0.1\n\n[patchcord]\nsecret = {SECRET}\n"
        "read = call\nwrite = originate,call\n",
        "logger.conf": "[general]\n[logfiles]\nfull => notice,warning,error,verbose(4),dtmf\n",
        "extensions.conf": "",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    for name in (
        "stasis.conf",
        "cdr.conf",
        "cel.conf",
        "udptl.conf",
        "features.conf",
        "ccss.conf",
        "acl.conf",
        "http.conf",
    ):
        (folder / name).write_text("[general]\n")
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "-C", str(folder / "asterisk.conf"), "-f", "-n",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    running = Asterisk(folder, f"127.0.0.1:{port}")
    try:
        async with asyncio.timeout(30):
            while "fully booted" not in (await running.command("core waitfullybooted")).lower():
                assert process.returncode is None, "Asterisk did not start; see its log."
                await asyncio.sleep(0.1)
        yield running
    finally:
        process.terminate()
        await process.wait()
