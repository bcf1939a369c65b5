"""Signing in and out over HTTP: the cookie, the Origin check, the first owner."""

from typing import Any

import httpx2

from tests.api.conftest import PASSWORD, Address, Member, first_owner


async def test_the_first_owner_is_made_once(anonymous: httpx2.AsyncClient) -> None:
    assert (await anonymous.get("/api/owner")).json() == {"needed": True}
    await first_owner(anonymous)
    assert (await anonymous.get("/api/owner")).json() == {"needed": False}
    body = {"workspace": "B", "name": "Bob", "email": "bob@example.org", "password": PASSWORD}
    again = await anonymous.post("/api/owner", json=body, headers={"Origin": str(anonymous.base_url)})
    assert 400 <= again.status_code < 500
    assert again.headers["content-type"] == "application/problem+json"


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(anonymous: httpx2.AsyncClient) -> None:
    await first_owner(anonymous)
    body = {"email": "ann@example.org", "password": PASSWORD}
    answer = await anonymous.post("/api/session", json=body, headers={"Origin": str(anonymous.base_url)})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie


async def test_signing_out_ends_the_session(ann: Member, agent: Any) -> None:
    flow = f"/api/builder/flows/{agent.main_flow_id}"
    assert (await ann.client.get(flow)).status_code == 200
    headers = {"Cookie": ann.cookie}
    assert (await ann.client.delete("/api/session")).status_code == 204
    assert not list(ann.client.cookies.jar)
    assert (await ann.client.get(flow, headers=headers)).status_code == 401


async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(ann: Member) -> None:
    answers = [
        await ann.client.post("/api/session", json={"email": email, "password": "wrong wrong wrong"})
        for email in ("ann@example.org", "nobody@example.org")
    ]
    assert [a.status_code for a in answers] == [401, 401]
    assert answers[0].json() == answers[1].json()


async def test_another_sites_page_cannot_act_with_the_members_cookie(ann: Member, agent: Any) -> None:
    path = f"/api/builder/agents/{agent.id}/flows"
    for origin in ("https://evil.example", "null", ann.address.http.replace("127.0.0.1", "localhost")):
        answer = await ann.client.post(path, json={"name": "x"}, headers={"Origin": origin})
        assert answer.status_code == 403, origin
        assert answer.json()["code"] == "access_denied"
    assert (await ann.client.post(path, json={"name": "x"})).status_code == 201


async def test_a_cookie_without_an_origin_may_only_read(address: Address, ann: Member, agent: Any) -> None:
    async with httpx2.AsyncClient(base_url=address.http, headers={"Cookie": ann.cookie}) as client:
        assert (await client.get(f"/api/builder/flows/{agent.main_flow_id}")).status_code == 200
        answer = await client.post(f"/api/builder/agents/{agent.id}/flows", json={"name": "x"})
        assert answer.status_code == 403
