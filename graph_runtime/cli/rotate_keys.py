"""`./patchcord rotate-keys`: every saved secret is sealed anew, with new data keys and the newest secret key."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence

from graph_runtime.cli import place
from graph_runtime.services.vault import Vault
from graph_runtime.storage.archive import BackupRefused
from graph_runtime.storage.database import Database
from graph_runtime.storage.encryption import KeyRing, VaultLocked

SETTLED_SECONDS = 10.0
"""After so long no running process is still opening what it read before; then the former keys are destroyed."""


def run(arguments: Sequence[str]) -> int:
    """No arguments. Exit code 1 with a sentence when it cannot be done; what was done until then stands."""
    argparse.ArgumentParser(prog="patchcord rotate-keys", allow_abbrev=False).parse_args(arguments)
    try:
        keys = [place.secret_key(), *_previous()]
        if not keys[0]:
            raise BackupRefused(
                "No secret key is known here. Set PATCHCORD_SECRET_KEY, or name the folder with --data."
            )
        with place.program_database() as url:
            workspaces, credentials = asyncio.run(rotate(url, keys))
    except (BackupRefused, VaultLocked) as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"Done: {credentials} credentials of {workspaces} workspaces are sealed with new keys; the former ones are gone."
    )
    if len(keys) > 1:
        print("PATCHCORD_PREVIOUS_SECRET_KEYS is not needed any more: take it out before the next start.")
    return 0


async def rotate(url: str, keys: Sequence[str], *, settled_seconds: float = SETTLED_SECONDS) -> tuple[int, int]:
    """How many workspaces and credentials were sealed anew. While the program runs or not. Raises: VaultLocked."""
    database = Database(url, min_size=1, max_size=2)
    await database.open()
    try:
        vault = Vault(database, KeyRing(keys))
        await vault.rewrap()
        workspaces = await vault.workspaces()
        credentials = sum([await vault.renew(workspace_id, keeps_former=True) for workspace_id in workspaces])
        await asyncio.sleep(settled_seconds if workspaces else 0)
        for workspace_id in workspaces:
            await vault.forget_former(workspace_id)
    finally:
        await database.close()
    return len(workspaces), credentials


def _previous() -> list[str]:
    given = os.environ.get("PATCHCORD_PREVIOUS_SECRET_KEYS") or "[]"
    try:
        found = json.loads(given)
        assert isinstance(found, list)
    except (ValueError, AssertionError):
        raise BackupRefused('PATCHCORD_PREVIOUS_SECRET_KEYS must be a list like ["the former key"].') from None
    return [str(key) for key in found]
