"""Contacts: values checked, found again, merged, taken in and out as files, exported, erased without a trace."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from dataclasses import replace
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, Conflict, InputInvalid, NotFound
from graph_runtime.services.contact_tables import (
    csv_lines,
    guess_mapping,
    protected,
    read_table,
    row_values,
    unprotected,
)
from graph_runtime.services.contacts import Wanted
from graph_runtime.services.principal import PERMISSIONS, Principal
from tests.conversation_world import publish
from tests.engine.small_nodes import flow

CANARY = "canary-4f1d9b"
FLOW = flow(
    {
        "s": ("start", {}),
        "q": (
            "ask",
            {"text": "Hello {{ contact.name }}, {{ contact.phone }}?", "save_to": "email", "no_reply_after": "PT24H"},
        ),
    },
    {"s.next": "q", "q.answered": "q"},
    variables={"email": {"type": "text", "scope": "contact"}},
)


async def talked(services: Services, admin: Any, postgres: Any, **contact: str) -> tuple[Principal, str, str]:
    """A workspace in which one contact has talked: (a principal, contact id, conversation id)."""
    access = publish(postgres.admin_url, FLOW)
    who = Principal(access.workspace_id, None, "system", PERMISSIONS["system"])
    conversation = await services.conversations.start(access, dedupe_key="1", contact=contact)
    async with asyncio.timeout(10):
        while services.conversation_side.runner.running:
            await asyncio.wait(services.conversation_side.runner.running)
            await asyncio.sleep(0)
    row = admin.execute("SELECT contact_id::text FROM conversation WHERE id = %s", (conversation,)).fetchone()
    return who, row[0], conversation


async def test_values_are_brought_into_one_form(services: Services, owner: Principal) -> None:
    await services.contact_segments.put_field(owner, "plan", "Plan", "choice", ("Basic", "Pro"))
    await services.contact_segments.put_field(owner, "until", "Paid until", "date")
    await services.contact_segments.put_field(owner, "seats", "Seats", "number")
    created = await services.contacts.create(
        owner,
        {
            "name": "  Оля   Коваль ", "phone": "+380 (67) 123-45-67", "email": "Olia@Example.com", "country": "ua",
            "tags": ["vip", " vip ", "new"], "time_zone": "Europe/Kyiv", "language": "uk",
            "fields": {"plan": "pro", "until": "25.12.2026", "seats": "1 200,5", "free": "text"},
        },
    )  # fmt: skip
    assert (created["name"], created["phone"], created["country"]) == ("Оля Коваль", "+380671234567", "UA")
    assert created["tags"] == ["new", "vip"]
    assert created["fields"] == {"plan": "Pro", "until": "2026-12-25", "seats": 1200.5, "free": "text"}
    changed = await services.contacts.update(
        owner, created["id"], {"fields": {"seats": None}, "consent": {"news": True}}
    )
    assert "seats" not in changed["fields"]
    assert changed["consent"]["news"]["given"] is True
    assert changed["consent"]["news"]["source"] == owner.actor
    past = (await services.contact_history.get(owner, created["id"])).past
    assert [e.kind for e in past] == ["edited", "created"]
    assert past[0].data["keys"] == ["consent.news", "fields.seats"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "name"), ({"name": "x" * 201}, "name"), ({"phone": "12"}, "phone"), ({"email": "nobody"}, "email"),
        ({"name": "A", "time_zone": "Mars/Base"}, "time_zone"), ({"name": "A", "language": "xx"}, "language"),
        ({"name": "A", "tags": ["x" * 41]}, "tags"), ({"name": "A", "tags": [1]}, "tags"),
        ({"name": "A", "country": "UKR"}, "country"), ({"name": "A", "id": "1"}, "id"),
        ({"name": "A", "fields": {"day": "31.02.2027"}}, "day"), ({"name": "A", "fields": []}, "fields"),
        ({"name": 5}, "name"), ({"name": "A", "phone": 5}, "phone"), ({"name": "A", "fields": {"x": {"a": 1}}}, "x"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_is_refused_with_its_field(
    services: Services, owner: Principal, values: dict[str, Any], field: str
) -> None:
    await services.contact_segments.put_field(owner, "day", "Day", "date")
    with pytest.raises(InputInvalid) as refused:
        await services.contacts.create(owner, values)
    assert refused.value.field == field


async def test_the_same_person_is_there_once(services: Services, owner: Principal) -> None:
    first = await services.contacts.create(owner, {"phone": "+380671234567"})
    with pytest.raises(Conflict) as known:
        await services.contacts.create(owner, {"name": "Again", "phone": "+380 67 123 45 67"})
    assert known.value.params["contact_id"] == first["id"]


async def test_rights_and_walls(services: Services, owner: Principal, other_workspace: Principal) -> None:
    made = await services.contacts.create(owner, {"name": "Mine"})
    viewer = replace(owner, role="viewer", scopes=PERMISSIONS["viewer"])
    operator = replace(owner, role="operator", scopes=PERMISSIONS["operator"])
    with pytest.raises(AccessDenied):
        await services.contacts.update(viewer, made["id"], {"name": "X"})
    for forbidden in (
        services.contact_privacy.erase(operator, made["id"]), services.contact_privacy.export(operator, made["id"]),
        services.contacts.merge(operator, made["id"], made["id"]), services.contact_imports.keep(operator, "f", b"a\n1"),
    ):  # fmt: skip
        with pytest.raises(AccessDenied):
            await forbidden
    for hidden in (
        services.contacts.get(other_workspace, made["id"]), services.contact_privacy.erase(other_workspace, made["id"]),
        services.contact_history.get(other_workspace, made["id"]), services.contacts.get(owner, "no id"),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await hidden
    assert (await services.contacts.listed(other_workspace)).contacts == []
    assert await services.contacts.tag(other_workspace, [made["id"]], add=["theirs"], remove=[]) == 0


async def test_lists_filter_search_page_and_know_segments(services: Services, owner: Principal) -> None:
    for n in range(7):
        await services.contacts.create(owner, {"name": f"Person {n} 100%", "fields": {"budget": n * 100}})
    await services.contacts.create(owner, {"name": "Somebody", "email": "some_body@example.com"})
    page = await services.contacts.listed(owner, Wanted(search="person"), limit=5)
    assert [c["name"][7] for c in page.contacts] == ["6", "5", "4", "3", "2"]
    rest = await services.contacts.listed(owner, Wanted(search="person"), before=page.next, limit=5)
    assert ([c["name"][7] for c in rest.contacts], rest.next) == (["1", "0"], "")
    assert [
        len((await services.contacts.listed(owner, Wanted(search=s))).contacts) for s in ("100%", "e_b", "%_%")
    ] == [7, 1, 0]
    ids = [c["id"] for c in page.contacts]
    assert await services.contacts.tag(owner, ids, add=["Hot lead"], remove=[]) == 5
    assert await services.contacts.tag(owner, ids, add=["Hot lead"], remove=["cold"]) == 0
    assert await services.contacts.tags(owner) == [{"tag": "Hot lead", "contacts": 5}]
    condition = {
        "all": [
            {"left": {"ref": "contact.budget"}, "op": "gte", "right": {"value": 300}},
            {"left": {"ref": "contact.tags"}, "op": "contains", "right": {"value": "hot lead"}},
        ]
    }
    segment = await services.contact_segments.put_segment(owner, " Rich  ones ", condition)
    assert segment.name == "Rich ones"
    in_it = Wanted(segment_id=segment.id)
    assert [c["name"][7] for c in (await services.contacts.listed(owner, in_it, limit=2)).contacts] == ["6", "5"]
    assert await services.contacts.count(owner, in_it) == 4
    await services.contacts.set_opt_out(owner, ids[0], is_out=True)
    assert await services.contacts.count(owner, Wanted(opted_out=True)) == 1
    with pytest.raises(Conflict):
        await services.contact_segments.put_segment(owner, "rich ONES", condition)
    for wrong in (
        {"all": [{"left": {"ref": "var.budget"}, "op": "empty"}]},
        {"what": 1},
        {"left": {"ref": "contact.x"}, "op": "run"},
    ):
        with pytest.raises(InputInvalid):
            await services.contact_segments.put_segment(owner, "Wrong", wrong)


async def test_what_channels_and_answers_tell_is_known(services: Services, admin: Any, postgres: Any) -> None:
    who, contact_id, conversation = await talked(
        services, admin, postgres, first_name="Bo", last_name="Li", phone="+49 30 123456"
    )
    contact = await services.contacts.get(who, contact_id)
    assert (contact["name"], contact["phone"], contact["zone"]) == ("Bo Li", "+4930123456", "Europe/Berlin")
    detail = await services.conversations.get(who, conversation)
    assert detail.messages[0]["text"] == "Hello Bo Li, +4930123456?"
    # What a person set by hand stays; what was only told follows what is told next.
    await services.contacts.update(who, contact_id, {"name": "Bob"})
    admin.execute(
        "UPDATE contact SET fields = fields || %s, variables = %s WHERE id = %s",
        ('{"first_name": "Bobby", "phone": "+49 30 654321"}', '{"email": "bo@example.com"}', contact_id),
    )
    contact = await services.contacts.get(who, contact_id)
    assert (contact["name"], contact["phone"], contact["email"]) == ("Bob", "+4930654321", "bo@example.com")
    timeline = await services.contact_history.get(who, contact_id)
    assert [e.kind for e in timeline.coming] == ["timer"]
    assert {"conversation", "edited"} <= {e.kind for e in timeline.past}


async def test_two_become_one(services: Services, admin: Any, postgres: Any) -> None:
    who, talker, conversation = await talked(services, admin, postgres, phone="+380671234567", city="Lviv")
    typed = (
        await services.contacts.create(
            who, {"name": "Ann", "email": "a@example.com", "tags": ["vip"], "fields": {"city": "Kyiv"}}
        )
    )["id"]
    await services.contacts.set_opt_out(who, talker, is_out=True)
    preview = await services.contacts.merge_preview(who, typed, talker)
    assert preview.moves["conversation"] == 1
    assert preview.lost == {"city": "Lviv"}
    merged = await services.contacts.merge(who, typed, talker)
    assert (merged["id"], merged["name"], merged["phone"], merged["fields"]["city"]) == (
        typed,
        "Ann",
        "+380671234567",
        "Kyiv",
    )
    assert merged["opted_out_at"] is not None
    assert (await services.contacts.get(who, talker))["id"] == typed
    assert len((await services.contacts.get(who, typed))["identities"]) == 1
    assert (await services.conversations.get(who, conversation)).row.contact_id == typed
    assert await services.contacts.count(who) == 1
    with pytest.raises(InputInvalid):
        await services.contacts.merge(who, typed, talker)


async def test_erasing_leaves_nothing_but_a_proof(services: Services, admin: Any, postgres: Any) -> None:
    who, contact_id, conversation = await talked(services, admin, postgres, name=CANARY, phone="+380671234567")
    admin.execute(
        "INSERT INTO file (workspace_id, conversation_id, name, mime, size, content) VALUES (%s, %s, %s, 'text/plain', 13, %s)",
        (who.workspace_id, conversation, f"../{CANARY}.txt", CANARY[:13].encode()),
    )
    archive = zipfile.ZipFile(io.BytesIO(await services.contact_privacy.export(who, contact_id)))
    names = archive.namelist()
    assert {"contact.json", "conversations.json", "messages.json", "calls.json", "timers.json", "changes.json"} <= {
        *names
    }
    assert json.loads(archive.read("contact.json"))["name"] == CANARY
    assert CANARY in archive.read("messages.json").decode()
    assert any(n.startswith("files/") and ".." not in n for n in names)
    counts = await services.contact_privacy.erase(who, contact_id)
    assert (counts["contacts"], counts["conversations"], counts["files"], counts["messages"]) == (1, 1, 1, 1)
    tables = admin.execute(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    ).fetchall()
    for (table,) in tables:
        rows = str(admin.execute(f"SELECT * FROM {table}").fetchall())
        assert not [trace for trace in (CANARY, contact_id, conversation) if trace in rows], table
    with pytest.raises(NotFound):
        await services.contacts.get(who, contact_id)
    proof = await services.contact_privacy.was_erased(who, " +380671234567 ")
    assert proof is not None
    assert proof.counts["conversations"] == 1
    assert await services.contact_privacy.was_erased(who, "+380671234568") is None


async def start(services: Services, who: Principal, content: bytes, mapping: list[str]) -> str:
    import_id = await services.contact_imports.keep(who, "people.csv", content)
    await services.contact_imports.start(who, import_id, mapping)
    return import_id


async def take_in(services: Services, who: Principal, text: str | bytes, mapping: list[str]) -> Any:
    content = text if isinstance(text, bytes) else text.encode()
    import_id = await start(services, who, content, mapping)
    while await services.contact_imports.run_next():
        pass
    return await services.contact_imports.progress(who, import_id)


async def test_good_rows_come_in_and_broken_ones_are_told(services: Services, owner: Principal) -> None:
    await services.contact_segments.put_field(owner, "seats", "Seats", "number")
    await services.contacts.create(owner, {"name": "Old", "phone": "+380671234567", "tags": ["a"]})
    text = (
        "Имя;Телефон;E-mail;Seats;Notes\r\n"
        "Новое имя;380671234567;;5;x\r\n"  # known, and the plus was lost by a spreadsheet
        'Bo;;bo@example.com;many;\r\n'  # broken
        ';;;;\r\n\r\n;;;;only a note\r\n'  # two empty rows before it, which a spreadsheet counts
        '"Li, ""junior""";;li@example.com;;\r\n'
        "Li again;;LI@example.com;7;\r\n"
    )  # fmt: skip
    kept = await services.contact_imports.keep(owner, "f.csv", text.encode("cp1251"))
    preview = await services.contact_imports.preview(owner, kept)
    assert (preview.mapping, preview.total) == (["name", "phone", "email", "seats", ""], 5)
    done = await take_in(services, owner, text.encode("cp1251"), preview.mapping)
    assert (done.state, done.position, done.created, done.updated, done.broken) == ("done", 5, 1, 2, 2)
    problems = await services.contact_imports.problems(owner, done.id)
    assert [(p["row"], p["field"]) for p in problems] == [(3, "seats"), (6, "name")]
    found = {c["phone"] or c["email"]: c for c in (await services.contacts.listed(owner)).contacts}
    assert found["+380671234567"]["name"] == "Новое имя"
    assert found["+380671234567"]["tags"] == ["a"]
    assert found["LI@example.com"]["fields"] == {"seats": 7}
    again = await take_in(services, owner, text.encode("cp1251"), preview.mapping)
    assert (again.created, again.updated) == (0, 3)


