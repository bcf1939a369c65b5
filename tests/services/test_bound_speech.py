"""What hears and speaks in a call: the agent's choice, the workspace's, speech without keys, or a clear refusal."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.offline_speech import speech as offline
from graph_runtime.bootstrap import Services
from graph_runtime.contract.catalog import Catalog, load_catalog
from graph_runtime.contract.errors import CredentialRejected, InputInvalid
from graph_runtime.services.bound_models import BoundModels
from graph_runtime.services.bound_speech import BoundSpeech
from graph_runtime.services.principal import Principal
from tests.fakes.google_speech import key_file
from tests.phone_world import new_line, phone_flow

CATALOG = load_catalog(["connectors"])
ABSENT = Catalog(connectors={k: c for k, c in CATALOG.connectors.items() if k != "offline_speech"})


async def agent(services: Services, owner: Principal) -> str:
    return (await services.agents.create(owner, name="Shop")).id


async def google_key(services: Services, owner: Principal) -> str:
    text = key_file(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    return (await services.credentials.create(owner, "google_speech", "G", {"key": text})).id


@pytest.mark.skipif(bool(offline.missing()), reason="the extra offline-voice is not installed")
async def test_without_a_choice_speech_without_keys_serves(services: Services, owner: Principal) -> None:
    speech = BoundSpeech(services.database, CATALOG, services.vault)
    agent_id = await agent(services, owner)
    first = await speech.transcriber(owner.workspace_id, agent_id)
    assert first.connector.id == "offline_speech"
    assert (await speech.transcriber(owner.workspace_id, agent_id)).transcriber is first.transcriber
    assert (await speech.synthesizer(owner.workspace_id, agent_id)).voice == ""
    await speech.close()


async def test_with_nothing_installed_and_chosen_it_says_so(services: Services, owner: Principal) -> None:
    speech = BoundSpeech(services.database, ABSENT, services.vault)
    with pytest.raises(CredentialRejected, match="Models & keys"):
        await speech.synthesizer(owner.workspace_id, await agent(services, owner))


async def test_the_agents_choice_goes_before_the_workspaces(services: Services, owner: Principal) -> None:
    speech = BoundSpeech(services.database, CATALOG, services.vault)
    agent_id, google = await agent(services, owner), await google_key(services, owner)
    openai = (await services.credentials.create(owner, "openai", "O", {"key": "sk-0123456789ab"})).id
    await services.workspace_settings.set_default_speech(
        owner, "synthesizer", credential_id=openai, connector="openai", model="nova"
    )
    chosen = await speech.synthesizer(owner.workspace_id, agent_id)
    assert (chosen.connector.id, chosen.voice) == ("openai", "nova")
    await services.agents.bind(
        owner, agent_id, "synthesizer", credential_id=google, connector="google_speech", model="Chirp3-HD-Kore"
    )
    chosen = await speech.synthesizer(owner.workspace_id, agent_id)
    assert (chosen.connector.id, chosen.voice) == ("google_speech", "Chirp3-HD-Kore")
    a_step = await speech.synthesizer(owner.workspace_id, agent_id, "n_1")
    assert a_step.synthesizer is chosen.synthesizer, "a step without a slot of its own uses the agent's"
    await services.agents.bind(
        owner, agent_id, "transcriber", credential_id=google, connector="google_speech", model="telephony"
    )
    assert (await speech.transcriber(owner.workspace_id, agent_id)).transcriber.name == "telephony"
    await services.credentials.delete(owner, openai)
    await speech.close()


async def test_a_connector_is_bound_only_where_it_has_something_to_offer(services: Services, owner: Principal) -> None:
    agent_id, google = await agent(services, owner), await google_key(services, owner)
    with pytest.raises(InputInvalid):
        await services.agents.bind(owner, agent_id, "llm", credential_id=google, connector="google_speech")
    with pytest.raises(InputInvalid):
        await services.agents.bind(owner, agent_id, "transcriber", credential_id=None, connector="demo_model")
    with pytest.raises(InputInvalid):
        await services.workspace_settings.set_default_speech(owner, "llm", credential_id=None)


async def test_libraries_are_loaded_for_agents_on_the_phone_only(services: Services, owner: Principal) -> None:
    loaded: list[str] = []
    kinds = {k: replace(c, warm_up=c.warm_up and partial(loaded.append, k)) for k, c in CATALOG.connectors.items()}
    models = BoundModels(services.database, Catalog(connectors=kinds), services.vault)
    agent_id, google = await agent(services, owner), await google_key(services, owner)
    openai = (await services.credentials.create(owner, "openai", "O", {"key": "sk-0123456789ab"})).id
    await services.agents.bind(
        owner, agent_id, "transcriber", credential_id=google, connector="google_speech", model=""
    )
    await services.workspace_settings.set_default_model(owner, credential_id=openai, connector="openai", model="m")
    await models.warm_up_for_calls()
    assert loaded == [], "nobody is on the phone"
    line = await new_line(services, owner, phone_flow({"n_end": ("hang_up", {})}, {"n_start.next": "n_end"}))
    await models.warm_up_for_calls()
    assert loaded == ["openai"]
    loaded.clear()
    await services.agents.bind(
        owner, line.agent_id, "synthesizer", credential_id=google, connector="google_speech", model="Chirp3-HD-Kore"
    )
    await models.warm_up_for_calls()
    assert sorted(loaded) == ["google_speech", "openai"]
