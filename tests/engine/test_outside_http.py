"""A step's requests: recorded once, repeated where that is safe, only shown in tests; keys go to their own hosts."""

from __future__ import annotations

from typing import Any

import pytest

from graph_runtime.contract import events as happened
from graph_runtime.contract.catalog import load_catalog
from graph_runtime.contract.errors import OutcomeUnknown, Refused, Unreachable
from graph_runtime.contract.flow import load_flow
from graph_runtime.contract.http import HttpAuth, HttpReply
from graph_runtime.engine.compile import compile_flow
from graph_runtime.engine.effects import MemoryJournal
from graph_runtime.engine.http import HttpDoor
from graph_runtime.engine.run import TurnResult, run_turn
from graph_runtime.engine.turn import Doors, Trigger
from tests.engine.test_http import answer, server
from tests.engine.turns import NOON

CATALOG = load_catalog(("nodes",))


class Script:
    """A way out that answers from a script."""

    def __init__(self, *answers: HttpReply | Exception) -> None:
        self.answers = list(answers)
        self.seen: list[dict[str, Any]] = []

    async def call(self, method: str, url: str, *, headers: dict[str, str], body: Any, seconds: float) -> HttpReply:
        self.seen.append({"method": method, "url": url, "headers": headers, "body": body})
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    async def close(self) -> None:
        """Nothing is open."""


async def run(doors: Doors, settings: dict[str, Any], *, is_test: bool = False) -> TurnResult:
    flow = load_flow(
        {
            "format": "flow/1", "entry": {"message": "s"}, "variables": {"id": {"type": "number"}},
            "nodes": {"s": {"type": "start"}, "h": {"type": "http_request", "settings": settings}, "e": {"type": "end"}},
            "edges": {"s.next": "h", "h.ok": "e", "h.http_error": "e", "h.error": "e"},
        }
    )  # fmt: skip
    trigger = Trigger("start", "ws", "conv", "turn-1", 1, NOON, is_test=is_test)
    return await run_turn(compile_flow(flow, {}, CATALOG), None, trigger, doors)


def port(result: TurnResult) -> str:
    return next(p for step, p, _ in result.path if step == "h")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_pause(_seconds: float) -> None:
        return None

    monkeypatch.setattr("graph_runtime.engine.outside_http.asyncio.sleep", no_pause)


POST = {"method": "POST", "url": "https://a.example/x", "body_kind": "json", "json_body": '{"n": 1}'}
GET = {"url": "https://a.example/x", "parts": [{"pointer": "id", "save_to": "id"}], "tries": 3}


async def test_a_repeated_turn_re_uses_the_answer_and_a_call_in_flight_keeps_its_key() -> None:
    journal, door = MemoryJournal(), Script(OutcomeUnknown("gone"), HttpReply(201, {}, {"id": 7}))
    assert port(await run(Doors(journal, http=door), POST)) == "error"
    assert port(await run(Doors(journal, http=door), POST)) == "ok"
    assert port(await run(Doors(journal, http=door), POST)) == "ok"
    first, second = (s["headers"]["Idempotency-Key"] for s in door.seen)
    assert first == second
    assert "conv" not in first
    assert door.seen[0]["body"] == '{"n": 1}'


@pytest.mark.parametrize(
    ("settings", "answers", "calls", "exit_"),
    [
        (GET, [HttpReply(503), HttpReply(502), HttpReply(200, {}, {"id": 1})], 3, "ok"),
        (GET, [Unreachable("x"), OutcomeUnknown("x"), HttpReply(200, {}, {"id": 1})], 3, "ok"),
        (GET, [HttpReply(404)], 1, "http_error"),
        (GET, [HttpReply(500), HttpReply(500), HttpReply(500)], 3, "http_error"),
        (GET, [HttpReply(503, {"retry-after": "600"})], 1, "http_error"),
        (GET, [Refused("an address inside this network")], 1, "error"),
        (POST, [HttpReply(503)], 1, "http_error"),
        (POST, [OutcomeUnknown("x")], 1, "error"),
        (POST, [HttpReply(429, {"retry-after": "1"}), HttpReply(200)], 2, "ok"),
        (POST, [Unreachable("x"), HttpReply(200)], 2, "ok"),
    ],
)
async def test_what_is_tried_again(
    settings: dict[str, Any], answers: list[HttpReply | Exception], calls: int, exit_: str
) -> None:
    door = Script(*answers)
    result = await run(Doors(MemoryJournal(), http=door), settings)
    assert (len(door.seen), port(result)) == (calls, exit_)


async def test_a_test_sends_what_changes_nothing_and_shows_the_rest() -> None:
    door = Script(HttpReply(200, {}, {"id": 3}))
    result = await run(Doors(MemoryJournal(), http=door), GET, is_test=True)
    assert result.variables["id"] == 3
    sample = POST | {"sample": '{"id": 9}', "parts": GET["parts"]}
    result = await run(Doors(MemoryJournal(), http=door), sample, is_test=True)
    assert (result.variables["id"], len(door.seen)) == (9, 1)
    (shown,) = [e for e in result.events if isinstance(e, happened.OutsideCalled) and e.is_planned]
    assert (shown.what, shown.details["body"]) == ("POST https://a.example/x", '{"n": 1}')


async def test_an_answer_too_large_for_a_conversation_is_refused() -> None:
    door = Script(HttpReply(200, {}, "x" * 1_000_001))
    assert port(await run(Doors(MemoryJournal(), http=door), GET)) == "error"


async def test_a_key_goes_to_its_own_host_and_not_along_a_redirect() -> None:
    async with server(answer(b"done")) as (second, got_second):
        moved = answer(b"", f"Location: http://127.0.0.1:{second}/b", status="307 Moved")
        async with server(moved) as (first, got_first):
            hosts = frozenset({f"127.0.0.1:{first}"})
            door = HttpDoor(private_hosts=frozenset({*hosts, f"127.0.0.1:{second}"}))
            own = next(iter(hosts))
            auth = HttpAuth(f"http://{own}", hosts, {"X-Own": "canary-4711"}, own)
            url = f"http://{own}/a"
            reply = await door.call("POST", url, headers={"x-own": "forged"}, body="b", seconds=5, auth=auth)
            await door.close()
    assert reply.body == "done"
    assert b"X-Own: canary-4711" in got_first[0]
    assert b"forged" not in got_first[0]
    assert b"canary" not in got_second[0]


async def test_a_key_is_not_sent_in_the_clear() -> None:
    door = HttpDoor()
    auth = HttpAuth("http://api.example", frozenset({"api.example:80"}), {"Authorization": "Bearer canary"})
    with pytest.raises(Refused, match="https only"):
        await door.call("GET", "http://api.example/", headers={}, body=None, seconds=5, auth=auth)
    await door.close()
    assert "canary" not in repr(auth)
