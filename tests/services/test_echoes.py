"""What a service repeats of its own key comes back without it, wherever it stands and however it is written."""

from __future__ import annotations

import json

from graph_runtime.bootstrap import Services
from graph_runtime.contract.channels import HttpAnswer
from graph_runtime.contract.http import HttpReply
from graph_runtime.services.echoes import HIDDEN, SHORTEST, secrets_of, silenced
from graph_runtime.services.principal import Principal
from tests.fakes.kommo import LONG_TOKEN, kommo
from tests.services.test_connections import SETTINGS, agent_with

KEY = 'a/key "of" ours é'


def test_it_is_found_in_parsed_answers_and_in_headers() -> None:
    reply = HttpReply(200, {"x-you-sent": f"Bearer {KEY}"}, {"list": [{KEY: [f"so {KEY}!", 7, None]}], "n": 1.5})
    assert silenced(reply, [KEY]) == HttpReply(
        200, {"x-you-sent": f"Bearer {HIDDEN}"}, {"list": [{HIDDEN: [f"so {HIDDEN}!", 7, None]}], "n": 1.5}
    )


def test_it_is_found_in_bytes_however_json_writes_it() -> None:
    for body in (KEY, json.dumps(KEY), json.dumps(KEY).replace("/", "\\/"), json.dumps(KEY, ensure_ascii=False)):
        answer = silenced(HttpAnswer(400, {}, f'{{"said": {body}}}'.encode()), [KEY])
        assert b"key" not in answer.body, body
        assert HIDDEN.encode() in answer.body
    assert silenced(HttpAnswer(200, {}, b"\xff\x00"), [KEY]).body == b"\xff\x00"


async def test_a_real_answer_that_repeats_the_key_shows_it_to_nobody(services: Services, owner: Principal) -> None:
    with kommo() as fake:
        agent_id, flow_id = await agent_with(services, owner, fake, SETTINGS)
        fake.fail("echoes", path="account")
        tried = await services.step_trial.run(owner, flow_id, "h", {"part": "account"})
        assert tried.requests[0]["status"] == 400
        assert f"Not with {HIDDEN}." in str(tried)
        assert fake.journal[-1].token == LONG_TOKEN
        assert LONG_TOKEN not in str(tried)
        fake.fail("echoes", path="custom_fields")
        try:
            await services.remote_options.of(owner, agent_id, "shop", "crm.fields", "lead")
        except Exception as error:  # noqa: BLE001  # whatever it is, its words are what counts
            assert HIDDEN in str(error)
            assert LONG_TOKEN not in str(error)
        else:
            raise AssertionError("the account refused, and nothing was said")


def test_short_words_are_left_alone(services: Services) -> None:
    kind = services.catalog.connectors["http_key"]
    settings = kind.settings.model_validate({"base_url": "https://a.example", "secret": "abc", "auth": "bearer"})
    assert kind.http is not None
    assert secrets_of(settings, kind.http.auth(settings, "")) == ("Bearer abc",)
    assert len("Bearer abc") >= SHORTEST
