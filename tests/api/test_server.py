"""The web process as it is started: answers, keeps several connections, and stops in time when told to."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from graph_runtime.storage.database import Database
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.api.conftest import first_owner

START = (
    "from graph_runtime.settings import Settings; from graph_runtime.api.server import serve; serve(Settings.load())"
)


@asynccontextmanager
async def web_process(
    postgres: EmbeddedPostgres, folder: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "DATABASE_URL": postgres.app_url,
        "PATCHCORD_DATA_DIR": str(folder),
        "PATCHCORD_PORT": str(port),
        "PATCHCORD_SCREENS_DIR": str(folder / "none"),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", START, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(60), httpx2.AsyncClient() as client:
            while True:
                assert process.returncode is None
                try:
                    if (await client.get(f"{address}/health/ready")).status_code == 200:
                        break
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)
        yield process, address
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_it_serves_and_stops_in_time_with_streams_open(
    postgres: EmbeddedPostgres, database: Database, tmp_path: Path
) -> None:
    async with web_process(postgres, tmp_path) as (process, address):
        async with httpx2.AsyncClient(base_url=address, headers={"Origin": address}) as client:
            assert "not built" in (await client.get("/")).text
            await first_owner(client)
            made = await client.get("/api/builder/catalog")
            assert made.status_code == 200
        _reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        await writer.drain()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
        assert time.monotonic() - began < 12
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
