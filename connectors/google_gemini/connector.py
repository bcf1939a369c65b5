"""Google Gemini, through the Gemini API (the key comes from Google AI Studio)."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from connectors._langchain import clients
from connectors._langchain.adapter import LangchainModel, Vendor
from connectors._langchain.checking import check as check_list
from connectors._langchain.structured import Schema
from connectors.google_gemini.embedding import EMBEDDERS, GeminiEmbedder
from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings, OfferedModel
from graph_runtime.contract.embedding import EmbedderOffer
from graph_runtime.contract.forms import setting
from graph_runtime.contract.models import ModelRequest

OFFICIAL = "https://generativelanguage.googleapis.com"
API_VERSION = "v1beta"


class Settings(CredentialSettings):
    """What it takes to connect."""

    key: SecretStr = setting("Key", placeholder="AIza…", help="Made in Google AI Studio under API keys.")
    base_url: str = setting(
        "Address", default=OFFICIAL, placeholder=OFFICIAL, advanced=True,
        help="Change it only if you use a proxy or a gateway. Without /v1beta at the end.",
    )  # fmt: skip


def chat_model(settings: Settings, model: str) -> LangchainModel:
    """One model behind this credential; the vendor's library is imported at its first use."""
    address = _address(settings)
    official = clients.host(address) == clients.host(OFFICIAL)

    def build() -> Any:
        # vertexai is said outright, or an environment variable of the machine would decide; one attempt is no retry
        return clients.chat_model(
            model, "google_genai", base_url=address, api_key=settings.key.get_secret_value(), vertexai=False,
            max_retries=1, timeout=clients.SILENT_SECONDS,
            client_args={"follow_redirects": False, "verify": clients.tls()},
        )  # fmt: skip

    provider = "google_gemini" if official else clients.host(address)
    key = settings.key.get_secret_value()
    vendor = Vendor(
        provider, "Google Gemini", build, _options,
        close=lambda made: made.client.aio.aclose(), account=clients.account(address, key),
    )  # fmt: skip
    return LangchainModel(vendor, model)


def embedder(settings: Settings, model: str) -> GeminiEmbedder:
    """Makes vectors with this credential."""
    address = _address(settings)
    official = clients.host(address) == clients.host(OFFICIAL)
    provider = "google_gemini" if official else clients.host(address)
    return GeminiEmbedder(provider, f"{address}/{API_VERSION}", settings.key.get_secret_value(), model)


def _options(request: ModelRequest, schema: tuple[Schema, bool] | None) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if request.temperature is not None:
        out["temperature"] = request.temperature
    if request.max_tokens:
        out["max_output_tokens"] = request.max_tokens
    if schema:
        out |= {"response_mime_type": "application/json", "response_json_schema": schema[0]}
    return out


async def check(settings: Settings) -> CheckResult:
    """Ask for the list of models."""
    headers = {"x-goog-api-key": settings.key.get_secret_value()}
    url = f"{_address(settings)}/{API_VERSION}/models"
    return await check_list(url, headers, _names, params={"pageSize": "1000"})


def _names(answer: Any) -> list[str]:
    return [
        m["name"].removeprefix("models/")
        for m in answer["models"]
        if "generateContent" in m.get("supportedGenerationMethods", ())
    ]


def _address(settings: Settings) -> str:
    return settings.base_url.rstrip("/").removesuffix(f"/{API_VERSION}")


def warm_up() -> None:
    """Import the vendor's library ahead of the first conversation."""
    clients.warm_up("langchain_google_genai", "httpcore")


CONNECTOR = Connector(
    id="google_gemini",
    label="Google Gemini",
    summary="The Gemini models of Google AI Studio.",
    settings=Settings,
    models=(
        OfferedModel("gemini-3.8-flash", "Gemini 3.8 Flash: quick and inexpensive", 1_048_576),
        OfferedModel("gemini-3.5-flash-lite", "Gemini 3.5 Flash Lite: the least expensive", 1_048_576),
        OfferedModel("gemini-4-argon", "Gemini 4 Argon: for difficult conversations", 1_048_576),
    ),
    kinds=frozenset({"chat_model", "embedder"}),
    chat_model=chat_model,
    check=check,
    warm_up=warm_up,
    embedder=EmbedderOffer(open=embedder, models=EMBEDDERS),
)
