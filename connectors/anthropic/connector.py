"""Anthropic: the Claude models."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from connectors._langchain import clients
from connectors._langchain.adapter import LangchainModel, Vendor
from connectors._langchain.checking import check as check_list
from connectors._langchain.structured import Schema
from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings, OfferedModel
from graph_runtime.contract.forms import setting
from graph_runtime.contract.models import ModelRequest

OFFICIAL = "https://api.anthropic.com"
API_VERSION = "2023-06-01"
CLIENT = "_async_client"  # the library's cached property, which we fill before it does


class Settings(CredentialSettings):
    """What it takes to connect."""

    key: SecretStr = setting("Key", placeholder="sk-ant-…", help="Made in the Anthropic Console under API keys.")
    base_url: str = setting(
        "Address", default=OFFICIAL, placeholder=OFFICIAL, advanced=True,
        help="Change it only if you use a proxy or a gateway. Without /v1 at the end.",
    )  # fmt: skip


def chat_model(settings: Settings, model: str) -> LangchainModel:
    """One model behind this credential; the vendor's library is imported at its first use."""
    address = _address(settings)
    official = clients.host(address) == clients.host(OFFICIAL)

    def build() -> Any:
        import anthropic

        key = settings.key.get_secret_value()
        made = clients.chat_model(model, "anthropic", base_url=address, api_key=key, max_retries=0, stream_usage=True)
        # It takes no client of ours, and its own follows redirects and carries the key along.
        made.__dict__[CLIENT] = anthropic.AsyncAnthropic(
            api_key=key, base_url=address, max_retries=0, http_client=clients.http_client()
        )
        return made

    provider = "anthropic" if official else clients.host(address)
    key = settings.key.get_secret_value()
    vendor = Vendor(
        provider, "Anthropic", build, _options,
        close=lambda made: made.__dict__[CLIENT].close(), account=clients.account(address, key),
    )  # fmt: skip
    return LangchainModel(vendor, model)


def _options(request: ModelRequest, schema: tuple[Schema, bool] | None) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if request.temperature is not None:
        out["temperature"] = min(request.temperature, 1.0)  # Anthropic's scale ends at 1
    if request.max_tokens:
        out["max_tokens"] = request.max_tokens
    if schema:
        out["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema[0]}}
    return out


async def check(settings: Settings) -> CheckResult:
    """Ask for the list of models."""
    headers = {"x-api-key": settings.key.get_secret_value(), "anthropic-version": API_VERSION}
    return await check_list(f"{_address(settings)}/v1/models", headers, _names, params={"limit": "1000"})


def _names(answer: Any) -> list[str]:
    return [m["id"] for m in answer["data"]]


def _address(settings: Settings) -> str:
    return settings.base_url.rstrip("/").removesuffix("/v1")


def warm_up() -> None:
    """Import the vendor's library ahead of the first conversation."""
    clients.warm_up("langchain_anthropic", "anthropic.resources.messages", "opentelemetry.propagate")


CONNECTOR = Connector(
    id="anthropic",
    label="Anthropic",
    summary="The Claude models.",
    settings=Settings,
    models=(
        OfferedModel("claude-haiku-5-5", "Claude Haiku 5.5: quick and inexpensive", 1_000_000),
        OfferedModel("claude-sonnet-5-5", "Claude Sonnet 5.5: a good balance", 1_000_000),
        OfferedModel("claude-opus-5-5", "Claude Opus 5.5: for difficult conversations", 1_000_000),
    ),
    chat_model=chat_model,
    check=check,
    warm_up=warm_up,
)
