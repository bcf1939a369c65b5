"""The editor's socket: saving, repeating, clashing, two tabs, problems, exits, test conversations, the end of a session."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from graph_runtime.api.editor import socket as editor_socket
from graph_runtime.bootstrap import Services
from graph_runtime.worker.timers import Timers
from tests.api.conftest import Address, Member
from tests.api.sockets import Page, page, refused
from tests.phone_world import phone_flow


def tab(ann: Member, flow_id: str) -> AbstractAsyncContextManager[Page]:
    return page(f"{ann.address.ws}/ws/editor/{flow_id}", Cookie=ann.cookie, Origin=ann.address.http)


def rename(node_id: str, name: str) -> dict[str, Any]:
    return {"kind": "change_node", "id": node_id, "name": name}


def batch(seq: int, base: int, *edits: dict[str, Any], client: str = "tab-1") -> dict[str, Any]:
    return {"t": "edits", "client": client, "seq": seq, "base": base, "edits": list(edits)}


async def test_a_batch_is_saved_once_however_often_it_comes(ann: Member, agent: Any, services: Services) -> None:
    async with tab(ann, agent.main_flow_id) as one:
        base = (await one.until("hello"))["rev"]
        await one.send(**batch(1, base, rename("n_name", "Who")))
        assert (await one.until("saved"))["rev"] == base + 1
        await one.send(**batch(1, base, rename("n_name", "Who")))
        assert await one.until("saved") == {"t": "saved", "seq": 1, "rev": base + 1}
    draft = await services.drafts.open(ann.who, agent.main_flow_id)
    assert (draft.revision, draft.flow.nodes["n_name"].name) == (base + 1, "Who")


async def test_two_tabs_keep_each_other_up_to_date(ann: Member, agent: Any) -> None:
    async with tab(ann, agent.main_flow_id) as one, tab(ann, agent.main_flow_id) as two:
        base = (await one.until("hello"))["rev"]
        assert (await one.until("editors", lambda f: len(f["names"]) == 2))["names"] == ["Ann", "Ann"]
        await one.send(**batch(1, base, rename("n_name", "Who")))
        patch = await two.until("patch")
        assert (patch["rev"], patch["by"]) == (base + 1, "Ann")
        assert patch["edits"][0]["name"] == "Who"
        # The second tab has not answered to that yet: its own edit of another place is taken all the same.
        await two.send(**batch(1, base, rename("n_day", "When"), client="tab-2"))
        assert (await two.until("saved"))["rev"] == base + 2
        assert (await one.until("patch"))["edits"][0]["name"] == "When"
    assert not [f for f in one.seen if f["t"] == "patch" and f["edits"][0]["name"] == "Who"]


async def test_a_clash_brings_the_present_state(ann: Member, agent: Any) -> None:
    async with tab(ann, agent.main_flow_id) as one, tab(ann, agent.main_flow_id) as two:
        base = (await one.until("hello"))["rev"]
        await one.send(**batch(1, base, rename("n_name", "Mine")))
        await one.until("saved")
        await two.send(**batch(1, base, rename("n_name", "Theirs"), client="tab-2"))
        clash = await two.until("conflict")
        assert (clash["seq"], clash["rev"], clash["paths"]) == (1, base + 1, ["nodes/n_name/name"])
        assert clash["flow"]["nodes"]["n_name"]["name"] == "Mine"
        await two.send(**batch(2, clash["rev"], rename("n_name", "Theirs"), client="tab-2"))
        assert (await two.until("saved"))["rev"] == base + 2


async def test_a_bad_edit_is_refused_and_the_tab_goes_on(ann: Member, agent: Any) -> None:
    async with tab(ann, agent.main_flow_id) as one:
        base = (await one.until("hello"))["rev"]
        await one.send(**batch(1, base, rename("n_gone", "x")))
        assert (await one.until("rejected"))["code"] == "edit_invalid"
        await one.send(**batch(2, base, {"kind": "run_code", "source": "1"}))
        assert (await one.until("rejected"))["code"] == "input_invalid"
        await one.connection.send("not json")
        assert (await one.until("rejected"))["code"] == "bad_frame"
        await one.send(t="unheard_of")
        assert (await one.until("rejected"))["seq"] is None
        await one.send(**batch(3, base, rename("n_name", "ok")))
        assert (await one.until("saved"))["seq"] == 3
        await one.send(t="ping")
        assert await one.until("pong")


async def test_problems_and_exits_follow_the_edits(ann: Member, agent: Any) -> None:
    options = [{"id": "mon", "label": "Monday"}, {"id": "wed", "label": "Wednesday"}]
    async with tab(ann, agent.main_flow_id) as one, tab(ann, agent.main_flow_id) as two:
        base = (await one.until("hello"))["rev"]
        await one.send(**batch(1, base, {"kind": "change_settings", "id": "n_day", "set": {"options": options}}))
        exits = (await one.until("ports"))["nodes"]["n_day"]
        assert [e["id"] for e in exits][:2] == ["mon", "wed"]
        assert "n_day" in (await two.until("ports"))["nodes"]
        problems = await one.until("problems")
        assert problems["rev"] == base + 1
        assert {p["code"] for p in problems["items"] if p["level"] == "error"} == {"F001", "F016"}
        assert set(problems["items"][0]["message"]) == {"en", "ru", "uk"}
        assert (await two.until("problems"))["items"] == problems["items"]


async def test_what_is_chosen_behind_a_slot_is_checked_at_once_in_every_tab(ann: Member, agent: Any) -> None:
    prompt = {"kind": "add_node", "id": "n_p", "node": {"type": "prompt", "v": 1, "settings": {"connection": "llm"}}}
    async with tab(ann, agent.main_flow_id) as one, tab(ann, agent.main_flow_id) as two:
        base = (await one.until("hello"))["rev"]
        await one.send(**batch(1, base, prompt, {"kind": "connect", "port": "n_start.next", "target": "n_p"}))
        await one.until("saved")  # its problems are told a moment later, and would be old news by then
        path = f"/api/builder/agents/{agent.id}/connections/llm"
        assert (await ann.client.put(path, json={"connector": "demo_model", "model": ""})).status_code == 204
        for place in (one, two):
            assert "F004" not in {p["code"] for p in (await place.until("problems"))["items"]}
            assert not [f for f in await place.quiet() if f["t"] == "problems"]
        assert (await ann.client.put(path, json={"connector": "", "model": ""})).status_code == 204
        assert "F004" in {p["code"] for p in (await two.until("problems"))["items"]}


async def test_an_edit_saved_over_http_reaches_the_other_tabs(ann: Member, agent: Any) -> None:
    path = f"/api/builder/flows/{agent.main_flow_id}/edits"
    async with tab(ann, agent.main_flow_id) as one, tab(ann, agent.main_flow_id) as other:
        base = (await one.until("hello"))["rev"]
        await one.send(**batch(1, base, rename("n_name", "Who")))
        await one.until("saved")
        body = {"client": "tab-1", "seq": 2, "base_revision": base + 1, "edits": [rename("n_day", "When")]}
        saved = await ann.client.post(path, json=body)
        assert (saved.status_code, saved.json()["revision"]) == (200, base + 2)
        assert (await other.until("patch", lambda f: f["rev"] == base + 2))["edits"][0]["name"] == "When"
        assert not [f for f in await one.quiet() if f["t"] == "patch"]
        again = await ann.client.post(path, json=body)
        assert again.json()["revision"] == base + 2
        clash = await ann.client.post(path, json=body | {"client": "tab-9", "base_revision": base})
        assert clash.status_code == 409
        assert clash.json()["code"] == "conflict"
        assert clash.json()["flow"]["nodes"]["n_day"]["name"] == "When"
        assert clash.json()["revision"] == base + 2


async def test_a_test_conversation_runs_on_the_unpublished_draft(ann: Member, agent: Any) -> None:
    async with tab(ann, agent.main_flow_id) as one:
        base = (await one.until("hello"))["rev"]
        edit = {"kind": "change_settings", "id": "n_name", "set": {"text": "Name, please?"}}
        await one.send(**batch(1, base, edit))
        await one.until("saved")
        await one.send(t="test_start", language="en", contact={"first_name": "Zoe"})
        assert (await one.until("test"))["conversation_id"]
        said = await one.until("live", lambda f: f["event"]["type"] == "message")
        assert said["event"]["message"]["text"] == "Name, please?"
        await one.send(t="test_say", client_id="c1", text="Zoe", option_id="")
        await one.until("live", lambda f: f["event"].get("message", {}).get("text") == "Hello Zoe, which day?")
        await one.until("live", lambda f: f["event"]["type"] == "turn")
        steps = [f["event"] for f in one.seen if f["t"] == "live" and f["event"]["type"] == "step"]
        assert {s["node_id"] for s in steps} >= {"n_name", "n_day"}
        await one.send(t="test_stop")
        await one.send(t="test_say", client_id="c2", text="late", option_id="")
        assert (await one.until("live", lambda f: f["event"]["type"] == "error"))["event"]["code"] == "input_invalid"


async def test_silence_can_be_skipped_in_a_test(ann: Member, agent: Any, services: Services) -> None:
    side = services.conversation_side
    timers = Timers(side.sweep, side.runner, side.database.listen)
    async with tab(ann, agent.main_flow_id) as one:
        base = (await one.until("hello"))["rev"]
        await one.send(t="test_start", language="en", contact={})
        await one.until("live", lambda f: f["event"]["type"] == "turn")
        await one.send(t="test_skip")
        refused = await one.until("live", lambda f: f["event"]["type"] == "error")
        assert refused["event"]["params"]["reason"] == "no_timer"
        edit = {"kind": "change_settings", "id": "n_name", "set": {"no_reply_after": "PT24H"}}
        wire = {"kind": "connect", "port": "n_name.no_reply", "target": "n_end"}
        await one.send(**batch(1, base, edit, wire))
        await one.until("saved")
        one.seen.clear()
        await one.send(t="test_start", language="en", contact={})
        await one.until("live", lambda f: f["event"]["type"] == "turn" and f["event"]["waits"] == "reply")
        await one.send(t="test_skip")
        async with asyncio.timeout(5):
            while not await timers.once():  # noqa: ASYNC110 (what is waited for is in the database)
                await asyncio.sleep(0.05)
        assert (await one.until("live", lambda f: f["event"]["type"] == "ended"))["event"]["result"] == "booked"


async def test_what_a_step_waits_for_happens_in_a_test(ann: Member, agent: Any, services: Services) -> None:
    side = services.conversation_side
    timers = Timers(side.sweep, side.runner, side.database.listen)
    async with tab(ann, agent.main_flow_id) as one:
        base = (await one.until("hello"))["rev"]
        node = {"type": "delay", "v": 1, "settings": {"duration": "P9D", "event": "chain.finished"}}
        await one.send(
            **batch(
                1, base, {"kind": "add_node", "id": "n_wait", "node": node},
                {"kind": "connect", "port": "n_start.next", "target": "n_wait"},
                {"kind": "connect", "port": "n_wait.elapsed", "target": "n_name"},
                {"kind": "connect", "port": "n_wait.happened", "target": "n_end"},
            )
        )  # fmt: skip
        await one.until("saved")
        await one.send(t="test_start", language="en", contact={})
        rests = await one.until("live", lambda f: f["event"]["type"] == "turn" and f["event"].get("waits") == "time")
        assert rests["event"]["awaits"] == "chain.finished"
        await one.send(t="test_skip", happens=True)
        async with asyncio.timeout(5):
            while not await timers.once():  # noqa: ASYNC110 (what is waited for is in the database)
                await asyncio.sleep(0.05)
        assert (await one.until("live", lambda f: f["event"]["type"] == "ended"))["event"]["result"] == "booked"


async def test_a_test_can_be_played_as_a_phone_call(ann: Member, agent: Any, services: Services) -> None:
    document = phone_flow(
        {
            "n_code": ("listen", {"takes": "digits", "most_keys": 4, "save_to": "code"}),
            "n_move": ("transfer_call", {"target": "120", "text": "Code {{ var.code }}."}),
            "n_busy": ("hang_up", {"text": "Busy.", "reason": "busy"}),
        },
        {
            "n_start.next": "n_code", "n_code.digits": "n_move", "n_code.silence": "n_busy", "n_move.busy": "n_busy",
            "n_move.answered": "n_busy", "n_move.no_answer": "n_busy", "n_move.error": "n_busy",
        },
        variables={"code": {"type": "text", "label": "Code"}},
    )  # fmt: skip
    await services.drafts.replace(ann.who, agent.main_flow_id, document)
    async with tab(ann, agent.main_flow_id) as one:
        await one.until("hello")
        await one.send(t="test_start", language="en", contact={}, is_call=True)
        waits = (await one.until("live", lambda f: f["event"]["type"] == "call"))["event"]["waits"]
        assert (waits["kind"], waits["takes_speech"], waits["digits"]["most"]) == ("listen", False, 4)
        await one.send(t="test_say", client_id="c1", text="0417", option_id="")
        keyed = await one.until("live", lambda f: f["event"].get("message", {}).get("role") == "contact")
        assert keyed["event"]["message"]["client_id"] == "c1"
        await one.until("live", lambda f: f["event"].get("message", {}).get("text") == "Code 0417.")
        rings = await one.until(
            "live",
            lambda f: f["event"].get("waits", {}) and f["event"]["type"] == "call" and "target" in f["event"]["waits"],
        )
        assert (rings["event"]["waits"]["kind"], rings["event"]["waits"]["target"]) == ("transfer", "120")
        await one.send(t="test_say", client_id="c2", text="Busy", option_id="busy")
        await one.until("live", lambda f: f["event"].get("message", {}).get("text") == "Busy.")
        assert (await one.until("live", lambda f: f["event"]["type"] == "ended"))["event"]["result"] == "busy"
        one.seen.clear()
        await one.send(t="test_start", language="en", contact={}, is_call=True)
        await one.until("live", lambda f: f["event"]["type"] == "call")
        await one.send(t="test_skip")
        assert (await one.until("live", lambda f: f["event"]["type"] == "ended"))["event"]["result"] == "busy"


async def test_a_session_that_ended_closes_the_tab_with_a_reason(
    ann: Member, agent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(editor_socket, "SESSION_TRUSTED_SECONDS", 0.05)
    async with tab(ann, agent.main_flow_id) as one:
        await one.until("hello")
        await ann.client.delete("/api/session")
        code, reason = await one.closed()
    assert code == 4401
    assert "Sign in again" in reason


async def test_who_may_not_open_a_flow_is_told_why(
    ann: Member, agent: Any, address: Address, services: Services
) -> None:
    path = f"{address.ws}/ws/editor/{agent.main_flow_id}"
    assert await refused(path, Cookie=ann.cookie, Origin="https://evil.example") == 403
    async with page(path, Origin=address.http) as anonymous:
        assert (await anonymous.closed())[0] == 4401
    async with tab(ann, "0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b") as nowhere:
        assert (await nowhere.closed())[0] == 4404
    async with tab(ann, "not-an-id") as nowhere:
        assert (await nowhere.closed())[0] == 4404


async def test_a_restored_version_reaches_open_tabs(ann: Member, agent: Any) -> None:
    async with tab(ann, agent.main_flow_id) as one:
        base = (await one.until("hello"))["rev"]
        await one.send(**batch(1, base, rename("n_name", "Who")))
        await one.until("saved")
        answer = await ann.client.post(f"/api/builder/flows/{agent.main_flow_id}/restore", json={"number": 1})
        assert answer.json()["flow"]["nodes"]["n_name"]["name"] == ""
        assert (await one.until("hello"))["rev"] == answer.json()["revision"]
