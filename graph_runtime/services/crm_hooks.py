"""What customer systems tell of changes in them: an address of their own, taken in at once, read later, told as events."""

from __future__ import annotations

import secrets as randomness
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.channels import SignatureRefused
from graph_runtime.contract.crm import Crm, CrmField, CrmQuery, CrmRecord, Entity
from graph_runtime.contract.crm_changes import (
    CONTACT_CREATED,
    CREATED,
    MOST_AN_HOUR,
    OWN_KEY,
    OWN_SECONDS,
    STAGE,
    CrmHookOffer,
    News,
    OwnWrites,
    Seen,
    gathered,
    news,
    prints,
    shown_values,
    stage_of,
)
from graph_runtime.contract.errors import ConnectorError, CredentialRejected, InputInvalid, NotFound, Refused, TooLarge
from graph_runtime.contract.trigger_rules import phone_of
from graph_runtime.services.bound_connections import BoundConnections, OpenCredential
from graph_runtime.services.channel_keeper import reachable_address
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.principal import Principal, system_principal
from graph_runtime.storage import audit, contacts
from graph_runtime.storage import crm_hooks as rows
from graph_runtime.storage.database import Connection, Database, Row
from graph_runtime.storage.receiving import or_away
from graph_runtime.telemetry.metrics import WEBHOOK_REJECTS
from graph_runtime.telemetry.redaction import redact

log = structlog.get_logger(__name__)
MOST_BYTES: Final = 512_000
NAMES_SECONDS: Final = 300.0
STRANGE_SECONDS: Final = 10.0
"""So long names are kept when a stage is not among them."""
PAUSES: Final = (5.0, 15.0, 60.0, 300.0)
REJECTED_SECONDS: Final = 300.0
OLDEST: Final = timedelta(days=7)
"""A change that could not be read for so long is not news any more."""
TOLD_AGAIN: Final = 6 * 3600.0
"""A system may drop an address that did not answer for a while, so it is told again this often."""
FAILED_AGAIN: Final = 900.0
UNREACHABLE: Final = (
    "The customer system cannot reach this Patchcord: it needs an address that begins with https and is known in the public "
    "internet. Set PATCHCORD_PUBLIC_URL, restart, and press “Listen to changes” again."
)


