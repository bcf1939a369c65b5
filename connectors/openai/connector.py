"""OpenAI, and every service that speaks its language: OpenRouter, Ollama, vLLM, LM Studio and others."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import SecretStr

from connectors._langchain import clients
from connectors._langchain.adapter import LangchainModel, Vendor
from connectors._langchain.checking import check as check_list
from connectors._langchain.structured import Schema
from connectors.openai.embedding import EMBEDDERS, OpenAiEmbedder
from connectors.openai.speech import SPEECH_MODEL, TRANSCRIBERS, VOICES, OpenAiSynthesizer, OpenAiTranscriber
from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings, OfferedModel
from graph_runtime.contract.embedding import EmbedderOffer
from graph_runtime.contract.forms import setting
from graph_runtime.contract.models import ModelRequest
from graph_runtime.contract.speech import SynthesizerOffer, TranscriberOffer

OFFICIAL = "https://api.openai.com/v1"
_NOT_CHAT = re.compile(
    r"embed|whisper|tts|dall-e|image|moderation|transcribe|realtime|audio|sora|rerank|babbage|davinci", re.IGNORECASE
)


class Settings(CredentialSettings):
    """What it takes to connect."""

    key: SecretStr = setting(
        "Key", default=SecretStr(""), help="Leave empty for a server of your own that asks for none, such as Ollama.",
        placeholder="sk-…",
    )  # fmt: skip
    base_url: str = setting(
        "Address", default=OFFICIAL, placeholder=OFFICIAL,
        help="OpenRouter: https://openrouter.ai/api/v1. Ollama: http://localhost:11434/v1. Others: ends in /v1.",
    )  # fmt: skip
    protocol: Literal["auto", "responses", "chat_completions"] = setting(
        "Protocol", default="auto", advanced=True,
        options={"auto": "Choose by address", "responses": "Responses", "chat_completions": "Chat completions"},
        help="OpenAI itself is asked through Responses, all others through Chat completions.",
    )  # fmt: skip
    speech_model: str = setting(
        "Model of the voice", default=SPEECH_MODEL, advanced=True, placeholder=SPEECH_MODEL,
        help="What speaks in phone calls. Its voice is chosen where the call is set up.",
    )  # fmt: skip


def _provider(settings: Settings) -> str:
    where = clients.host(settings.base_url)
    return "openai" if where == clients.host(OFFICIAL) else where


def transcriber(settings: Settings, model: str) -> OpenAiTranscriber:
    """Recognises with this credential."""
    return OpenAiTranscriber(_provider(settings), settings.base_url.rstrip("/"), settings.key.get_secret_value(), model)


def synthesizer(settings: Settings) -> OpenAiSynthesizer:
    """Speaks with this credential."""
    return OpenAiSynthesizer(
        _provider(settings), settings.base_url.rstrip("/"), settings.key.get_secret_value(), settings.speech_model
    )


def embedder(settings: Settings, model: str) -> OpenAiEmbedder:
    """Makes vectors with this credential."""
    return OpenAiEmbedder(_provider(settings), settings.base_url.rstrip("/"), settings.key.get_secret_value(), model)


def chat_model(settings: Settings, model: str) -> LangchainModel:
    """One model behind this credential; the vendor's library is imported at its first use."""
    address = settings.base_url.rstrip("/")
    official = clients.host(address) == clients.host(OFFICIAL)
    responses = settings.protocol == "responses" or (settings.protocol == "auto" and official)

    def build() -> Any:
        return clients.chat_model(
            model, "openai", base_url=address, api_key=settings.key.get_secret_value() or "none", max_retries=0,
            http_async_client=clients.http_client(), use_responses_api=responses, stream_usage=True,
            stream_chunk_timeout=0, **({"store": False} if responses else {}),
        )  # fmt: skip

    def options(request: ModelRequest, schema: tuple[Schema, bool] | None) -> dict[str, Any]:
        out: dict[str, Any] = {}
        body: dict[str, Any] = {}
        if request.temperature is not None:
            out["temperature"] = request.temperature
        form = _response_format(*schema) if schema else None
        if responses:
            out |= {"response_format": form} if form else {}
            out |= {"max_tokens": request.max_tokens} if request.max_tokens else {}
            return out
        # In the body as it stands: compatible servers know "max_tokens" only, and with its own parameter for the format
        # the library parses the answer itself and turns a cut one into an assertion error.
        body |= {"response_format": form} if form else {}
        if request.max_tokens:
            body["max_completion_tokens" if official else "max_tokens"] = request.max_tokens
        return out | ({"extra_body": body} if body else {})

    provider = "openai" if official else clients.host(address)
    key = settings.key.get_secret_value()
    vendor = Vendor(
        provider, "OpenAI" if official else provider, build, options,
        close=lambda made: made.http_async_client.aclose(), account=clients.account(address, key),
    )  # fmt: skip
    return LangchainModel(vendor, model)


def _response_format(schema: Schema, strict: bool) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": strict}}


async def check(settings: Settings) -> CheckResult:
    """Ask for the list of models."""
    address = settings.base_url.rstrip("/")
    key = settings.key.get_secret_value()
    # OpenRouter shows its list to anybody; only this address tells whether the key is good
    before = f"{address}/key" if clients.host(address) == "openrouter.ai" and key else ""
    return await check_list(
        f"{address}/models", {"authorization": f"Bearer {key}"} if key else {}, _names, before=before
    )


def _names(answer: Any) -> list[str]:
    return [m["id"] for m in answer["data"] if not _NOT_CHAT.search(m["id"])]


def warm_up() -> None:
    """Import the vendor's library ahead of the first conversation."""
    clients.warm_up(
        "langchain_openai", "openai.resources.chat.completions.completions", "openai.resources.responses.responses"
    )


CONNECTOR = Connector(
    id="openai",
    label="OpenAI and compatible",
    summary="GPT models, and everything that speaks the same language: OpenRouter, Ollama, vLLM, LM Studio.",
    settings=Settings,
    models=(
        OfferedModel("gpt-5.4-mini", "GPT-5.4 mini: quick and inexpensive", 400_000),
        OfferedModel("gpt-5.4-nano", "GPT-5.4 nano: the least expensive", 400_000),
        OfferedModel("gpt-6.1-terra", "GPT-6.1 Terra: for difficult conversations", 1_050_000),
    ),
    kinds=frozenset({"chat_model", "transcriber", "synthesizer", "embedder"}),
    chat_model=chat_model,
    check=check,
    warm_up=warm_up,
    transcriber=TranscriberOffer(open=transcriber, models=TRANSCRIBERS),
    synthesizer=SynthesizerOffer(open=synthesizer, voices=VOICES, streams=True),
    embedder=EmbedderOffer(open=embedder, models=EMBEDDERS),
)
