"""A process that uses a connection with access by OAuth when told to: `python -m tests.faults.renewer SOCKET WORKSPACE CREDENTIAL`.

Each line "ask" on the socket is one request to the vendor through the product; the answer is one JSON line: `status`, or
`error` and `message`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from graph_runtime.cli.lifeline import follow_supervisor
from graph_runtime.contract.catalog import load_catalog
from graph_runtime.contract.errors import BuilderError
from graph_runtime.services.bound_connections import BoundConnections
from graph_runtime.services.oauth import OAuth
from graph_runtime.services.principal import system_principal
from graph_runtime.services.vault import Vault
from graph_runtime.storage.database import Database
from graph_runtime.storage.encryption import KeyRing


async def serve(path: str, workspace_id: str, credential_id: str) -> None:
    """Until killed."""
    database = Database(os.environ["PATCHCORD_DATABASE_URL"], min_size=1, max_size=2)
    await database.open()
    catalog = load_catalog(("connectors",))
    vault = Vault(database, KeyRing([os.environ["PATCHCORD_SECRET_KEY"]]))
    connections = BoundConnections(database, catalog, vault, OAuth(database, catalog, vault, "http://localhost/back"))

    async def ask() -> dict[str, object]:
        try:
            opened = await connections.open_credential(system_principal(workspace_id), credential_id, "crm")
            answer = await connections.way_out(opened).exchange("GET", "/api/v4/account")
        except BuilderError as error:
            return {"error": error.code, "message": error.message}
        return {"status": answer.status}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            writer.write(json.dumps(await ask()).encode() + b"\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(talk, path)
    await server.serve_forever()


if __name__ == "__main__":
    follow_supervisor()
    asyncio.run(serve(*sys.argv[1:]))
