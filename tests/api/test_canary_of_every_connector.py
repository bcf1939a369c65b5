"""A credential of every installed connector, canary-marked: then everything that can be asked is asked, and no answer,
state of a page, line of a log, posted event, figure, row or export holds one. Connectors, ways in, handlers and tables are
taken from their catalogs, so that new ones are looked at without being entered here."""

from __future__ import annotations

import io
import json
import logging
import re
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import structlog
from fastapi.routing import APIRoute

from graph_runtime.bootstrap import Services
from graph_runtime.cli.backup import back_up
from graph_runtime.contract.crm_writing import CrmWrite
from graph_runtime.contract.errors import BuilderError
from graph_runtime.contract.messages import Reply
from graph_runtime.storage import agents, crm_writes
from graph_runtime.storage.crm_hooks import CrmHookSweep
from graph_runtime.storage.crm_writes import CrmWriteSweep
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.telemetry import logs
from graph_runtime.worker.crm_hooks import CrmReadings
from graph_runtime.worker.crm_writes import CrmLooks
from tests.api.conftest import Member, key_client
from tests.api.test_handler_inventory import fire, ours
from tests.api.test_route_inventory import SCOPES
from tests.canaries import CANARY, found_in
from tests.fakes.kommo import CLIENT, Kommo, kommo
from tests.fakes.telegram import TelegramFake, telegram
from tests.fakes.webhook_receiver import receiving
from tests.integration.test_canary import unpacked

Ask = Callable[..., Awaitable[int]]
Written = tuple[Any, str, str, str]
"""Who, the agent, a conversation, the credential of an account."""
FORMS_OF_SECRETS = {"bot_token": f"123456789:AA{CANARY}-0123456789012345678901234"}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, at the finest level."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, structlog.get_config())
    out = io.StringIO()
    logs.set_up(as_json=True, level="DEBUG", out=out)
    yield out
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.configure(**before[2])


@pytest.fixture
def backed_up(postgres: EmbeddedPostgres, tmp_path: Path) -> Callable[[], str]:
    """Makes a backup and says what it holds."""

    def make() -> str:
        back_up(postgres.admin_url, tmp_path / "backup", with_secret_key=False)
        return unpacked(tmp_path / "backup")

    return make


def rows_of_everything(admin: Any) -> dict[str, str]:
    """Every relation that holds rows, of every schema that is ours, as text; bytes as hexadecimal digits."""
    names = admin.execute(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        " AND n.nspname NOT LIKE 'pg_toast%'"
    ).fetchall()
    return {name: str(admin.execute(f"SELECT t::text FROM {name} t").fetchall()) for (name,) in names}


def entered(name: str, connector: str) -> str:
    return FORMS_OF_SECRETS.get(name, f"{CANARY}-{connector}-{name}-0123456789")


async def grant(services: Services, who: Any, account: Kommo, credential_id: str, asks: Ask) -> None:
    """Access by OAuth, as a browser brings it: the code stands in an address; and a sign-in that is never finished."""
    asked = parse_qs(urlsplit(await services.oauth.begin(who, credential_id)).query)
    code = f"{CANARY}-code-of-a-sign-in"
    account.codes[code] = {"challenge": asked["code_challenge"][0], "redirect": asked["redirect_uri"][0]}
    assert await asks("GET", "/oauth/callback", params={"code": code, "state": asked["state"][0]}) == 303
    assert await asks("GET", "/oauth/callback", params={"code": code, "state": asked["state"][0]}) == 303
    await services.oauth.begin(who, credential_id)