class CrmHooks:
    """The way in. Whoever knows an address may say that something changed; what changed is read with our own access."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        connections: BoundConnections,
        public_url: str,
        clock: Clock = system_clock,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._connections = connections
        self._public_url = public_url
        self._clock = clock

    def address(self, public_id: str) -> str:
        """Where the system posts to."""
        return f"{self._public_url}/hooks/crm/{public_id}"

    async def receive(self, public_id: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Take in one request: how many records it names. Committed when this returns. Header names are in lower case.

        Raises: NotFound, SignatureRefused, InputInvalid, TooLarge, DatabaseAway.
        """
        if len(body) > MOST_BYTES:
            raise TooLarge("A request of a customer system has at most 512 kB. Send less.", limit=MOST_BYTES)
        with or_away():
            async with self._database.system() as system:
                found = await rows.find(system, public_id[:100])
            offer = self._offer(found["connector"]) if found else None
            if found is None or offer is None:
                raise NotFound("There is no customer system at this address. It may have been disconnected.")
            try:
                if found["is_signed"]:
                    await self._verify(offer, found, body, headers)
                hints = gathered(offer.parse(body, headers))
            except (SignatureRefused, InputInvalid) as error:
                WEBHOOK_REJECTS.labels(error.code).inc()
                raise
            async with self._database.workspace(found["workspace_id"]) as connection:
                if not await rows.hear(connection, public_id, hints):
                    raise NotFound("There is no customer system at this address.")
        return len(hints)

    async def _verify(self, offer: CrmHookOffer, found: Row, body: bytes, headers: Mapping[str, str]) -> None:
        who = system_principal(found["workspace_id"])
        opened = await self._connections.open_credential(who, found["credential_id"], "crm")
        async with self._database.workspace(who.workspace_id) as connection:
            link = await rows.link(connection, found["credential_id"])
        if link is None or offer.verify is None:
            raise NotFound("There is no customer system at this address.")
        offer.verify(opened.settings, body, headers, link["now"])

    def _offer(self, connector: str) -> CrmHookOffer | None:
        kind = self._catalog.connectors.get(connector)
        return kind.crm_hooks if kind else None

    async def listen(self, principal: Principal, credential_id: str) -> str:
        """From now on changes in the system are heard: its address, which is told to the system where it takes it from us.

        What keeps the system from being told stands at the connection. Raises: AccessDenied, NotFound, InputInvalid.
        """
        principal.require("credential.manage")
        opened = await self._connections.open_credential(principal, credential_id, "crm")
        offer = opened.kind.crm_hooks
        if offer is None:
            raise InputInvalid("This system cannot tell of changes in it.", field="connector")
        async with self._database.workspace(principal.workspace_id) as connection:
            made = {
                "connector": opened.kind.id, "public_id": randomness.token_urlsafe(32), "is_signed": offer.verify is not None,
            }  # fmt: skip
            await rows.open_link(connection, credential_id, made)
            link = await rows.link(connection, credential_id)
            await self._note(connection, principal, "credential.listens", credential_id)
        assert link is not None  # made in that transaction
        await self._tell(opened, offer, link)
        return self.address(link["public_id"])

    async def stop(self, principal: Principal, credential_id: str) -> None:
        """Changes are heard no more. The system is told so if it can be. Raises: AccessDenied, NotFound."""
        principal.require("credential.manage")
        async with self._database.workspace(principal.workspace_id) as connection:
            link = await rows.link(connection, credential_id)
            if link is None:
                return
            await rows.close_link(connection, credential_id)
            await self._note(connection, principal, "credential.listens_no_more", credential_id)
        try:
            opened = await self._connections.open_credential(principal, credential_id, "crm")
            subscribe = opened.kind.crm_hooks.subscribe if opened.kind.crm_hooks else None
            if subscribe is not None and link["address"]:
                await subscribe(opened.settings, "", link["address"], self._connections.way_out(opened))
        except ConnectorError as error:
            # Its requests find nobody from now on, and it gives up by itself.
            log.warning("crm_not_told_to_stop", credential_id=credential_id, code=error.code)

    async def look_after(self, workspace_id: str, credential_id: str) -> None:
        """Tell the system the address once more: it may have dropped it, or we have moved."""
        opened = await self._connections.open_credential(system_principal(workspace_id), credential_id, "crm")
        async with self._database.workspace(workspace_id) as connection:
            link = await rows.link(connection, credential_id)
        if link is not None and opened.kind.crm_hooks is not None:
            await self._tell(opened, opened.kind.crm_hooks, link)

    async def _tell(self, opened: OpenCredential, offer: CrmHookOffer, link: Row) -> None:
        told = {"state": "by_hand", "problem": "", "address": "", "seconds": TOLD_AGAIN}
        if offer.subscribe is not None:
            address = self.address(link["public_id"])
            auth = opened.kind.http.auth(opened.settings, "") if opened.kind.http else None
            told |= {"state": "told", "address": address}
            try:
                if not (reachable_address(self._public_url) or (auth and auth.private_host)):
                    raise Refused(UNREACHABLE)
                await offer.subscribe(opened.settings, address, link["address"], self._connections.way_out(opened))
            except ConnectorError as error:
                told |= {
                    "state": "failed",
                    "problem": redact(error.message),
                    "address": link["address"],
                    "seconds": FAILED_AGAIN,
                }
        async with self._database.workspace(opened.workspace_id) as connection:
            await rows.set_link(connection, opened.id, told)

    async def _note(self, connection: Connection, principal: Principal, action: str, credential_id: str) -> None:
        await audit.append(connection, principal.actor, action, {"credential_id": credential_id}, self._clock())


