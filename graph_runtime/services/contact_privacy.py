"""What the law gives people: all that is stored about them in one file, and to be erased for good, provably."""

from __future__ import annotations

import hashlib
import io
import json
import re
import secrets
import zipfile
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.contacts import found
from graph_runtime.services.principal import Principal
from graph_runtime.storage import audit
from graph_runtime.storage import contact_history as history
from graph_runtime.storage import contacts as rows
from graph_runtime.storage.database import Database, Row

SALT_BYTES: Final = 16
_UNSAFE: Final = re.compile(r"[^\w.() -]+")


@dataclass(frozen=True, slots=True)
class Erasure:
    """A line of the ledger: when somebody was erased, by whom (an id), and how many rows of what."""

    at: datetime
    actor: str
    counts: dict[str, int]


class ContactPrivacy:
    """Of the principal's workspace."""

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        self._database = database
        self._clock = clock

    async def export(self, principal: Principal, contact_id: str) -> bytes:
        """A ZIP: `contact.json`, one JSON file for each kind of rows, and what they sent under `files/`.

        Raises: AccessDenied, NotFound.
        """
        principal.require("settings.manage")
        packed = io.BytesIO()
        async with self._database.workspace(principal.workspace_id) as connection:
            contact = await found(connection, contact_id)
            about = contact | {"identities": await rows.identities(connection, contact["id"])}
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("contact.json", _json(about))
                for kind, found_rows in (await history.everything(connection, contact["id"])).items():
                    archive.writestr(f"{kind}.json", _json(found_rows))
                async for file in history.files(connection, contact["id"]):
                    name = _UNSAFE.sub("_", file["name"]).strip(". ") or "file"
                    content = await self._database.files.read(file) or b""
                    archive.writestr(f"files/{file['id']}-{name[-100:]}", content)
            await rows.note(connection, contact["id"], "exported", principal.actor, {})
            # No id: lines of the audit log stay, and people can be erased.
            await audit.append(connection, principal.actor, "contact.exported", {}, self._clock())
        return packed.getvalue()

    async def erase(self, principal: Principal, contact_id: str) -> dict[str, int]:
        """Delete them with everything that hangs on them; how many rows of what. There is no way back.

        A turn that runs at this moment loses its conversation and writes nothing. Raises: AccessDenied, NotFound.
        """
        principal.require("settings.manage")
        async with self._database.workspace(principal.workspace_id) as connection:
            contact = await found(connection, contact_id, for_update=True)
            known_by = [i["external_user_id"] for i in await rows.identities(connection, contact["id"])]
            known_by += [contact["phone"], contact["email"].casefold(), contact["id"]]
            salt = secrets.token_bytes(SALT_BYTES)
            hashes = sorted({_hash(salt, value) for value in known_by if value})
            counts = await rows.erase(connection, contact["id"])
            await rows.note_erasure(connection, principal.actor, salt, hashes, counts)
            await audit.append(connection, principal.actor, "contact.erased", counts, self._clock())
        return counts

    async def was_erased(self, principal: Principal, known_by: str) -> Erasure | None:
        """The newest erasure of somebody known by this number, e-mail or id. Raises: AccessDenied."""
        principal.require("settings.manage")
        async with self._database.workspace(principal.workspace_id) as connection:
            ledger = await rows.erasures(connection)
        for row in ledger:
            tried = {_hash(bytes(row["salt"]), value) for value in (known_by.strip(), known_by.strip().casefold())}
            if tried & {bytes(h) for h in row["hashes"]}:
                return Erasure(row["at"], row["actor"], row["counts"])
        return None


def _hash(salt: bytes, value: str) -> bytes:
    """Slow on purpose: numbers are few enough to be tried one after another."""
    return hashlib.scrypt(value.encode(), salt=salt, n=2**12, r=8, p=1, dklen=32)


def _json(value: list[Row] | Row) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=_plain)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