async def write_and_hear(services: Services, world: Written, account: Kommo, asks: Ask) -> str:
    """What flows, triggers and hooks do with an account whose words repeat the token; the secret of its address."""
    who, agent_id, talk, credential_id = world
    hook = (await services.crm_hooks.listen(who, credential_id)).rpartition("/")[2]
    account.fail("echoes", path="webhooks")
    await services.crm_hooks.look_after(who.workspace_id, credential_id)
    deal = account.add("leads", name="Roses", pipeline_id=1, status_id=11)
    assert await asks("POST", f"/hooks/crm/{hook}", content=account.by_person("leads", deal, status_id=12)) == 200
    assert await asks("POST", f"/hooks/crm/{hook}", content=b"leads[add][0][id]=%ff") < 500
    assert await asks("POST", f"/hooks/crm/{hook[:-1]}", content=b"") == 404
    account.fail("echoes", path="/leads/")
    readings = CrmReadings(CrmHookSweep(services.database), services.crm_reading, services.crm_hooks)
    for _ in range(2):
        await readings.once()
    write = CrmWrite(entity="lead", by="phone", known="+380501112233", values={"name": "Roses"}).to_json()
    async with services.database.workspace(who.workspace_id) as connection:
        await agents.bind(
            connection, agent_id, "crm", {"credential_id": credential_id, "connector": "kommo", "model": ""}
        )
        about = {
            "key": "canary",
            "conversation_id": talk,
            "turn_id": talk,
            "node_id": "n",
            "write": write,
            "made_under": {},
        }
        await crm_writes.add(connection, agent_id, "crm", about)
        await connection.execute("UPDATE crm_write SET next_at = now()")
    account.fail("echoes", path="v4/", times=9)
    await CrmLooks(CrmWriteSweep(services.database), services.crm_later).once()
    account.faults.clear()
    async with services.database.workspace(who.workspace_id) as connection:
        letters = await (await connection.execute("SELECT error FROM dead_letter WHERE source = 'crm'")).fetchall()
    assert ["[hidden]" in letter["error"] for letter in letters] == [True], (
        "its words were not kept, so nothing is proved"
    )
    return hook


async def enter_all(
    services: Services, who: Any, fakes: tuple[Kommo, TelegramFake], agent_id: str, asks: Ask
) -> dict[str, str]:
    """A credential for each connector and a channel for each that offers one; their ids by connector."""
    account, bots = fakes
    ids = {}
    for kind in services.catalog.connectors.values():
        secrets = {name: entered(name, kind.id) for name in kind.settings.secret_fields()}
        made = await services.credentials.create(who, kind.id, "", secrets)
        ids[kind.id] = made.id
        await services.credentials.check(who, made.id)
        await services.credentials.replace_secret(who, made.id, {k: f"{v}-2" for k, v in secrets.items()})
    values = {"base_url": account.url, "way_in": "oauth", "authorize_url": f"{account.url}/oauth"}
    row = await services.credentials.create(who, "kommo", "Shop", {**values, "allow_private_host": True, **CLIENT})
    await grant(services, who, account, row.id, asks)
    await services.credentials.check(who, row.id)
    account.fail("unauthorized", path="account")
    await services.credentials.check(who, row.id)
    ids["granted"] = row.id
    bot = bots.bot()
    given = {"bot_token": bot.token, "base_url": bots.url, "allow_private_host": True}
    channel, _ = await services.channel_setup.create(who, agent_id, "telegram", settings=given)
    ids["channel"] = channel.id
    return ids


