"""What conversations need before the first process starts: an agent with the published flow, its model's key, API keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graph_runtime import bootstrap
from graph_runtime.contract.speech import SYNTHESIZER_SLOT, TRANSCRIBER_SLOT
from graph_runtime.services.passwords import PasswordCost
from graph_runtime.services.principal import Principal
from graph_runtime.settings import Settings
from tests.faults.plan import HOOKS

SCOPES = ["conversations:write", "conversations:read"]
KEYS = 40
"""An API key may send 1200 requests a minute; conversations are spread over several."""


@dataclass(frozen=True)
class World:
    """Addresses and secrets for the drivers."""

    owner: Principal
    agent_id: str
    flow_id: str
    public_id: str
    keys: tuple[str, ...]
    vendor_key: str
    vendor_url: str
    hooks: dict[str, Hook]


@dataclass(frozen=True)
class Hook:
    """A push channel: the path that takes its events in, and the secret of both directions."""

    path: str
    secret: str


def settings_of(environment: Mapping[str, str]) -> Settings:
    """The settings that a process with this environment would have."""
    names = {"PATCHCORD_SECRET_KEY": "secret_key", "PATCHCORD_DATABASE_URL": "database_url"}
    values: dict[str, Any] = {field: environment[name] for name, field in names.items()}
    values["plugin_packages"] = ("nodes", "connectors", "tests.faults.plugins")
    return Settings(**values)


async def make_world(
    environment: Mapping[str, str], document: dict[str, Any], vendor_url: str, vendor_key: str, receiver_url: str
) -> World:
    """Through the services, as a member does it. Push channels send to `receiver_url`/CONNECTOR."""
    services = await bootstrap.build(settings_of(environment), password_cost=PasswordCost(memory_kib=64, rounds=1))
    try:
        token = await services.accounts.create_owner(
            workspace="Faults", name="Ann", email="ann@example.org", password="correct horse battery staple",
            language="en",
        )  # fmt: skip
        owner = await services.accounts.principal(token.token)
        agent = await services.agents.create(owner, name="Faults", language="en")
        values = {"key": vendor_key, "base_url": f"{vendor_url}/v1"}
        credential = await services.credentials.create(owner, "openai", "Model", values)
        await services.drafts.replace(owner, agent.main_flow_id, document)
        await services.agents.bind(
            owner, agent.id, "llm", credential_id=credential.id, connector="openai", model="small"
        )
        await _publish(services, owner, agent.main_flow_id)
        await services.agents.set_on(owner, agent.id, True)
        made = [await services.api_keys.create(owner, f"driver {n}", SCOPES) for n in range(KEYS)]
        keys = tuple(secret for _, secret in made)
        hooks = {}
        for connector in set(HOOKS.values()):
            to = {"url": f"{receiver_url}/{connector}", "allow_private_host": True}
            row, secret = await services.channel_setup.create(owner, agent.id, connector, settings=to)
            hooks[connector] = Hook(row.path, secret)
        return World(owner, agent.id, agent.main_flow_id, agent.public_id, keys, vendor_key, vendor_url, hooks)
    finally:
        await services.close()


async def make_line(
    environment: Mapping[str, str], world: World, document: dict[str, Any], speech: str, **settings: Any
) -> str:
    """An agent with a telephone line, which a connector for `speech` needs no key for; the line's secret."""
    services = await bootstrap.build(settings_of(environment))
    try:
        owner = world.owner
        agent = await services.agents.create(owner, name="Calls", language="en")
        await services.drafts.replace(owner, agent.main_flow_id, document)
        values = {"key": world.vendor_key, "base_url": f"{world.vendor_url}/v1"}
        credential = await services.credentials.create(owner, "openai", "Model of calls", values)
        await services.agents.bind(
            owner, agent.id, "llm", credential_id=credential.id, connector="openai", model="small"
        )
        for slot in (TRANSCRIBER_SLOT, SYNTHESIZER_SLOT):
            await services.agents.bind(owner, agent.id, slot, credential_id=None, connector=speech, model="")
        await _publish(services, owner, agent.main_flow_id)
        await services.agents.set_on(owner, agent.id, True)
        _, secret = await services.channel_setup.create(owner, agent.id, "asterisk", settings=settings)
        return secret
    finally:
        await services.close()


async def publish_again(environment: Mapping[str, str], world: World, document: dict[str, Any]) -> None:
    """Another version, while people talk."""
    services = await bootstrap.build(settings_of(environment))
    try:
        await services.drafts.replace(world.owner, world.flow_id, document)
        await _publish(services, world.owner, world.flow_id)
    finally:
        await services.close()


async def _publish(services: bootstrap.Services, owner: Principal, flow_id: str) -> None:
    draft = await services.drafts.open(owner, flow_id)
    await services.publishing.publish(owner, flow_id, revision=draft.revision)
