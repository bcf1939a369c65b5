"""Connectors: code that speaks to one outside system, and what it offers to the product."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr

from graph_runtime.contract.channels import ChannelOffer
from graph_runtime.contract.embedding import EmbedderOffer
from graph_runtime.contract.models import ChatModel
from graph_runtime.contract.speech import SynthesizerOffer, TranscriberOffer


class CredentialSettings(BaseModel):
    """What a person fills in to connect; fields of type `SecretStr` go to the vault and are never shown again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def secret_fields(cls) -> frozenset[str]:
        """Names of the fields that hold secrets."""
        return frozenset(n for n, f in cls.model_fields.items() if SecretStr in _parts(f.annotation))


def _parts(annotation: Any) -> set[Any]:
    args = getattr(annotation, "__args__", ())
    return {annotation} | {p for a in args for p in _parts(a)}


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model a connector suggests; people may also type any other name. `context` in tokens."""

    name: str
    label: str
    context: int = 0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What `check` found: a sentence for the person, and the models the key may use."""

    ok: bool
    message: str
    models: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Connector:
    """One outside system.

    `chat_model(settings, model)` builds a model; `check(settings)` tries the credential against the vendor.
    `needs_credential=False` is for built-ins (the demo model). `warm_up()` imports what the first call would import;
    the host runs it in a thread. `channel`: what the connector knows about places where conversations happen; such a
    connector has "channel" among its kinds, and `settings` are then what one channel is set up with. `transcriber` and
    `synthesizer`: what it knows about speech, with the kinds of the same names; a credential serves them as it serves models.
    """

    id: str
    label: str
    summary: str
    settings: type[CredentialSettings]
    kinds: frozenset[str] = frozenset({"chat_model"})
    models: tuple[OfferedModel, ...] = ()
    needs_credential: bool = True
    chat_model: Callable[[Any, str], ChatModel] | None = None
    check: Callable[[Any], Awaitable[CheckResult]] | None = None
    warm_up: Callable[[], None] | None = None
    channel: ChannelOffer | None = None
    transcriber: TranscriberOffer | None = None
    synthesizer: SynthesizerOffer | None = None
    embedder: EmbedderOffer | None = None
    """What it knows about vectors of texts, for knowledge bases; its kind is "embedder"."""
    texts: dict[str, dict[str, str]] = field(default_factory=dict)
    folder: Path | None = None