async def test_no_answer_state_log_row_or_export_holds_a_credential(
    services: Services, ann: Member, agent: Any, backed_up: Callable[[], str], admin: Any, log: io.StringIO
) -> None:
    sinks: dict[str, str] = {}

    async def asks(method: str, path: str, **more: Any) -> int:
        answer = await ann.client.request(method, path, **more)
        sinks[f"{method} {path.partition('?')[0][:20]} {len(sinks)}"] = f"{answer.content!r}{answer.headers}"
        return answer.status_code

    with kommo() as account, telegram() as bots, receiving() as receiver:
        ids = await enter_all(services, ann.who, (account, bots), agent.id, asks)
        assert {*services.catalog.connectors} < {*ids}
        lane = receiver.lane()
        row, _ = await services.event_subscriptions.create(
            ann.who, receiver.url(lane), ["turn.ended", "flow.finished"], allow_private_host=True
        )
        talk = await services.conversations.start(ann.who, agent_id=agent.id, dedupe_key="one")
        said = await services.conversations.receive(ann.who, talk, Reply(text="Ann"), dedupe_key="two")
        await services.conversations.wait_for_turn(ann.who, talk, said.inbox_id, 10)
        contact = admin.execute("SELECT contact_id::text FROM conversation WHERE id = %s", (talk,)).fetchone()[0]
        ids |= {
            "agent_id": agent.id, "flow_id": agent.main_flow_id, "conversation_id": talk, "contact_id": contact,
            "channel_id": ids["channel"], "subscription_id": row.id, "public_id": agent.public_id,
        }  # fmt: skip
        world = (ann.who, str(agent.id), str(talk), ids["granted"])
        hook = await write_and_hear(services, world, account, asks)
        # Before the handlers of the pages run, some of which delete.
        sinks |= {f"early {name}": text for name, text in rows_of_everything(admin).items()}
        sinks["backup"] = backed_up()
        for ticket in await services.event_sending.claim("events", 10):
            await services.event_sending.deliver(ticket)
        sinks["posted events"] = str([(a.headers, a.body) for a in lane.journal])
        assert "turn.ended" in sinks["posted events"]
        async with await key_client(services, ann.who, ann.address, *SCOPES) as program:
            sinks |= await asked_over_http(ann.address.app, ids, {"member": ann.client, "key": program})
        sinks |= await states_of_pages(ann.cookie, ids)
        asked_vendors = str([*account.journal]) + str([b.journal for b in bots.bots.values()])
    sinks |= {f"table {name}": text for name, text in rows_of_everything(admin).items()}
    sinks["log"] = log.getvalue()
    sinks["figures"] = (await services.figures.text()).decode()
    # The address that a customer system posts to is a secret as well; the rows it is found by hold it, and their copy.
    keepers = {"early public.crm_link", "backup"}
    assert {name for name, text in sinks.items() if hook in text} == keepers
    assert CLIENT["client_secret"] in asked_vendors, "nothing was asked with them, so this proves nothing"
    assert len(sinks) > 150
    assert {name: marks for name, text in sinks.items() if (marks := found_in(text))} == {}


async def asked_over_http(app: Any, ids: dict[str, str], clients: dict[str, httpx2.AsyncClient]) -> dict[str, str]:
    """The answer of every address that can be read, as a member's browser and as a program; ids where they fit."""
    found = {}
    for route in app.routes:
        if not isinstance(route, APIRoute) or "GET" not in (route.methods or ()) or "{rest" in route.path:
            continue
        path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda m: ids.get(m[1], ids["granted"]), route.path)
        for name, client in clients.items():
            async with client.stream("GET", path) as answer:
                assert answer.status_code < 500, path
                # Of a stream of events, those that were there.
                is_endless = answer.headers.get("content-type", "").startswith("text/event-stream")
                body = await anext(answer.aiter_bytes(), b"") if is_endless else await answer.aread()
            found[f"GET {path} {name}"] = f"{body!r}{answer.headers}{''.join(unzipped(body))}"
    return found


def unzipped(body: bytes) -> Iterator[str]:
    """What an export holds, which nobody would find in the packed bytes."""
    if body[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            yield from (repr(packed.read(name)) for name in packed.namelist())


async def states_of_pages(cookie: str, ids: dict[str, str]) -> dict[str, str]:
    """What every handler of every page leaves in the tab, called by the owner with the id of a credential."""
    found = {}
    for handler in ours():
        if getattr(handler, "is_background", False) or handler.fn.__name__ == "sign_out":
            continue
        try:
            left = await fire(handler, cookie, ids["granted"])
        except BuilderError as error:
            left = [error]
        found[handler.fn.__qualname__] = json.dumps(left, default=str)
    return found