class CrmReading:
    """For the worker: reads a record that was heard of, and tells what is new in it."""

    def __init__(self, database: Database, connections: BoundConnections) -> None:
        self._database = database
        self._connections = connections
        self._names: dict[tuple[str, Entity], tuple[float, dict[str, CrmField]]] = {}

    async def run(self, workspace_id: str, record: str) -> None:
        """One look. What cannot be read now is read later, for seven days."""
        async with self._database.workspace(workspace_id) as connection:
            row = await rows.record(connection, record)
        if row is None:
            return
        if row["heard_at"] < row["now"] - OLDEST:
            async with self._database.workspace(workspace_id) as connection:
                await rows.drop(connection, record)
            return
        try:
            await self._read(workspace_id, row)
        except ConnectorError as error:
            pause = PAUSES[min(row["attempts"], len(PAUSES)) - 1]
            if isinstance(error, CredentialRejected):
                pause = REJECTED_SECONDS
            async with self._database.workspace(workspace_id) as connection:
                await rows.put_off(connection, record, max(pause, getattr(error, "retry_after", None) or 0.0))
            log.warning("crm_record_not_read", record=record, code=error.code)

    async def _read(self, workspace_id: str, row: Row) -> None:
        opened = await self._connections.open_credential(
            system_principal(workspace_id), row["credential_id"], "crm"
        )  # fmt: skip
        crm = self._connections.crm(opened)
        found = await crm.find(CrmQuery(row["entity"], "id", row["record_id"]))
        if found is None or row["entity"] == "company":
            async with self._database.workspace(workspace_id) as connection:
                await rows.drop(connection, row["id"])
            return
        person = found if found.entity == "contact" else await crm.contact_of(found)
        names = await self._fields(crm, opened.id, found.entity, stage_of(found))
        async with self._database.workspace(workspace_id) as connection:
            locked = await rows.record(connection, row["id"], for_update=True)
            if locked is not None:
                await self._keep(connection, locked, row, found, person, names)

    async def _keep(
        self,
        connection: Connection,
        row: Row,
        read: Row,
        found: CrmRecord,
        person: CrmRecord | None,
        names: Mapping[str, CrmField],
    ) -> None:
        """`row`: as it is now, locked; `read`: as it was before the record was read."""
        refs = [row["record_id"], *(v for v in found.values.values() if isinstance(v, str) and v.startswith(OWN_KEY))]
        own = await rows.own_writes(connection, row, refs, OWN_SECONDS)
        age = read["now"].timestamp() - found.created if found.created is not None else None
        what = news(
            Seen(row["seen"], row["stage_id"], row["is_known"]),
            found,
            OwnWrites(own["made"], frozenset(own["fields"]), frozenset(own["stages"])),
            read["actions"],
            age,
        )
        contact_id = await self._contact(connection, person, what)
        lately, since = _lately(row, len(what.events))
        stage_id = stage_of(found)
        stage = _stage_name(names, stage_id)
        moved = bool(row["stage_id"] and stage_id != row["stage_id"]) or bool({STAGE, CREATED} & {*what.events})
        if lately > MOST_AN_HOUR:
            log.warning("crm_record_goes_in_a_circle", record=row["id"], events=what.events)
            what = News()
        for place, event in enumerate(what.events):
            data = {
                "record_id": found.id, "entity": found.entity, "name": found.name[:300], "url": found.url,
                "crm": row["crm"], "connection_id": row["credential_id"],
                "changed": [names[f].label if f in names else f for f in what.changed if event != CREATED][:60],
                "stage": stage, "stage_id": stage_id, "stage_before": row["stage"], "values": shown_values(found),
                "person": {
                    "name": person.name[:200], "phone": _first(person.values.get("phone")),
                    "email": _first(person.values.get("email")),
                } if person else {},
            }  # fmt: skip
            await rows.raise_event(connection, event, contact_id, f"{row['id']}/{row['told'] + place}", data)
        kept = {
            "seen": prints(found), "seen_at": read["now"], "stage": stage[:300], "stage_id": stage_id[:200],
            "moved": moved, "contact_id": contact_id, "told": len(what.events), "told_lately": lately, "lately_at": since,
        }  # fmt: skip
        await rows.keep(connection, {**row, "heard": read["heard"]}, kept)

    async def _contact(self, connection: Connection, person: CrmRecord | None, what: News) -> str | None:
        """Whom it is about. Somebody new is made a contact only where a trigger waits for new records."""
        if person is None:
            return None
        phone = phone_of(_first(person.values.get("phone")))
        email = _first(person.values.get("email"))[:254]
        email = email if "@" in email else ""
        if not (phone or email):
            return None
        known = await contacts.find_by(connection, phone=phone, email=email)
        if known is not None:
            return str(known["id"])
        new = next((e for e in what.events if e in (CREATED, CONTACT_CREATED)), "")
        if not new or not await rows.is_listened_to(connection, new):
            return None
        contact_id = await contacts.insert(connection, {"phone": phone, "email": email, "name": person.name[:200]})
        await contacts.note(connection, contact_id, "created", "system", {"by": "crm"})
        return contact_id

    async def _fields(self, crm: Crm, credential_id: str, entity: Entity, stage: str) -> Mapping[str, CrmField]:
        """Names of fields and stages, kept for a while; asked anew for a stage that is not known."""
        place, now = (credential_id, entity), time.monotonic()
        known = self._names.get(place)
        is_strange = known is not None and stage and not _stage_name(known[1], stage)
        if known is None or now - known[0] > (STRANGE_SECONDS if is_strange else NAMES_SECONDS):
            try:
                known = (now, {f.id: f for f in await crm.fields(entity)})
            except ConnectorError:
                if known is None:
                    raise
            self._names[place] = known
        return known[1]


def _stage_name(names: Mapping[str, CrmField], stage: str) -> str:
    options = names["stage"].options if "stage" in names else ()
    return next((label for number, label in options if number == stage), "" if options else stage)


def _first(value: Any) -> str:
    found = value[0] if isinstance(value, list) and value else value
    return str(found).strip() if isinstance(found, str | int) else ""


def _lately(row: Row, more: int) -> tuple[int, datetime]:
    """How much was told of a record within the hour, this included, and since when that is counted."""
    now: datetime = row["now"]
    since: datetime | None = row["lately_at"]
    if since is None or since < now - timedelta(hours=1):
        return more, now
    return row["told_lately"] + more, since
