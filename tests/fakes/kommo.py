"""A Kommo account over a real socket: OAuth server, records, notes and tasks, its own journal, faults on request.

In tests: `with kommo() as fake: fake.url` is the account's address; `fake.fail("reset_after_accept")` spoils the next
request; `fake.calls("POST", "/api/v4/leads")` is what was taken in, whatever the caller got to see of it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import itertools
import json
import re
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Literal, get_args
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

FaultKind = Literal[
    "rate_limited",  # 429 with retry-after; not taken in
    "server_error",  # 500; not taken in
    "unauthorized",  # 401; not taken in
    "refused",  # 400 with a field; not taken in
    "echoes",  # 400 whose words repeat the token that was sent; not taken in
    "slow",  # taken in, answered after `seconds`
    "late",  # taken in after `seconds`, whether or not the caller is still there
    "reset_before_accept",
    "reset_after_accept",  # taken in, then the connection breaks
]
FAULTS: tuple[str, ...] = get_args(FaultKind)
ENTITIES = ("leads", "contacts", "companies")
CLIENT = {"client_id": "int-1", "client_secret": "shop-secret"}
LONG_TOKEN = "long-lived-token-of-kommo"


@dataclass
class Fault:
    """What goes wrong for the next `times` requests that `path` (a regular expression) fits."""

    kind: FaultKind
    times: int
    seconds: float
    path: str


@dataclass(frozen=True)
class Call:
    """One request that was taken in, or refused when `accepted` is False."""

    method: str
    path: str
    body: Any
    token: str
    at: float
    accepted: bool
    fault: str = ""


@dataclass
class Kommo:
    """The account. Everything is guarded by one lock; `life`: seconds that access lives."""

    life: int = 86_400
    single_use: bool = True
    journal: list[Call] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    records: dict[str, dict[int, dict[str, Any]]] = field(default_factory=lambda: {e: {} for e in ENTITIES})
    notes: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    fields: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {e: [] for e in ENTITIES})
    access: set[str] = field(default_factory=lambda: {LONG_TOKEN})
    refresh: set[str] = field(default_factory=set)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refreshed: list[str] = field(default_factory=list)
    stages: dict[int, str] = field(default_factory=lambda: {11: "New", 12: "Offer sent", 142: "Won"})
    hooks: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.numbers = itertools.count(1001)
        self.fields["leads"].append({"id": 501, "name": "Source", "type": "select", "code": None,
                                     "enums": [{"id": 61, "value": "Site"}, {"id": 62, "value": "Phone"}]})  # fmt: skip
        self.fields["leads"].append({"id": 502, "name": "Guests", "type": "numeric", "code": None, "enums": None})
        self.fields["contacts"] += [
            {"id": 401, "name": "Phone", "type": "multitext", "code": "PHONE", "enums": None},
            {"id": 402, "name": "Email", "type": "multitext", "code": "EMAIL", "enums": None},
        ]

    def fail(self, kind: FaultKind, *, times: int = 1, seconds: float = 1.0, path: str = "") -> None:
        """Let the next requests go wrong."""
        if kind not in FAULTS:
            raise ValueError(f"no such fault: {kind}")
        self.faults.append(Fault(kind, times, seconds, path))

    def calls(self, method: str, path: str) -> list[Call]:
        """What was taken in at a path, without its query."""
        return [c for c in self.journal if c.accepted and c.method == method and urlsplit(c.path).path == path]

    def add(self, entity: str, **values: Any) -> int:
        """A record that was there before. `phone` and `email` are short for Kommo's own form."""
        with self.lock:
            number = next(self.numbers)
            custom = [
                {"field_id": 0, "field_code": code, "values": [{"value": values.pop(code.lower())}]}
                for code in ("PHONE", "EMAIL") if code.lower() in values
            ]  # fmt: skip
            made = {"id": number, "created_at": int(time.time()), "custom_fields_values": custom} | values
            self.records[entity][number] = made
            return number

    def grant(self) -> tuple[str, str]:
        """A fresh pair of tokens."""
        with self.lock:
            number = next(self.numbers)
            access, refresh = f"access-kommo-canary-{number}", f"refresh-kommo-canary-{number}"
            self.access.add(access)
            self.refresh.add(refresh)
            return access, refresh

    def next_fault(self, path: str) -> Fault | None:
        """What goes wrong with the request that is here now."""
        for fault in self.faults:
            if re.search(fault.path, path):
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    def token(self, asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """POST /oauth2/access_token."""
        if {k: asked.get(k) for k in CLIENT} != CLIENT:
            return 401, {"error": "invalid_client"}
        if asked.get("grant_type") == "authorization_code":
            known = self.codes.pop(asked.get("code", ""), None)
            digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if known is None or known["challenge"] != challenge or known["redirect"] != asked.get("redirect_uri"):
                return 400, {"error": "invalid_grant"}
        else:
            old = asked.get("refresh_token", "")
            if old not in self.refresh:
                return 400, {"error": "invalid_grant"}
            if self.single_use:
                self.refresh.discard(old)
            self.refreshed.append(old)
        access, refresh = self.grant()
        return 200, {"token_type": "Bearer", "expires_in": self.life, "access_token": access, "refresh_token": refresh}

    def api(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Everything below /api/v4/."""
        parts = path.removeprefix("/api/v4/").split("/")
        if parts == ["account"]:
            return 200, {"id": 1, "name": "Flower shop"}
        if parts == ["users"]:
            return _listed("users", [{"id": 9, "name": "Anna"}, {"id": 10, "name": "Oleh"}])
        if parts == ["leads", "pipelines"]:
            statuses = [{"id": number, "name": name} for number, name in self.stages.items()]
            return _listed("pipelines", [{"id": 1, "name": "Sales", "_embedded": {"statuses": statuses}}])
        if parts == ["webhooks"]:
            return self._hooks(method, query, body)
        if parts[0] == "tasks":
            return self._things("tasks", self.tasks, method, query, body)
        if parts[0] in ENTITIES and parts[1:] == ["custom_fields"]:
            return self._custom(parts[0], method, body)
        if parts[0] in ENTITIES and len(parts) == 3 and parts[2] == "notes":
            if int(parts[1]) not in self.records[parts[0]]:
                return 404, {"title": "Not Found"}
            own = {"entity_id": int(parts[1]), "entity_type": parts[0]}
            body = [{**own, **row} for row in body or ()]
            mine = {"filter[entity_id]": parts[1], "filter[entity_type]": parts[0]}
            return self._things("notes", self.notes, method, query | mine, body)
        if parts[0] in ENTITIES:
            return self._records(parts, method, query, body)
        return 404, {"title": "Not Found"}

    def _hooks(self, method: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Where the account posts; `settings` names the events. A repeated address replaces itself."""
        if method == "GET":
            wanted = query.get("filter[destination]")
            return _listed("webhooks", [h for h in self.hooks if wanted in (None, h["destination"])])
        self.hooks = [h for h in self.hooks if h["destination"] != body["destination"]]
        if method == "DELETE":
            return 204, None
        self.hooks.append({"id": next(self.numbers), "disabled": False, **body})
        return 201, self.hooks[-1]

    def by_person(self, entity: str, number: int | None = None, **values: Any) -> bytes:
        """What somebody does in the account's screens: make a record or change one; the form that it posts of that."""
        with self.lock:
            kept = self.records[entity]
            if number is None:
                people = values.pop("people", ())
                number = self.add(entity, **values)
                if entity == "leads":
                    kept[number]["_embedded"] = {"contacts": [{"id": p, "is_main": True} for p in people]}
                return form(entity, "add", number, kept[number])
            moved = {"old_status_id": kept[number].get("status_id")} if "status_id" in values else {}
            self._change(entity, kept[number], values)
            return form(entity, "status" if moved else "update", number, kept[number] | moved)

    def post(self, body: bytes, times: int = 1) -> list[int]:
        """Send a form to every address that is not switched off; what each answered."""
        answers = []
        for hook in [h for h in self.hooks if not h["disabled"]] * times:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            asked = urllib.request.Request(hook["destination"], body, headers)  # an address of the test
            try:
                with urllib.request.urlopen(asked, timeout=10) as answer:  # as above
                    answers.append(answer.status)
            except urllib.error.HTTPError as error:
                answers.append(error.code)
        return answers

    def _custom(self, entity: str, method: str, body: Any) -> tuple[int, Any]:
        if method == "POST":
            for row in body:
                self.fields[entity].append({"id": next(self.numbers), "enums": None, **row})
        return _listed("custom_fields", self.fields[entity])

    def _things(
        self, name: str, kept: list[dict[str, Any]], method: str, query: dict[str, str], body: Any
    ) -> tuple[int, Any]:
        if method == "POST":
            made = [{"id": next(self.numbers), "created_at": int(time.time()), **row} for row in body]
            kept.extend(made)
            return _listed(name, [{"id": m["id"]} for m in made])
        wanted = {k[7:-1]: v for k, v in query.items() if k.startswith("filter[")}
        return _listed(name, [k for k in reversed(kept) if all(str(k.get(f)) == v for f, v in wanted.items())])

    def _records(self, parts: list[str], method: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        kept = self.records[parts[0]]
        if method == "POST":
            wrong = self._wrong(parts[0], body)
            if wrong:
                return 400, wrong
            made = [self._made(parts[0], row) for row in body]
            return _listed(parts[0], made)
        if len(parts) == 2:
            found = kept.get(int(parts[1])) if parts[1].isdigit() else None
            if found is None:
                return 404, {"title": "Not Found"}
            if method == "PATCH":
                wrong = self._wrong(parts[0], [body])
                if wrong:
                    return 400, wrong
                self._change(parts[0], found, body)
            return 200, found
        rows = list(kept.values())
        ids = {v for k, v in query.items() if k.startswith("filter[id]")}
        if ids:
            rows = [r for r in rows if str(r["id"]) in ids]
        if text := query.get("query"):
            rows = [r for r in rows if _holds(r, text)]
        return _listed(parts[0], sorted(rows, key=lambda r: -r["id"]))

    def _wrong(self, entity: str, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
        known = {f["id"] for f in self.fields[entity]} | {f["code"] for f in self.fields[entity] if f.get("code")}
        for place, row in enumerate(rows):
            if entity == "leads" and row.get("status_id", 11) not in self.stages:
                errors = [
                    {"code": "NotSupportedChoice", "path": "status_id", "detail": "The value is not in the list."}
                ]
                return {"title": "Bad Request", "validation-errors": [{"request_id": str(place), "errors": errors}]}
            for value in row.get("custom_fields_values") or ():
                key = value.get("field_id", value.get("field_code"))
                if key not in known:
                    path = f"custom_fields_values.{place}.field_id"
                    errors = [{"code": "NotSupportedChoice", "path": path, "detail": f"No field {key}."}]
                    return {"title": "Bad Request", "validation-errors": [{"request_id": "0", "errors": errors}]}
        return None

    def _made(self, entity: str, row: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {"id": next(self.numbers), "created_at": int(time.time())}
        self._change(entity, made, row)
        self.records[entity][made["id"]] = made
        for contact in (row.get("_embedded") or {}).get("contacts") or ():
            owner = self.records["contacts"][contact["id"]]
            owner.setdefault("_embedded", {}).setdefault("leads", []).append({"id": made["id"]})
        return {"id": made["id"], "request_id": row.get("request_id", "")}

    def _change(self, entity: str, record: dict[str, Any], row: dict[str, Any]) -> None:
        codes = {f["id"]: f.get("code") for f in self.fields[entity]}
        ids = {f.get("code"): f["id"] for f in self.fields[entity] if f.get("code")}
        own = {(f.get("field_id"), f.get("field_code")): f for f in record.get("custom_fields_values") or ()}
        for value in row.get("custom_fields_values") or ():
            number = value.get("field_id") or ids[value["field_code"]]
            own[number, codes[number]] = {"field_id": number, "field_code": codes[number], "values": value["values"]}
        record.update({k: v for k, v in row.items() if k not in ("custom_fields_values", "request_id")})
        record["custom_fields_values"] = list(own.values())


def form(entity: str, action: str, number: int, more: dict[str, Any]) -> bytes:
    """As the account posts it: nested names, without a signature."""
    place = f"{entity}[{action}][0]"
    told = {f"{place}[{k}]": str(v) for k, v in more.items() if isinstance(v, str | int) and k != "id"}
    return urlencode({f"{place}[id]": str(number), **told, "account[subdomain]": "flowers"}).encode()


def _holds(record: dict[str, Any], text: str) -> bool:
    """Kommo's search: anywhere in a record; a number also in phones, however they are written."""
    values = [str(v.get("value")) for f in record.get("custom_fields_values") or () for v in f["values"]]
    is_in_a_phone = text.isdigit() and any(text in "".join(filter(str.isdigit, v)) for v in values)
    return is_in_a_phone or text.casefold() in json.dumps(record, ensure_ascii=False).casefold()


def _listed(name: str, rows: list[dict[str, Any]]) -> tuple[int, Any]:
    return (200, {"_embedded": {name: rows}}) if rows else (204, None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: ClassVar[Kommo]

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""

    def do_GET(self) -> None:
        """Pages and readings."""
        self._serve()

    do_POST = do_GET  # noqa: N815  # names that http.server asks for
    do_PATCH = do_GET  # noqa: N815  # as above
    do_DELETE = do_GET  # noqa: N815  # as above

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        where = urlsplit(self.path)
        query = dict(parse_qsl(where.query))
        if where.path == "/oauth":
            return self._ask(query)
        if where.path == "/oauth/allow":
            return self._allow(query)
        body = self._read(raw)
        token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        fake = self.fake
        with fake.lock:
            fault = fake.next_fault(self.path)
        kind = fault.kind if fault else ""
        if fault and kind == "late":
            time.sleep(fault.seconds)
        with fake.lock:
            answer = self._refusal(fault, token)
            if answer is None and where.path == "/oauth2/access_token":
                answer = None if kind == "reset_before_accept" else fake.token(body)
            elif answer is None and kind != "reset_before_accept":
                known = token in fake.access
                answer = fake.api(self.command, where.path, query, body) if known else (401, {"title": "Unauthorized"})
            accepted = answer is not None and answer[0] < 400
            fake.journal.append(Call(self.command, self.path, body, token, time.time(), accepted, kind))
        if kind.startswith("reset"):
            return self._reset()
        if fault and fault.kind == "slow":
            time.sleep(fault.seconds)
        assert answer is not None
        self._answer(*answer, {"Retry-After": str(int(fault.seconds))} if fault and kind == "rate_limited" else {})
        return None

    def _read(self, raw: bytes) -> Any:
        if "form" in (self.headers.get("content-type") or ""):
            return {k: v[0] for k, v in parse_qs(raw.decode()).items()}
        return json.loads(raw) if raw else None

    @staticmethod
    def _refusal(fault: Fault | None, token: str) -> tuple[int, Any] | None:
        status = {"rate_limited": 429, "server_error": 500, "unauthorized": 401, "refused": 400, "echoes": 400}
        said = "This value should be of type int." if not fault or fault.kind != "echoes" else f"Not with {token}."
        detail = [{"errors": [{"path": "0.price", "detail": said}]}]
        return (status[fault.kind], {"validation-errors": detail}) if fault and fault.kind in status else None

    def _ask(self, query: dict[str, str]) -> None:
        words = f"Allow {html.escape(query.get('client_id', ''))} to use the account?"
        link = html.escape(f"/oauth/allow?{urlencode(query)}")
        page = f"<!doctype html><title>Flower shop</title><h1>{words}</h1><a id=allow href='{link}'>Allow</a>"
        self._page(200, page, {})

    def _allow(self, query: dict[str, str]) -> None:
        with self.fake.lock:
            code = f"code-{next(self.fake.numbers)}"
            known = {"challenge": query.get("code_challenge", ""), "redirect": query["redirect_uri"]}
            self.fake.codes[code] = known
        back = {"code": code, "state": query["state"], "referer": urlsplit(self.fake.url).netloc}
        self._page(302, "", {"Location": f"{query['redirect_uri']}?{urlencode(back)}"})

    def _page(self, status: int, text: str, headers: dict[str, str]) -> None:
        self._write(status, text.encode(), headers | {"Content-Type": "text/html; charset=utf-8"})

    def _answer(self, status: int, body: Any, headers: dict[str, str]) -> None:
        raw = b"" if status == 204 else json.dumps(body).encode()
        kind = "application/json" if status < 400 else "application/problem+json"
        self._write(status, raw, headers | {"Content-Type": kind})

    def _write(self, status: int, raw: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """A caller that went away in the middle is what these tests are about."""


@contextlib.contextmanager
def kommo(**options: Any) -> Iterator[Kommo]:
    """Start an account on a free port of this machine and stop it."""
    fake = Kommo(**options)
    handler = type("Handler", (_Handler,), {"fake": fake})
    with _Server(("127.0.0.1", 0), handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
