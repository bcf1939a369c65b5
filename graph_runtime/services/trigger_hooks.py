"""What programs post to triggers: verified, read by pointing at a sample, its contact found or made, and kept."""

from __future__ import annotations

import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from graph_runtime.contract.channels import SignatureRefused
from graph_runtime.contract.errors import Conflict, InputInvalid, NotFound, TooLarge
from graph_runtime.contract.flow import LANGUAGES
from graph_runtime.contract.signatures import ID, verify
from graph_runtime.contract.trigger_rules import Told, told, value_at
from graph_runtime.contract.triggers import OnWebhook, Trigger
from graph_runtime.engine.checkpoint import json_values
from graph_runtime.services.trigger_runner import load
from graph_runtime.services.triggers import SECRET
from graph_runtime.services.vault import Vault
from graph_runtime.storage import contacts
from graph_runtime.storage import trigger_runs as runs
from graph_runtime.storage import triggers as rows
from graph_runtime.storage.database import Connection, Database, Row
from graph_runtime.storage.receiving import or_away
from graph_runtime.telemetry.metrics import WEBHOOK_REJECTS

MOST_BYTES: Final = 256_000
MOST_DEPTH: Final = 30
SECRET_HEADER: Final = "x-patchcord-secret"  # noqa: S105 (the name of a header)


@dataclass(frozen=True, slots=True)
class Posted:
    """What a request became. `run_id` "" when it was only kept as a sample; `is_new` False: it came before."""

    run_id: str
    is_new: bool
    is_sample: bool