@pytest.mark.parametrize(
    ("content", "mapping", "field"),
    [
        (b"", ["name"], "file"), (b"name\n", ["name"], "file"), (b"\x00\x01\x02", ["name"], "file"),
        (b"name,b\nAnn,1", ["name"], "mapping"), (b"name,b\nAnn,1", ["name", "name"], "mapping"),
        (b"name,b\nAnn,1", ["", ""], "mapping"), (b"name,b\nAnn,1", ["name", "nothing"], "mapping"),
    ],
)  # fmt: skip
async def test_files_that_cannot_be_taken_in(
    services: Services, owner: Principal, content: bytes, mapping: list[str], field: str
) -> None:
    with pytest.raises(InputInvalid) as refused:
        await start(services, owner, content, mapping)
    assert refused.value.field == field


async def test_a_worker_that_dies_half_way_loses_and_repeats_nothing(
    services: Services, owner: Principal, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "name,phone\n" + "".join(f"P{n},+38067{n:07d}\n" for n in range(1200))
    import_id = await start(services, owner, text.encode(), ["name", "phone"])
    whole, calls = type(services.contact_imports)._batch, []

    async def dies(*args: Any) -> Any:
        calls.append(1)
        counts = await whole(services.contact_imports, *args)
        if len(calls) == 2:
            raise ConnectionError
        return counts

    monkeypatch.setattr(services.contact_imports, "_batch", dies)
    with pytest.raises(ConnectionError):
        await services.contact_imports.run_next()
    half = await services.contact_imports.progress(owner, import_id)
    assert (half.state, half.position, half.created) == ("waiting", 500, 500)
    assert not await services.contact_imports.run_next()  # its lease still stands
    admin.execute("UPDATE contact_import SET leased_until = now() - interval '1 second'")
    while await services.contact_imports.run_next():
        pass
    done = await services.contact_imports.progress(owner, import_id)
    assert (done.state, done.created, done.updated) == ("done", 1200, 0)
    assert await services.contacts.count(owner) == 1200
    newest = (await services.contacts.listed(owner, limit=3)).contacts
    assert [c["name"] for c in newest] == ["P1199", "P1198", "P1197"]
    kept = admin.execute("SELECT content FROM contact_import WHERE id = %s", (import_id,)).fetchone()
    assert kept == (None,)
    # One that kills every worker is given up, and a canceled one stops where it is.
    third = await start(services, owner, text.encode(), ["name", "phone"])
    admin.execute("UPDATE contact_import SET attempts = 3 WHERE id = %s", (third,))
    await services.contact_imports.run_next()
    assert (await services.contact_imports.progress(owner, third)).state == "failed"
    fourth = await start(services, owner, text.encode(), ["name", "phone"])
    assert await services.contact_imports.cancel(owner, fourth)
    assert not await services.contact_imports.run_next()


async def test_what_goes_out_is_safe_and_comes_back_the_same(services: Services, owner: Principal) -> None:
    evil = '=HYPERLINK("http://x","y")'
    await services.contacts.create(owner, {"name": evil, "phone": "+380671234567", "tags": ["@all", "b"]})
    text = "".join([piece async for piece in services.contact_imports.export(owner)])
    assert text.startswith("\ufeffname,phone")
    assert "\"'=HYPERLINK(" in text
    assert "+380671234567" in text
    assert "'+380" not in text
    table = read_table(text.encode())
    _, row = next(iter(table.rows()))
    values = row_values(row, guess_mapping(table.columns, ()), ())
    assert (values["name"], values["tags"]) == (evil, ["@all", "b"])


@pytest.mark.parametrize("cell", ["=1+1", "+A1", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert protected(cell) == "'" + cell
    assert unprotected("'" + cell) == cell


def test_what_is_no_formula_stays() -> None:
    assert [protected(v) for v in ("+380671234567", -5, "-5,5", True, None, "a=b", ["x", "y"])] == [
        "+380671234567", "-5", "-5,5", "yes", "", "a=b", "x, y",
    ]  # fmt: skip
    assert csv_lines([], ()) == ""
