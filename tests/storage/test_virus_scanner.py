"""Files of strangers are seen by the scanner before anything is kept, and none is taken in while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from graph_runtime.contract.errors import FileHarmful, ScannerAway
from graph_runtime.settings import Settings, SettingsRefused
from graph_runtime.storage.database import Database
from graph_runtime.storage.objects import FileBytes, file_bytes
from graph_runtime.storage.virus_scanner import CHUNK_BYTES, Clamd
from tests.fakes.clamd import FOUND, HARMFUL, clamd
from tests.fakes.clamd import Clamd as Daemon


@pytest.fixture(params=["tcp", "unix"])
async def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Daemon]:
    async with clamd(tmp_path if request.param == "unix" else None) as running:
        yield running


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 7])
async def test_it_sees_the_whole_file(daemon: Daemon, size: int) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    await Clamd(daemon.address).scan(content[:size])
    assert daemon.scanned == [content[:size]]


async def test_what_is_harmful_is_refused_by_name(daemon: Daemon) -> None:
    with pytest.raises(FileHarmful) as caught:
        await Clamd(daemon.address).scan(b"a" * CHUNK_BYTES + HARMFUL)
    assert caught.value.params == {"found": FOUND}
    assert FOUND not in caught.value.message


@pytest.mark.parametrize("fault", ["error", "hang up", "hang", "babble"])
async def test_a_scanner_that_cannot_tell_lets_nothing_in(daemon: Daemon, fault: str) -> None:
    scanner = Clamd(daemon.address, seconds=0.5)
    daemon.fault = fault
    with pytest.raises(ScannerAway):
        await scanner.scan(b"harmless")
    daemon.fault = ""
    await scanner.scan(b"harmless")


async def test_nor_does_one_that_takes_no_files_of_this_size(daemon: Daemon) -> None:
    daemon.largest = CHUNK_BYTES
    with pytest.raises(ScannerAway):
        await Clamd(daemon.address).scan(bytes(20_000_000))


async def test_nor_does_one_that_is_not_there(tmp_path: Path) -> None:
    async with clamd() as gone:
        address = gone.address
    for nobody in (address, f"unix://{tmp_path / 'none.ctl'}"):
        with pytest.raises(ScannerAway):
            await Clamd(nobody, seconds=5).scan(b"harmless")


async def test_many_files_at_once_do_not_mix(daemon: Daemon) -> None:
    scanner = Clamd(daemon.address)
    files = [b"%d " % n * 50_000 + (HARMFUL if n % 3 == 0 else b"") for n in range(12)]
    found = await asyncio.gather(*(scanner.scan(f) for f in files), return_exceptions=True)
    assert [isinstance(f, FileHarmful) for f in found] == [n % 3 == 0 for n in range(12)]
    assert sorted(daemon.scanned) == sorted(files)


async def test_everything_kept_is_seen_but_what_we_made(database: Database, tmp_path: Path) -> None:
    settings = Settings(secret_key=SecretStr("x" * 40), data_dir=tmp_path)
    async with clamd() as daemon:
        places = file_bytes(database, settings.model_copy(update={"virus_scanner": daemon.address, "files": "folder"}))
        workspace_id = str(uuid4())
        with pytest.raises(FileHarmful):
            await places.keep(workspace_id, HARMFUL)
        assert daemon.scanned == [HARMFUL]
        assert not list((tmp_path / "files").rglob("*")), "nothing of it was written"
    kept = await FileBytes(database, scan=Clamd(daemon.address).scan).keep(workspace_id, HARMFUL, is_ours=True)
    assert kept.content == HARMFUL


@pytest.mark.parametrize(
    "address", ["clamd", "tcp://clamd", "tcp://clamd:x", "http://clamd:3310", "unix://host/p", "unix:"]
)
def test_an_address_that_is_none_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("PATCHCORD_VIRUS_SCANNER", address)
    with pytest.raises(SettingsRefused, match="PATCHCORD_VIRUS_SCANNER must be"):
        Settings.load()