class TriggerHooks:
    """Whoever holds the secret of a trigger may post to it."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def receive(self, public_id: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        """Take in one request; committed when this returns. Header names are in lower case.

        Raises: NotFound, SignatureRefused, TooLarge, InputInvalid, Conflict while the trigger is off, DatabaseAway.
        """
        if len(body) > MOST_BYTES:
            raise TooLarge("A request to a trigger has at most 256 kB. Send less.", limit=MOST_BYTES)
        with or_away():
            async with self._database.system() as system:
                found = await rows.find(system, public_id[:100])
            if found is None:
                raise NotFound("There is no trigger at this address. Check the address, or ask whoever gave it to you.")
            async with self._database.workspace(found["workspace_id"]) as connection:
                row = await rows.get(connection, found["trigger_id"])
                trigger = load(row)
                if row is None or trigger is None or not isinstance(trigger.when, OnWebhook):
                    raise NotFound("There is no trigger at this address.")
                place = (row["id"], row["secrets_version"])
                secrets = await self._vault.open(connection, found["workspace_id"], place, row["secrets"])
                try:
                    _verify(trigger.when, secrets[SECRET], row, body, headers)
                    data = parse(body, headers.get("content-type", ""))
                except (SignatureRefused, InputInvalid) as error:
                    WEBHOOK_REJECTS.labels(error.code).inc()
                    raise
                return await self._keep(connection, row, trigger, data, headers)

    async def _keep(
        self, connection: Connection, row: Row, trigger: Trigger, data: Any, headers: Mapping[str, str]
    ) -> Posted:
        when = trigger.when
        assert isinstance(when, OnWebhook)
        if row["captures"]:
            await rows.change(connection, row["id"], sample=data, sample_at=row["now"], captures=False)
        if not row["is_on"]:
            if row["captures"]:
                return Posted("", is_new=True, is_sample=True)
            raise Conflict("This trigger is switched off. Switch it on in Patchcord, then send it again.", reason="off")
        key = dedupe_key(when, data, headers)
        await runs.alone_with(connection, f"{row['id']}:{key}")
        known = await runs.known(connection, row["id"], key)
        if known is not None:
            return Posted(known, is_new=False, is_sample=row["captures"])
        read = told(when.uses, data)
        contact_id = await _contact(connection, when, read)
        occasion = {"type": "webhook", "body": data, "variables": read.variables}
        run_id = await runs.add(connection, row["id"], key, "webhook", contact_id=contact_id, data=occasion)
        assert run_id is not None  # this transaction holds the lock of the key
        await rows.wake(connection)
        return Posted(run_id, is_new=True, is_sample=row["captures"])


def _verify(when: OnWebhook, secret: str, row: Row, body: bytes, headers: Mapping[str, str]) -> None:
    if when.auth == "signature":
        verify([secret], headers, body, row["now"])
        return
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = headers.get(SECRET_HEADER) or (bearer.strip() if scheme.lower() == "bearer" else "")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode()):
        raise SignatureRefused("The secret is missing or wrong. Send it as “Authorization: Bearer whsec_…”.")


def dedupe_key(when: OnWebhook, data: Any, headers: Mapping[str, str]) -> str:
    """What makes a repeated request the same one; without anything of that kind each one is new."""
    named = value_at(data, when.dedupe) if when.dedupe else None
    if isinstance(named, str | int) and str(named):
        return f"hook:value:{named}"[:300]
    for name in (ID,) if when.auth == "signature" else ("idempotency-key", ID):
        if headers.get(name):
            return f"hook:id:{headers[name]}"[:300]
    return f"hook:once:{uuid.uuid4()}"


def parse(body: bytes, content_type: str) -> Any:
    """JSON, or the fields of a form. Raises: InputInvalid."""
    try:
        text = body.decode("utf-8")
        if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
            return json_values(dict(parse_qsl(text, keep_blank_values=True, max_num_fields=1000)))
        data = json.loads(text)
        if not isinstance(data, dict | list) or _depth(data) > MOST_DEPTH:
            raise ValueError
        return json_values(data)
    except (ValueError, RecursionError):
        raise InputInvalid(
            "The body is not JSON that can be read. Send an object, with the header Content-Type: application/json.",
            field="body",
        ) from None


def _depth(data: Any) -> int:
    depth, level = 0, [data]
    while level:
        depth += 1
        inside: list[Any] = []
        for value in level:
            inside += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        level = [v for v in inside if isinstance(v, dict | list)]
    return depth


async def _contact(connection: Connection, when: OnWebhook, read: Told) -> str | None:
    """Whom a request is about, found or made; None when it does not say."""
    who = read.who
    external, phone, email = who.get("external_id", "")[:200], who.get("phone", ""), who.get("email", "")
    if not (external or phone or email):
        return None
    # Two requests about one new person at once would make them twice.
    await runs.alone_with(connection, *(f"who:{v}" for v in (external, phone, email.lower()) if v))
    contact_id = await contacts_of_channel(connection, when.channel_id, external) if external else None
    if contact_id is None and (phone or email):
        found = await contacts.find_by(connection, phone=phone, email=email)
        contact_id = found["id"] if found else None
    if contact_id is None:
        if not when.creates_contacts:
            return None
        contact_id = await contacts.insert(connection, {"phone": phone, "email": email[:254]})
        await contacts.note(connection, contact_id, "created", "system", {"by": "trigger"})
    if external and when.channel_id:
        await connection.execute(
            "INSERT INTO contact_identity (source_id, external_user_id, workspace_id, contact_id) SELECT id, %s, workspace_id, %s"
            " FROM channel WHERE id = %s ON CONFLICT DO NOTHING",
            (external, contact_id, when.channel_id),
        )
    row = await contacts.get(connection, contact_id, for_update=True)
    assert row is not None  # found or made in this transaction
    changed = {k: v for k, v in (("phone", phone), ("email", email)) if v and not row[k]}
    if who.get("name") and not row["name"]:
        changed["name"] = who["name"][:200]
    if who.get("language", "")[:2].lower() in LANGUAGES and not row["language"]:
        changed["language"] = who["language"][:2].lower()
    values: dict[str, Any] = {**changed}
    if any(row["fields"].get(k) != v for k, v in read.fields.items()):
        values["fields"] = {**row["fields"], **read.fields}
    if values:
        await contacts.change(connection, contact_id, values)
    return contact_id


async def contacts_of_channel(connection: Connection, channel_id: str, external: str) -> str | None:
    """The contact who is known under an id in a channel."""
    cursor = await connection.execute(
        "SELECT contact_id::text FROM contact_identity WHERE source_id::text = %s AND external_user_id = %s",
        (channel_id, external),
    )
    row = await cursor.fetchone()
    return None if row is None else str(row["contact_id"])
