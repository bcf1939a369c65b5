"""Connectors: code that speaks to one outside system, and what it offers to the product."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr

from graph_runtime.contract.channels import ChannelOffer, Rate
from graph_runtime.contract.crm import Crm
from graph_runtime.contract.crm_changes import CrmHookOffer
from graph_runtime.contract.embedding import EmbedderOffer
from graph_runtime.contract.http import ConnectorHttp, HttpAuth
from graph_runtime.contract.models import ChatModel
from graph_runtime.contract.reranking import RerankerOffer
from graph_runtime.contract.speech import SynthesizerOffer, TranscriberOffer
from graph_runtime.contract.vectors import VectorStoreOffer


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


@dataclass(frozen=True, slots=True)
class OAuthAddresses:
    """Where a vendor's OAuth 2 lives, and who we are to it. `scope`: names separated by spaces, "" asks for none."""

    authorize_url: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""


@dataclass(frozen=True, slots=True)
class OAuthOffer:
    """The authorization code flow of a vendor; functions are called with its own settings object.

    `addresses(settings)` is None when these settings use another way in (a long-lived token). `redirect_in_token_call`:
    the vendor wants the redirect address again when a token is asked for, renewals included.
    """

    addresses: Callable[[Any], OAuthAddresses | None]
    sends_json: bool = False
    redirect_in_token_call: bool = True


@dataclass(frozen=True, slots=True)
class HttpOffer:
    """How a credential of this connector authorises requests: `auth(settings, access_token)`.

    `access_token` is the one of OAuth, "" without. `rate`: what the vendor allows one account.
    """

    auth: Callable[[Any, str], HttpAuth]
    rate: Rate | None = None


@dataclass(frozen=True, kw_only=True)
class Connector:
    """One outside system.

    `chat_model(settings, model)` builds a model; `check(settings)` tries the credential against the vendor.
    `needs_credential=False` is for built-ins (the demo model). `warm_up()` imports what the first call would import;
    the host runs it in a thread. `channel`: what the connector knows about places where conversations happen; such a
    connector has "channel" among its kinds, and `settings` are then what one channel is set up with. `transcriber` and
    `synthesizer`: what it knows about speech, with the kinds of the same names; a credential serves them as it serves models.
    `http`: how its credentials authorise requests (kind "http": steps may use it as it is). `oauth`: how access is
    granted in a browser. `crm(settings, http)` builds a customer system (kind "crm"). `try_out(settings, http)` is
    `check` for connectors that go out through `http`. `crm_hooks`: how the customer system tells of changes in it.
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
    reranker: RerankerOffer | None = None
    """How it puts passages into a better order; its kind is "reranker", and it goes out through `http`."""
    vector_store: VectorStoreOffer | None = None
    """How vectors are kept in it and found; its kind is "vector_store", and it goes out through `http`."""
    http: HttpOffer | None = None
    oauth: OAuthOffer | None = None
    crm: Callable[[Any, ConnectorHttp], Crm] | None = None
    crm_hooks: CrmHookOffer | None = None
    try_out: Callable[[Any, ConnectorHttp], Awaitable[CheckResult]] | None = None
    texts: dict[str, dict[str, str]] = field(default_factory=dict)
    folder: Path | None = None
