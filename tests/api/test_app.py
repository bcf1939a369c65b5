"""What holds for every address: errors, limits, headers, health, the catalog, the screens behind it all."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter
from starlette.types import Receive, Scope, Send

from graph_runtime.api.access import anyone, refuse_unguarded, router
from graph_runtime.api.app import MOUNTS, create_app
from graph_runtime.api.headers import inline_script_hashes
from graph_runtime.api.screens import lifespan_of, load_screens
from graph_runtime.bootstrap import Services
from tests.api.conftest import Address, Member, serving


async def test_every_error_is_a_problem(anonymous: httpx2.AsyncClient, ann: Member) -> None:
    cases = {
        ("GET", "/api/nowhere"): (404, "not_found"),
        ("GET", "/api/v1/nowhere/at/all"): (404, "not_found"),
        ("PATCH", "/api/session"): (405, "method_not_allowed"),
        ("GET", "/api/builder/catalog"): (401, "not_signed_in"),
        ("GET", "/api/v1/agents"): (401, "not_signed_in"),
        ("POST", "/api/session"): (422, "input_invalid"),
    }
    for (method, path), (status, code) in cases.items():
        answer = await anonymous.request(method, path)
        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert (body["status"], body["code"]) == (status, code)
        assert body["type"] == f"urn:patchcord:error:{code}"
        assert len(body["detail"]) > 15
    assert (await anonymous.request("PATCH", "/api/session")).headers["allow"] == "DELETE, POST"


async def test_what_was_typed_is_not_repeated_in_errors(anonymous: httpx2.AsyncClient) -> None:
    answer = await anonymous.post("/api/session", json={"email": "a@b.c", "password": ["hunter2 hunter2"]})
    assert answer.status_code == 422
    assert "hunter2" not in answer.text
    answer = await anonymous.post(
        "/api/session", content=b'{"email": "hunter2', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert "hunter2" not in answer.text


async def test_a_fault_of_ours_is_told_without_its_inside(
    services: Services, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(services.agents, "add_flow", fail)
    answer = await ann.client.post("/api/builder/agents/x/flows", json={"name": "x"})
    assert (answer.status_code, answer.json()["code"]) == (500, "error")
    assert "secret inside" not in answer.text


async def test_bodies_over_the_limit_are_refused(ann: Member, agent: Any) -> None:
    path = f"/api/builder/agents/{agent.id}/flows"
    large = json.dumps({"name": "x" * 1_100_000})
    answer = await ann.client.post(path, content=large, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

    async def pieces() -> Any:
        for _ in range(30):
            yield b"x" * 50_000

    # No Content-Length to believe or not.
    answer = await ann.client.post(path, content=pieces(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_health_and_figures(anonymous: httpx2.AsyncClient, ann: Member, agent: Any) -> None:
    assert (await anonymous.get("/health/live")).json() == {"status": "live"}
    assert (await anonymous.get("/health/ready")).json() == {"status": "ready"}
    await ann.client.get(f"/api/builder/flows/{agent.main_flow_id}")
    figures = (await anonymous.get("/metrics")).text
    assert 'http_requests_total{method="GET",route="/api/builder/flows/{flow_id}",status="200"}' in figures
    assert agent.main_flow_id not in figures
    assert agent.id not in figures


async def test_not_ready_without_the_database(
    anonymous: httpx2.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> bool:
        raise OSError("connection refused")

    monkeypatch.setattr(services.accounts, "needs_owner", hang)
    answer = await anonymous.get("/health/ready")
    assert answer.status_code == 503
    assert "refused" not in answer.text


async def test_headers_fit_the_address(anonymous: httpx2.AsyncClient, agent: Any) -> None:
    for path in ("/", "/api/session", "/chat/x", "/widget/x", "/api/docs", "/metrics"):
        answer = await anonymous.get(path)
        policy = answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert "script-src 'unsafe-inline'" not in policy
        assert ("frame-ancestors *" in policy) is (path == "/widget/x"), path
        assert ("x-frame-options" in answer.headers) is (path != "/widget/x"), path
    catalog = await anonymous.get("/api/docs", headers={"Accept-Encoding": "gzip"})
    assert catalog.headers["content-encoding"] == "gzip"


async def test_the_catalog_is_complete_in_every_language(ann: Member, services: Services) -> None:
    found = {}
    for language in ("en", "ru", "uk"):
        answer = await ann.client.get("/api/builder/catalog", params={"language": language})
        found[language] = answer.json()
        assert {t["type"] for t in found[language]["node_types"]} == set(services.catalog.nodes)
        repeated = await ann.client.get(
            "/api/builder/catalog", params={"language": language}, headers={"If-None-Match": answer.headers["etag"]}
        )
        assert (repeated.status_code, repeated.content) == (304, b"")
    labels = {lang: {t["type"]: t["label"] for t in found[lang]["node_types"]} for lang in found}
    assert labels["en"]["ask"] == "Ask"
    assert labels["ru"]["ask"] == "Вопрос"
    assert labels["uk"]["ask"] == "Запитання"
    used = {t["category"] for t in found["en"]["node_types"]}
    assert {c["id"] for c in found["en"]["categories"]} == used
    for step in found["en"]["node_types"]:
        assert step["icon"].startswith("<svg")
        assert step["help"].startswith("# ")
    assert (await ann.client.get("/api/builder/catalog", params={"language": "xx"})).status_code == 422


async def test_exits_for_settings(ann: Member) -> None:
    body = {"type": "ask_choice", "settings": {"text": "?", "options": [{"id": "a", "label": "A"}]}}
    exits = (await ann.client.post("/api/builder/ports", json=body)).json()["ports"]
    assert exits[0] == {"id": "a", "label": "A", "kind": "normal", "optional": False}
    bad = await ann.client.post("/api/builder/ports", json={"type": "ask_choice", "settings": {"options": 5}})
    assert (bad.status_code, bad.json()["code"]) == (422, "input_invalid")
    unknown = await ann.client.post("/api/builder/ports", json={"type": "nothing"})
    assert unknown.json()["code"] == "unknown_node"


async def test_publishing_shows_what_would_change_and_what_stands_in_the_way(ann: Member, agent: Any) -> None:
    path = f"/api/builder/flows/{agent.main_flow_id}"
    opened = (await ann.client.get(path)).json()
    assert (opened["live_version"], opened["changed_since_publish"]) == (1, False)
    edits = [{"kind": "disconnect", "port": "n_day.mon"}]
    body = {"client": "t", "seq": 1, "base_revision": opened["revision"], "edits": edits}
    revision = (await ann.client.post(f"{path}/edits", json=body)).json()["revision"]
    preview = (await ann.client.get(f"{path}/publish")).json()
    assert (preview["number"], preview["errors"]) == (2, 1)
    assert set(preview["changes"][0]["changes"][0]["message"]) == {"en", "ru", "uk"}
    refused = await ann.client.post(f"{path}/publish", json={"revision": revision})
    assert (refused.status_code, refused.json()["code"]) == (422, "flow_invalid")
    assert refused.json()["problems"][0]["code"] == "F001"
    edits = [
        {"kind": "connect", "port": "n_day.mon", "target": "n_end"},
        {"kind": "change_node", "id": "n_day", "name": "D"},
    ]
    body = {"client": "t", "seq": 2, "base_revision": revision, "edits": edits}
    revision = (await ann.client.post(f"{path}/edits", json=body)).json()["revision"]
    published = await ann.client.post(f"{path}/publish", json={"revision": revision, "comment": "better"})
    assert published.json()["number"] == 2
    assert (await ann.client.post(f"{path}/publish", json={"revision": revision})).json()["number"] == 2
    history = (await ann.client.get(f"{path}/versions")).json()
    assert [(v["number"], v["comment"]) for v in history] == [(2, "better"), (1, "")]


async def test_a_route_without_a_guard_stops_the_start(services: Services) -> None:
    app = create_app(services)
    loose = APIRouter()
    loose.add_api_route("/loose", lambda: None)
    app.router.routes.insert(0, loose.routes[0])
    with pytest.raises(RuntimeError, match="/loose has no guard"):
        refuse_unguarded(app, mounts=MOUNTS)
    open_router = router(anyone)
    open_router.add_api_route("/open", lambda: None)
    app.router.routes[0] = open_router.routes[0]
    with pytest.raises(RuntimeError, match="/open is open to anyone"):
        refuse_unguarded(app, mounts=MOUNTS)


async def test_the_screens_live_and_answer_behind_the_api(services: Services) -> None:
    happened: list[str] = []

    async def screens(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for what in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{what}"
                happened.append(what)
                await send({"type": f"lifespan.{what}.complete"})
            return
        happened.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a page"})

    async with (
        serving(create_app(services, screens), services) as here,
        httpx2.AsyncClient(base_url=here.http) as client,
    ):
        assert (await client.get("/agents/1")).text == "a page"
        assert (await client.get("/api/nowhere")).status_code == 404
        assert (await client.get("/health/live")).status_code == 200
    assert happened == ["startup", "/agents/1", "shutdown"]


async def test_screens_that_fail_to_start_stop_the_start() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no state manager"})

    with pytest.raises(RuntimeError, match="no state manager"):
        async with lifespan_of(failing):
            pass

    async def without(scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError

    async with asyncio.timeout(5), lifespan_of(without):
        pass


async def test_without_screens_a_plain_page_says_so(
    anonymous: httpx2.AsyncClient, services: Services, tmp_path: Path
) -> None:
    answer = await anonymous.get("/")
    assert (answer.status_code, "not built" in answer.text) == (200, True)
    assert (await anonymous.get("/agents")).status_code == 404
    assert load_screens(services.settings.model_copy(update={"screens": "none"})) is None
    assert load_screens(services.settings.model_copy(update={"screens": "no_such_package:app"})) is None
    assert load_screens(services.settings.model_copy(update={"screens_dir": tmp_path})) is None


def test_inline_scripts_of_the_pages_are_allowed_by_hash(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<script src='/a.js'></script><script>let a = 1</script>")
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", inline_script_hashes(tmp_path))
    assert inline_script_hashes(tmp_path / "nowhere") == ""


async def test_the_api_is_described_completely_and_offline(anonymous: httpx2.AsyncClient, address: Address) -> None:
    document = (await anonymous.get("/api/openapi.json")).json()
    served = {
        (route.path, method.lower())
        for route in address.app.router.routes
        if getattr(route, "path", "").startswith("/api/v1/")
        for method in route.methods
    }
    described = {(path, method) for path, operations in document["paths"].items() for method in operations}
    assert described == served
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            assert len(operation["description"]) > 10
            assert operation["responses"]["default"]
            assert operation.get("x-scopes") or "schema" in operation["operationId"]
    page = await anonymous.get("/api/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    assert not re.findall(r"(?:src|href)='(?:https?:)?//", page.text)
    for path in document["paths"]:
        assert path in page.text
