"""A server that speaks as much S3 as Patchcord uses, over a real socket: checks signatures, and fails on request.

Signature Version 4: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

KEY_ID = "AKIAPATCHCORDTESTS00"
SECRET = "not a secret: only the tests' own server knows it"
BUCKET = "patchcord"
REGION = "eu-central-1"
_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class S3Server:
    """`objects`: path → bytes. `fault`: "" or what every request meets: "503", "slow", "reset". `requests`: (method, path)."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.refused: list[str] = []
        self.fault = ""
        self.faults_left: int | None = None
        self.slow_seconds = 1.0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.s3 = self
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> S3Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def next_fault(self) -> str:
        """What this request meets; `faults_left` counts down, None is for ever."""
        if self.faults_left is not None:
            if self.faults_left <= 0:
                return ""
            self.faults_left -= 1
        return self.fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    s3: S3Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not worth a traceback."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def do_PUT(self) -> None:
        def put(name: str, body: bytes) -> None:
            self.server.s3.objects[name] = body
            self._answer(200, headers={"ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'})

        self._serve(put)

    def do_GET(self) -> None:
        def get(name: str, _: bytes) -> None:
            if not name:
                self._list()
            elif (found := self.server.s3.objects.get(name)) is None:
                self._fail(404, "NoSuchKey")
            else:
                headers = {"Last-Modified": formatdate(usegmt=True), "ETag": '"x"'}
                self._answer(200, found, headers)

        self._serve(get)

    def do_DELETE(self) -> None:
        def delete(name: str, _: bytes) -> None:
            self.server.s3.objects.pop(name, None)
            self._answer(204)

        self._serve(delete)

    def do_POST(self) -> None:
        def delete_many(name: str, body: bytes) -> None:
            if name or "delete" not in self._query():
                self._fail(400, "InvalidRequest")
                return
            keys = [e.text or "" for e in ET.fromstring(body).iter() if e.tag.endswith("Key")]
            for key in keys:
                self.server.s3.objects.pop(key, None)
            done = "".join(f"<Deleted><Key>{escape(k)}</Key></Deleted>" for k in keys)
            self._answer(200, f"<DeleteResult {_NAMESPACE}>{done}</DeleteResult>".encode())

        self._serve(delete_many)

    def _serve(self, act: Any) -> None:
        s3 = self.server.s3
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        s3.requests.append((self.command, path))
        fault = s3.next_fault()
        if fault == "reset":
            self.close_connection = True
            self.connection.close()
            return
        if fault == "slow":
            time.sleep(s3.slow_seconds)  # the other side gives up first: that is what is tested
        if fault == "503":
            self._fail(503, "SlowDown")
            return
        if problem := self._refusal(body):
            s3.refused.append(problem)
            self._fail(403, problem)
            return
        bucket, _, name = path.lstrip("/").partition("/")
        if bucket != BUCKET:
            self._fail(404, "NoSuchBucket")
            return
        act(name, body)

    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def _refusal(self, body: bytes) -> str:
        """Why the signature is not one, as S3 names it."""
        scheme, _, rest = self.headers.get("Authorization", "").partition(" ")
        if scheme != "AWS4-HMAC-SHA256":
            return "AccessDenied"
        told = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        key_id, day, region, service, end = (told.get("Credential", "").split("/") + [""] * 5)[:5]
        if key_id != KEY_ID:
            return "InvalidAccessKeyId"
        if (region, service, end) != (REGION, "s3", "aws4_request"):
            return "AuthorizationHeaderMalformed"
        moment = self.headers.get("x-amz-date", "")
        if not moment.startswith(day) or abs((datetime.now(UTC) - _parsed(moment)).total_seconds()) > 900:
            return "RequestTimeTooSkewed"
        payload = self.headers.get("x-amz-content-sha256", "")
        if payload not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
            return "XAmzContentSHA256Mismatch"
        signed = told.get("SignedHeaders", "").split(";")
        if "host" not in signed or not {h.lower() for h in self.headers if h.lower().startswith("x-amz-")} <= set(
            signed
        ):
            return "AccessDenied"
        url = urlsplit(self.path)
        query = "&".join(sorted(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in self._query().items()))
        headers = "".join(f"{h}:{' '.join(self.headers.get(h, '').split())}\n" for h in signed)
        canonical = "\n".join((self.command, url.path, query, headers, ";".join(signed), payload))
        scope = f"{day}/{region}/{service}/{end}"
        text = "\n".join(("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
        key = f"AWS4{SECRET}".encode()
        for part in (day, region, service, end, text):
            key = hmac.digest(key, part.encode(), "sha256")
        return "" if hmac.compare_digest(key.hex(), told.get("Signature", "")) else "SignatureDoesNotMatch"

    def _list(self) -> None:
        prefix = self._query().get("prefix", "")
        found = "".join(
            f"<Contents><Key>{escape(name)}</Key><LastModified>2030-01-01T00:00:00.000Z</LastModified>"
            f'<ETag>"x"</ETag><Size>{len(content)}</Size></Contents>'
            for name, content in sorted(self.server.s3.objects.items())
            if name.startswith(prefix)
        )
        told = f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><IsTruncated>false</IsTruncated>{found}"
        self._answer(200, f"<ListBucketResult {_NAMESPACE}>{told}</ListBucketResult>".encode())

    def _fail(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _parsed(moment: str) -> datetime:
    try:
        return datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return datetime(1970, 1, 1, tzinfo=UTC)
