"""The real application on a real socket, with real services over real PostgreSQL."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from graph_runtime.api.app import create_app
from graph_runtime.api.server import server_config
from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.api.flows import GREETING
from tests.quick_server import QuickServer

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Address:
    """Where the application listens."""

    http: str
    app: Any

    @property
    def ws(self) -> str:
        return self.http.replace("http", "ws", 1)


@dataclass
class Member:
    """Somebody signed in, with an HTTP client that behaves like their browser."""

    who: Principal
    client: httpx2.AsyncClient
    address: Address
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def cookie(self) -> str:
        return "; ".join(f"{c.name}={c.value}" for c in self.client.cookies.jar)


@contextlib.asynccontextmanager
async def serving(app: Any, services: Services) -> AsyncIterator[Address]:
    config = server_config(app, services.settings)
    config.host, config.port = "127.0.0.1", 0
    server = QuickServer(config)
    task = asyncio.create_task(server._serve())
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.002)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Address(f"http://127.0.0.1:{port}", app)
    finally:
        server.leave()
        await task


@pytest.fixture
async def address(services: Services) -> AsyncIterator[Address]:
    async with serving(create_app(services), services) as here:
        yield here


@pytest.fixture
async def anonymous(address: Address) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=address.http, timeout=20) as client:
        yield client


async def first_owner(client: httpx2.AsyncClient, email: str = "ann@example.org") -> None:
    body = {"workspace": "Acme", "name": "Ann", "email": email, "password": PASSWORD, "language": "en"}
    answer = await client.post("/api/owner", json=body)
    assert answer.status_code == 204, answer.text


@pytest.fixture
async def ann(address: Address, services: Services) -> AsyncIterator[Member]:
    """The owner of the installation, signed in with a cookie."""
    async with httpx2.AsyncClient(base_url=address.http, timeout=20, headers={"Origin": address.http}) as client:
        await first_owner(client)
        token = next(iter(client.cookies.jar)).value
        assert token is not None
        yield Member(await services.accounts.principal(token), client, address)


@pytest.fixture
async def agent(services: Services, ann: Member) -> Any:
    """An agent that is on, with a published flow: greets, asks for the name, greets by name, ends."""
    row = await services.agents.create(ann.who, name="Reception", language="en")
    await services.drafts.replace(ann.who, row.main_flow_id, GREETING)
    draft = await services.drafts.open(ann.who, row.main_flow_id)
    await services.publishing.publish(ann.who, row.main_flow_id, revision=draft.revision)
    await services.agents.set_on(ann.who, row.id, True)
    return await services.agents.get(ann.who, row.id)


async def key_client(services: Services, who: Principal, address: Address, *scopes: str) -> httpx2.AsyncClient:
    """A client with a new API key."""
    _, secret = await services.api_keys.create(who, "test", list(scopes))
    return httpx2.AsyncClient(base_url=address.http, timeout=20, headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
async def program(services: Services, ann: Member, address: Address) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with a key that may do everything the API offers."""
    scopes = ("conversations:write", "conversations:read", "flows:read", "flows:write", "flows:publish")
    async with await key_client(services, ann.who, address, *scopes) as client:
        yield client
