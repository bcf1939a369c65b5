"""gRPC to Google: channels, tokens signed on this machine, and errors in the product's words."""

from __future__ import annotations

import asyncio
import importlib
import json
from typing import Any
from urllib.parse import urlsplit

from connectors._speech.errors import BUSY, CUT, DOWN, KEY, REFUSED, SLOW, UNREADABLE
from graph_runtime.contract.errors import (
    BadAnswer,
    ConnectorError,
    CredentialRejected,
    RateLimited,
    Refused,
    Unreachable,
)  # fmt: skip

VENDOR = "Google"
_STEPS = (("keepalive_time_ms", 60_000), ("max_receive_message_length", 16 * 1024 * 1024))


class Account:
    """A service account, as its JSON key file describes it. Tokens are signed here; its `token_uri` is never asked.

    Raises: CredentialRejected for what is not such a file
    """

    def __init__(self, text: str) -> None:
        try:
            info = json.loads(text)
            self._info = {name: str(info[name]) for name in ("private_key", "client_email", "private_key_id")}
            self.project = str(info["project_id"])
        except (ValueError, KeyError, TypeError):
            raise CredentialRejected(KEY, vendor=VENDOR) from None
        self._signers: dict[str, Any] = {}

    def token(self, audience: str) -> str:
        """A bearer token for one of Google's services. Raises: CredentialRejected."""
        from google.auth import exceptions, jwt

        try:
            signer = self._signers.get(audience)
            if signer is None:
                # The library asks for the address though a token that is signed here has no use for it.
                info = {**self._info, "token_uri": "https://oauth2.googleapis.com/token"}
                make: Any = jwt.Credentials.from_service_account_info
                signer = self._signers[audience] = make(info, audience=audience)
            if not signer.valid:
                signer.refresh(None)
            return str(signer.token.decode() if isinstance(signer.token, bytes) else signer.token)
        except (ValueError, TypeError, exceptions.GoogleAuthError):
            raise CredentialRejected(KEY, vendor=VENDOR) from None


class Line:
    """One address of Google's with one account; connects at the first call and again after `aclose`."""

    def __init__(self, address: str, account_text: str, audience: str) -> None:
        self._address = address
        self._account_text = account_text
        self._audience = audience
        self._account: Account | None = None
        self._channel: Any = None

    @property
    def account(self) -> Account:
        """Raises: CredentialRejected."""
        if self._account is None:
            self._account = Account(self._account_text)
        return self._account

    def call(self, kind: str, path: str, request: Any, answer: Any) -> Any:
        """A gRPC method of this line; `kind` is "unary_unary" or "stream_stream"."""
        if self._channel is None:
            import grpc.aio

            self._channel = _channel(self._address, grpc.aio)
        return getattr(self._channel, kind)(
            path, request_serializer=request.serialize, response_deserializer=answer.deserialize
        )

    def metadata(self, routing: str = "") -> tuple[tuple[str, str], ...]:
        """What goes along with a call. Raises: CredentialRejected."""
        entries = (("authorization", f"Bearer {self.account.token(self._audience)}"),)
        return (*entries, ("x-goog-request-params", routing)) if routing else entries

    def refusal(
        self, path: str, request: Any, answer: Any, metadata: Any, first: Any, seconds: float
    ) -> Exception | None:
        """What a stream that says no more than `first` is refused with, or None. Blocks for up to `seconds`.

        gRPC's interface for asyncio may overwrite the status with an error of its own when a message is written
        at the moment the stream is refused (grpc/grpc#36066); the one for threads does not.
        """
        import grpc

        with _channel(self._address, grpc) as channel:
            method = channel.stream_stream(
                path, request_serializer=request.serialize, response_deserializer=answer.deserialize
            )
            try:
                for _ in method(iter([first]), metadata=metadata, timeout=seconds):
                    pass
            except grpc.RpcError as error:
                return error  # type: ignore[no-any-return]  # grpc has no types
        return None

    async def aclose(self) -> None:
        """Close the connection."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(grace=None)


def _channel(address: str, interface: Any) -> Any:
    """A channel of `interface`: grpc or grpc.aio."""
    import grpc

    parts = urlsplit(address)
    options = [(f"grpc.{name}", value) for name, value in _STEPS]
    if parts.scheme == "http":
        return interface.insecure_channel(parts.netloc, options=options)
    where = parts.netloc if parts.port else f"{parts.netloc}:443"
    return interface.secure_channel(where, grpc.ssl_channel_credentials(), options=options)


async def load() -> None:
    """Import Google's libraries (2 s) without stopping the event loop."""
    await asyncio.to_thread(warm_up)


def warm_up() -> None:
    """The same, in the thread that asks."""
    for module in ("grpc.aio", "google.cloud.speech_v2.types", "google.cloud.texttospeech_v1.types", "google.auth.jwt"):
        importlib.import_module(module)


def translate(error: BaseException, *, started: bool) -> ConnectorError:
    """The error for whatever gRPC raised. `started`: part of the answer had already come."""
    import grpc

    if isinstance(error, ConnectorError):
        return error
    if not isinstance(error, grpc.RpcError):
        return BadAnswer(CUT if started else UNREADABLE, vendor=VENDOR)
    code = error.code()
    known = grpc.StatusCode
    if code in (known.UNAUTHENTICATED, known.PERMISSION_DENIED):
        return CredentialRejected(KEY, vendor=VENDOR)
    if code is known.RESOURCE_EXHAUSTED:
        return RateLimited(BUSY, retry_after=_retry_after(error), vendor=VENDOR)
    if code in (
        known.INVALID_ARGUMENT,
        known.NOT_FOUND,
        known.FAILED_PRECONDITION,
        known.OUT_OF_RANGE,
        known.UNIMPLEMENTED,
    ):
        return Refused(REFUSED, vendor=VENDOR)
    if started:
        return BadAnswer(CUT, vendor=VENDOR)
    return Unreachable(SLOW if code is known.DEADLINE_EXCEEDED else DOWN, vendor=VENDOR)


def hides_its_reason(error: BaseException) -> bool:
    """gRPC lost the status, because a message was being written at the moment the answer came; see `Line.refusal`."""
    import grpc

    if isinstance(error, grpc.aio.UsageError | asyncio.InvalidStateError):
        return True
    return isinstance(error, grpc.aio.AioRpcError) and error.details() == "Internal error from Core"


def _retry_after(error: Any) -> float | None:
    from google.rpc import error_details_pb2, status_pb2

    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.RetryInfo()
                if detail.Unpack(info):
                    return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    return None
