"""A local stand-in for Google's speech services over real gRPC: it checks the signature of every token and what Google limits."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from google.cloud.speech_v2 import types as speech
from google.cloud.texttospeech_v1 import types as tts
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

LARGEST_REQUEST = 25 * 1024
BLOCK = 800
"""Samples of a tenth of a second: a block of samples all of one value is heard as that number."""
SAMPLES_PER_LETTER = 40
_CODES = {
    "unavailable": grpc.StatusCode.UNAVAILABLE,
    "server_error": grpc.StatusCode.INTERNAL,
    "deadline": grpc.StatusCode.DEADLINE_EXCEEDED,
    "rate_limited": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "unauthorized": grpc.StatusCode.UNAUTHENTICATED,
    "forbidden": grpc.StatusCode.PERMISSION_DENIED,
    "bad_request": grpc.StatusCode.INVALID_ARGUMENT,
    "not_found": grpc.StatusCode.NOT_FOUND,
}


@dataclass
class Stream:
    """One stream of audio that reached the fake."""

    config: Any = None
    metadata: dict[str, str] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    audio: bytearray = field(default_factory=bytearray)
    was_left: threading.Event = field(default_factory=threading.Event)


@dataclass
class GoogleSpeech:
    """What the fake remembers. `fault` strikes every call until it is cleared."""

    port: int = 0
    fault: str = ""
    retry_seconds: float = 7.0
    stream_limit: float = 305.0
    streams: list[Stream] = field(default_factory=list)
    texts: list[tuple[str, str, int]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    account: str = ""
    public: bytes = b""

    @property
    def url(self) -> str:
        """For `base_url` and `voice_url`."""
        return f"http://127.0.0.1:{self.port}"


def _admit(fake: GoogleSpeech, context: Any, audience: str) -> str:
    metadata = {k: v for k, v in context.invocation_metadata() if isinstance(v, str)}
    token = metadata.get("authorization", "").removeprefix("Bearer ")
    try:
        decode: Any = jwt.decode
        claims = decode(token, certs=fake.public, audience=f"https://{audience}/")
        assert claims["iss"] == "bot@project.example"
    except Exception:  # noqa: BLE001
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "Request had invalid authentication credentials.")
    fault = fake.fault
    if fault == "rate_limited":
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=int(fake.retry_seconds))))
        status = status_pb2.Status(code=8, message="Quota exceeded", details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    if fault in _CODES:
        context.abort(_CODES[fault], f"refused with token {token}")
    if fault == "hang":
        context.add_callback(fake.left.set)
        while context.is_active() and not fake.stopping.wait(0.01):
            pass
    return fault


def _recognize(fake: GoogleSpeech, requests: Iterator[Any], context: Any) -> Iterator[Any]:
    stream = Stream(metadata={k: v for k, v in context.invocation_metadata() if isinstance(v, str)})
    context.add_callback(stream.was_left.set)
    fault = _admit(fake, context, "speech.googleapis.com")
    fake.streams.append(stream)
    first = next(requests)
    stream.config = first.streaming_config
    rate = stream.config.config.explicit_decoding_config.sample_rate_hertz
    done = 0
    for request in requests:
        stream.sizes.append(len(request.audio))
        if len(request.audio) > LARGEST_REQUEST:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Request audio can be a maximum of 25600 bytes.")
        stream.audio += request.audio
        if len(stream.audio) > fake.stream_limit * rate * 2:
            context.abort(grpc.StatusCode.ABORTED, "Max duration of 5 minutes reached for stream.")
        if len(stream.audio) - done >= 10 * BLOCK * 2:
            yield _result(stream, done, len(stream.audio) // (BLOCK * 2) * BLOCK * 2, is_final=True)
            done = len(stream.audio) // (BLOCK * 2) * BLOCK * 2
            if fault == "cut":
                context.abort(grpc.StatusCode.UNAVAILABLE, "cut on purpose")
            if fault == "ended":
                return
        elif len(stream.audio) > done:
            yield _result(stream, done, len(stream.audio), is_final=False)
    if fault == "unfinished":
        yield _result(stream, done, len(stream.audio), is_final=False)
    elif len(stream.audio) > done:
        yield _result(stream, done, len(stream.audio), is_final=True)


def _result(stream: Stream, start: int, end: int, *, is_final: bool) -> Any:
    samples = memoryview(bytes(stream.audio[start : end // 2 * 2])).cast("h")
    words: list[str] = []
    for value in samples[:: BLOCK // 2]:
        if not words or words[-1] != str(value):
            words.append(str(value))
    best = speech.SpeechRecognitionAlternative(transcript=" " + " ".join(words), confidence=0.9 if is_final else 0.0)
    language = stream.config.config.language_codes[0]
    return speech.StreamingRecognizeResponse(
        results=[speech.StreamingRecognitionResult(alternatives=[best], is_final=is_final, language_code=language)]
    )


def _stream_speech(fake: GoogleSpeech, requests: Iterator[Any], context: Any) -> Iterator[Any]:
    context.add_callback(fake.left.set)
    fault = _admit(fake, context, "texttospeech.googleapis.com")
    config = next(requests).streaming_config
    if "Chirp3-HD" not in config.voice.name or config.streaming_audio_config.audio_encoding != tts.AudioEncoding.PCM:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "only Chirp 3 HD voices are streamed")
    for request in requests:
        text = request.input.text
        fake.texts.append((config.voice.name, text, config.streaming_audio_config.sample_rate_hertz))
        for n, _ in enumerate(text):
            if n == 3 and fault == "cut":
                context.abort(grpc.StatusCode.UNAVAILABLE, "cut on purpose")
            if n == 3 and fault == "stall":
                while context.is_active() and not fake.stopping.wait(0.01):
                    pass
            yield tts.StreamingSynthesizeResponse(audio_content=n.to_bytes(2, "little") * SAMPLES_PER_LETTER)


def _speech(fake: GoogleSpeech, request: Any, context: Any) -> Any:
    _admit(fake, context, "texttospeech.googleapis.com")
    rate = request.audio_config.sample_rate_hertz
    fake.texts.append((request.voice.name, request.input.text, rate))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"\x07\x00" * SAMPLES_PER_LETTER * len(request.input.text))
    return tts.SynthesizeSpeechResponse(audio_content=out.getvalue())


def _voices(fake: GoogleSpeech, _request: Any, context: Any) -> Any:
    _admit(fake, context, "texttospeech.googleapis.com")
    return tts.ListVoicesResponse(voices=[tts.Voice(name="uk-UA-Chirp3-HD-Kore", language_codes=["uk-UA"])])


def _handlers(fake: GoogleSpeech) -> list[Any]:
    def method(kind: str, work: Any, request: Any, answer: Any) -> Any:
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(
            lambda given, context: work(fake, given, context),
            request_deserializer=request.deserialize,
            response_serializer=answer.serialize,
        )

    recognize = method("stream_stream", _recognize, speech.StreamingRecognizeRequest, speech.StreamingRecognizeResponse)
    streaming = method("stream_stream", _stream_speech, tts.StreamingSynthesizeRequest, tts.StreamingSynthesizeResponse)
    whole = method("unary_unary", _speech, tts.SynthesizeSpeechRequest, tts.SynthesizeSpeechResponse)
    voices = method("unary_unary", _voices, tts.ListVoicesRequest, tts.ListVoicesResponse)
    return [
        grpc.method_handlers_generic_handler("google.cloud.speech.v2.Speech", {"StreamingRecognize": recognize}),
        grpc.method_handlers_generic_handler(
            "google.cloud.texttospeech.v1.TextToSpeech",
            {"StreamingSynthesize": streaming, "SynthesizeSpeech": whole, "ListVoices": voices},
        ),
    ]


def key_file(private: rsa.RSAPrivateKey) -> str:
    """The JSON key file of the service account; its token address leads nowhere and must never be asked."""
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {
            "type": "service_account", "project_id": "project", "private_key_id": "k1", "private_key": pem.decode(),
            "client_email": "bot@project.example", "token_uri": "http://127.0.0.1:9/token",
        }
    )  # fmt: skip


@contextlib.contextmanager
def serving() -> Iterator[GoogleSpeech]:
    """The fake on a free port; `account` is a key it accepts."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    fake = GoogleSpeech(account=key_file(private), public=public)
    server = grpc.server(ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers(_handlers(fake))
    fake.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield fake
    finally:
        fake.stopping.set()
        server.stop(0).wait(5)
