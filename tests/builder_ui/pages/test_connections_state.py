"""Connections: forms that show what fits, secrets that never come out, access that is granted elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from builder_ui.pages.connections_state import Connections
from builder_ui.pages.models_state import Models
from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.builder_ui.tab import Tab
from tests.fakes.kommo import CLIENT, LONG_TOKEN, Kommo, kommo


@pytest.fixture
def fake() -> Iterator[Kommo]:
    with kommo() as account:
        yield account


async def add(tab: Tab, fake: Kommo, **more: str) -> None:
    await tab.call(Connections, "load")
    await tab.call(Connections, "begin_adding")
    await tab.call(Connections, "choose", "kommo")
    await tab.call(Connections, "pick", "way_in", more.get("way_in", "token"))
    form = {
        "label": "Магазин",
        "base_url": fake.url,
        "way_in": "token",
        "long_token": LONG_TOKEN,
        "allow_private_host": "on",
    }
    await tab.call(Connections, "save", {**form, **more})


async def test_a_connection_is_stored_checked_changed_and_never_shown(
    services: Services, tab: Tab, who: Principal, fake: Kommo
) -> None:
    await add(tab, fake)
    page = tab.state(Connections)
    (link,) = page.links
    assert (link.label, link.state, link.signs_in, link.is_model) == ("Магазин", "works", False, False)
    assert tab.notice == ("success", "links.works")
    await tab.call(Connections, "begin_changing", link.id)
    assert {f.key: f.value for f in page.fields}["base_url"] == fake.url
    assert {f.key: f.value for f in page.fields}["long_token"] == ""
    await tab.call(
        Connections, "save", {"label": "Квіти", "base_url": fake.url, "way_in": "token", "allow_private_host": "on"}
    )
    assert [k.label for k in page.links] == ["Квіти"]
    assert (await services.credentials.check(who, link.id)).ok, "the saved token is still there"
    await tab.call(Connections, "begin_changing", link.id)
    await tab.call(Connections, "save", {"label": "x", "base_url": "https://evil.example", "way_in": "token"})
    assert tab.notice[0] == "error"
    assert LONG_TOKEN not in str(tab.root.dict())


async def test_the_form_follows_the_choices_and_oauth_begins_at_the_service(
    services: Services, tab: Tab, who: Principal, fake: Kommo
) -> None:
    await tab.call(Connections, "load")
    await tab.call(Connections, "begin_adding")
    await tab.call(Connections, "choose", "kommo")
    page = tab.state(Connections)
    assert {f.key for f in page.fields} == {"base_url", "way_in", "long_token"}
    assert page.redirect == ""
    await tab.call(Connections, "pick", "way_in", "oauth")
    assert {f.key for f in page.fields} == {"base_url", "way_in", "client_id", "client_secret"}
    assert page.redirect.endswith("/oauth/callback")
    await add(tab, fake, way_in="oauth", authorize_url=f"{fake.url}/oauth", **CLIENT)
    (link,) = page.links
    assert (link.state, tab.notice[1]) == ("none", "links.saved_connect")
    sent = str(await tab.call(Connections, "connect", link.id))
    assert f"{fake.url}/oauth?" in sent
    assert CLIENT["client_secret"] not in str(tab.root.dict()) + sent


async def test_models_and_connections_do_not_offer_each_others_keys(tab: Tab) -> None:
    await tab.call(Models, "load")
    await tab.call(Connections, "load")
    models, links = ({v.id for v in tab.state(Models).vendors}, {v.id for v in tab.state(Connections).offers})
    assert not models & links
    assert {"kommo", "rest_crm", "http_key", "oauth_app"} <= links
    assert {"openai", "anthropic"} <= models


async def test_deleting_names_the_agents(services: Services, tab: Tab, who: Principal, fake: Kommo) -> None:
    await add(tab, fake)
    (link,) = tab.state(Connections).links
    await tab.call(Connections, "ask_delete", link.id)
    assert tab.state(Connections).doomed_agents == []
    await tab.call(Connections, "delete")
    assert tab.state(Connections).links == []
