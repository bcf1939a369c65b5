"""Customer systems over the wire: one contract for all of them, then what only Kommo has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from connectors.kommo.connector import CONNECTOR as KOMMO
from connectors.kommo.connector import Settings as KommoSettings
from connectors.rest_crm.connector import CONNECTOR as REST
from connectors.rest_crm.connector import Settings as RestSettings
from graph_runtime.contract.channels import HttpAnswer
from graph_runtime.contract.crm import Crm, CrmQuery, CrmRecord, CrmTask
from graph_runtime.contract.errors import CredentialRejected, OutcomeUnknown, RateLimited, Refused, Unreachable
from graph_runtime.engine.http import HttpDoor
from tests.fakes.kommo import LONG_TOKEN, Kommo, kommo

PHONE = "+380 50 111-22-33"


class Direct:
    """A connector's way out without a database: the credential's headers, the guarded door."""

    def __init__(self, connector: Any, settings: Any) -> None:
        self._auth = connector.http.auth(settings, "")
        self._door = HttpDoor(private_hosts=frozenset({self._auth.private_host}))

    async def exchange(
        self, method: str, url: str, *, headers: Any = None, body: Any = None, seconds: float = 5.0
    ) -> HttpAnswer:
        url = self._auth.base_url + url
        return await self._door.exchange(
            method, url, headers=dict(headers or {}), body=body, seconds=min(seconds, 2.0), auth=self._auth
        )

    async def close(self) -> None:
        await self._door.close()


@pytest.fixture
def fake() -> Iterator[Kommo]:
    with kommo() as account:
        yield account


@asynccontextmanager
async def small_rest() -> AsyncIterator[tuple[str, dict[str, list[dict[str, Any]]]]]:
    """A customer system as somebody wrote it on an afternoon: lists of JSON objects behind paths."""
    kept: dict[str, list[dict[str, Any]]] = {"contacts": [], "leads": [], "companies": []}

    def answer(method: str, path: str, body: Any) -> tuple[int, Any]:
        where = urlsplit(path)
        parts = where.path.strip("/").split("/")
        rows = kept[parts[0]]
        if method == "POST" and len(parts) == 1:
            rows.append({"id": len(rows) + 1, **body})
            return 201, rows[-1]
        if len(parts) == 1:
            wanted = {k: v[0] for k, v in parse_qs(where.query).items()}
            return 200, [r for r in rows if all(str(r.get(k)) == v for k, v in wanted.items())]
        row = next((r for r in rows if str(r["id"]) == parts[1]), None)
        if row is None:
            return 404, {}
        if method == "PATCH":
            row.update(body)
        return 200, {"id": 99} if len(parts) == 3 else row

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        length = next((int(x.split(":")[1]) for x in lines if x.lower().startswith("content-length")), 0)
        raw = await reader.readexactly(length)
        method, path, _ = lines[0].split(" ")
        is_known = "Authorization: Bearer my-crm-secret" in lines
        status, found = answer(method, path, json.loads(raw) if raw else None) if is_known else (401, {})
        text = json.dumps(found).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", kept


@asynccontextmanager
async def opened(name: str, fake: Kommo, newest_path: str = "/{entity}") -> AsyncIterator[Crm]:
    """One of the systems, empty."""
    if name == "kommo":
        settings: Any = KommoSettings(base_url=fake.url, long_token=SecretStr(LONG_TOKEN), allow_private_host=True)
        way = Direct(KOMMO, settings)
        assert KOMMO.crm is not None
        try:
            yield KOMMO.crm(settings, way)
        finally:
            await way.close()
        return
    async with small_rest() as (url, _):
        settings = RestSettings(
            base_url=url, secret=SecretStr("my-crm-secret"), allow_private_host=True, newest_path=newest_path
        )
        way = Direct(REST, settings)
        assert REST.crm is not None
        try:
            yield REST.crm(settings, way)
        finally:
            await way.close()


@pytest.mark.parametrize("name", ["kommo", "rest_crm"])
async def test_the_contract(name: str, fake: Kommo) -> None:
    async with opened(name, fake) as crm:
        assert await crm.find(CrmQuery("contact", "phone", PHONE)) is None
        assert await crm.find(CrmQuery("contact", "id", "404404")) is None
        assert await crm.find_made("contact", "pc-1") is None
        made = await crm.create("contact", {"name": "Олена", "phone": PHONE, "email": "o@example.org"}, key="pc-1")
        assert made.name == "Олена"
        for query in (
            CrmQuery("contact", "phone", PHONE),
            CrmQuery("contact", "email", "o@example.org"),
            CrmQuery("contact", "id", made.id),
            CrmQuery("contact", "field", "Олена", "name"),
        ):
            found = await crm.find(query)
            assert found is not None, query
            assert (found.id, found.name) == (made.id, "Олена")
        again = await crm.find_made("contact", "pc-1")
        assert again is not None
        assert again.id == made.id
        lead = await crm.create("lead", {"name": "Bouquet"}, key="pc-2", contact=made.id)
        changed = await crm.update("lead", lead.id, {"name": "Roses"})
        assert changed is not None
        looked = await crm.find(CrmQuery("lead", "id", lead.id))
        assert looked is not None
        assert looked.name == "Roses"
        assert await crm.update("lead", "404404", {"name": "x"}) is None
        assert await crm.add_note("lead", lead.id, "Wants it on Friday")
        assert await crm.add_task("lead", lead.id, CrmTask("Call", datetime.now(UTC) + timedelta(hours=1)))
        assert {"name", "phone"} <= {f.id for f in await crm.fields("contact")}
        newest = await crm.newest("contact")
        assert newest is not None
        assert newest.name == "Олена"


async def test_a_stage_may_be_named_and_the_newest_record_be_looked_at(fake: Kommo) -> None:
    async with opened("kommo", fake) as crm:
        assert await crm.newest("lead") is None
        made = await crm.create("lead", {"name": "First", "stage": " won "}, key="pc-1")
        await crm.update("lead", made.id, {"stage": "Offer sent", "cf_502": 3})
        assert fake.records["leads"][int(made.id)]["status_id"] == 12
        asked = len(fake.calls("GET", "/api/v4/leads/pipelines"))
        await crm.update("lead", made.id, {"stage": "1:142"})
        await crm.update("lead", made.id, {"stage": ""})
        assert len(fake.calls("GET", "/api/v4/leads/pipelines")) == asked, "a number needs no list"
        with pytest.raises(Refused, match="has no choice “Lost”"):
            await crm.update("lead", made.id, {"stage": "Lost"})
        second = fake.add("leads", name="Second")
        assert (await crm.newest("lead")).id == str(second)  # type: ignore[union-attr]


async def test_kommos_fields_stages_and_types(fake: Kommo) -> None:
    async with opened("kommo", fake) as crm:
        fields = {f.id: f for f in await crm.fields("lead")}
        assert fields["cf_501"].options == (("61", "Site"), ("62", "Phone"))
        assert [label for _, label in fields["stage"].options] == ["New", "Offer sent", "Won"]
        assert await crm.people() == (("9", "Anna"), ("10", "Oleh"))
        values = {"price": "1 500,4", "stage": "1:12", "cf_501": "phone", "cf_502": 4, "tags": ["vip"], "name": ""}
        made = await crm.create("lead", values, key="pc-3")
        sent = fake.calls("POST", "/api/v4/leads")[0].body[0]
        assert (sent["price"], sent["pipeline_id"], sent["status_id"]) == (1500, 1, 12)
        assert {"field_id": 501, "values": [{"enum_id": 62}]} in sent["custom_fields_values"]
        assert {"field_id": 502, "values": [{"value": 4}]} in sent["custom_fields_values"]
        assert "name" not in sent, "an empty value wipes nothing"
        for wrong in ({"cf_501": "Fax"}, {"cf_502": "many"}, {"cf_777": "x"}, {"stage": "later"}, {"price": "dear"}):
            with pytest.raises(Refused):
                await crm.update("lead", made.id, wrong)
        assert len(fake.calls("PATCH", f"/api/v4/leads/{made.id}")) == 0


async def test_kommo_finds_the_newest_open_deal_of_a_phone_however_it_is_written(fake: Kommo) -> None:
    leads = [fake.add("leads", name=n, status_id=s) for n, s in (("old", 11), ("open", 12), ("won", 142))]
    fake.add("contacts", name="Other", phone="+380509999999", note="0501112233 is a friend")
    fake.add("contacts", name="Olena", phone="(050) 111 22 33", _embedded={"leads": [{"id": i} for i in leads]})
    async with opened("kommo", fake) as crm:
        found = await crm.find(CrmQuery("contact", "phone", PHONE))
        assert found is not None
        assert found.name == "Olena"
        lead = await crm.find(CrmQuery("lead", "phone", PHONE))
        assert lead is not None
        assert lead.name == "open"
        assert lead.contact == (found.id, "Olena")
        assert CrmRecord.from_json(json.loads(json.dumps(lead.to_json()))) == lead
        assert await crm.find(CrmQuery("contact", "phone", "12")) is None, "too few digits mean nobody"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("rate_limited", RateLimited), ("server_error", Unreachable), ("unauthorized", CredentialRejected),
        ("refused", Refused), ("reset_before_accept", OutcomeUnknown), ("reset_after_accept", OutcomeUnknown),
        ("slow", OutcomeUnknown),
    ],
)  # fmt: skip
async def test_kommos_faults_are_told_apart(fake: Kommo, fault: Any, error: type[Exception]) -> None:
    number = fake.add("leads", name="Bouquet")
    async with opened("kommo", fake) as crm:
        fake.fail(fault, seconds=3, path="/notes")
        with pytest.raises(error) as raised:
            await crm.add_note("lead", str(number), "Hello")
        if error is Refused:
            assert "price" in str(raised.value)
        since = datetime.now(UTC) - timedelta(seconds=5)
        was_written = await crm.find_note("lead", str(number), "Hello", since) is not None
        assert was_written is (fault in ("reset_after_accept", "slow"))
        assert await crm.find_note("lead", str(number), "Hello", datetime.now(UTC) + timedelta(hours=1)) is None


async def test_what_somebody_changed_in_the_account_has_an_outcome_and_a_sentence(fake: Kommo) -> None:
    async with opened("kommo", fake) as crm:
        await crm.create("lead", {"name": "First"}, key="pc-1")
        # Our own field was deleted: it is made again, and the deal is there once.
        fake.fields["leads"] = [f for f in fake.fields["leads"] if f.get("code") != "PATCHCORD_ID"]
        second = await crm.create("lead", {"name": "Second"}, key="pc-2")
        assert [r["name"] for r in fake.records["leads"].values()] == ["First", "Second"]
        found = await crm.find_made("lead", "pc-2")
        assert found is not None
        assert found.id == second.id
        # A stage was moved to another pipeline, or deleted.
        del fake.stages[12]
        with pytest.raises(Refused, match="does not have this stage any more"):
            await crm.update("lead", second.id, {"stage": "1:12"})
        with pytest.raises(Refused, match="choose a stage"):
            await crm.create("lead", {"name": "Third", "stage": "1:12"}, key="pc-3")
        assert len(fake.records["leads"]) == 2
        # A field of the account was deleted between the list and the write.
        kinds = {f.id: f for f in await crm.fields("lead")}
        crm._kinds = lambda *_: _later(kinds)  # type: ignore[attr-defined]
        fake.fields["leads"] = [f for f in fake.fields["leads"] if f["id"] != 502]
        with pytest.raises(Refused, match="choose the field anew"):
            await crm.update("lead", second.id, {"cf_502": 4})
        # Two contacts with one number: the newest is used, and no third one is made.
        for name in ("Old", "New"):
            fake.add("contacts", name=name, phone=PHONE)
        assert (await crm.find(CrmQuery("contact", "phone", PHONE))).name == "New"  # type: ignore[union-attr]
        # Something else is refused: what it was is not tried again.
        fake.fail("refused", path="v4/leads$")
        posts = len(fake.calls("POST", "/api/v4/leads"))
        with pytest.raises(Refused, match="price"):
            await crm.create("lead", {"name": "Fourth"}, key="pc-4")
        assert len(fake.calls("POST", "/api/v4/leads")) == posts


async def _later(value: Any) -> Any:
    return value


async def test_whom_a_deal_belongs_to(fake: Kommo) -> None:
    people = [fake.add("contacts", name=n) for n in ("Second", "Main")]
    deal = fake.add("leads", name="Bouquet", status_id=11, pipeline_id=1)
    embedded = [{"id": people[0], "is_main": False}, {"id": people[1], "is_main": True}]
    async with opened("kommo", fake) as crm:
        lead = await crm.find(CrmQuery("lead", "id", str(deal)))
        assert lead is not None
        assert lead.created is not None
        assert await crm.contact_of(lead) is None
        fake.records["leads"][deal]["_embedded"] = {"contacts": embedded}
        found = await crm.contact_of(lead)
        assert found is not None
        assert found.name == "Main"
    async with opened("rest_crm", fake) as own:
        person = await own.create("contact", {"name": "Olena"}, key="pc-1")
        made = await own.create("lead", {"name": "Roses"}, key="pc-2", contact=person.id)
        lead = await own.find(CrmQuery("lead", "id", made.id))
        assert lead is not None
        owner = await own.contact_of(lead)
        assert owner is not None
        assert owner.name == "Olena"


async def test_a_system_of_ones_own_shows_an_example_where_it_says_how_to_list(fake: Kommo) -> None:
    async with opened("rest_crm", fake) as own:
        assert await own.newest("lead") is None
        made = await own.create("lead", {"name": "Roses"}, key="pc-1")
        assert await own.newest("lead") == await own.find(CrmQuery("lead", "id", made.id))
    async with opened("rest_crm", fake, newest_path="") as own:
        with pytest.raises(Refused, match="Path that lists the newest"):
            await own.newest("lead")
