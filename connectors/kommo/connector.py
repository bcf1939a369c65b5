"""Kommo (amoCRM): sign in with OAuth or a long-lived token; contacts, companies, leads, notes and tasks."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from connectors.kommo import errors, hooks
from connectors.kommo.client import KommoCrm
from graph_runtime.contract.channels import Rate
from graph_runtime.contract.connectors import (
    CheckResult,
    Connector,
    CredentialSettings,
    HttpOffer,
    OAuthAddresses,
    OAuthOffer,
)
from graph_runtime.contract.crm_changes import CrmHookOffer
from graph_runtime.contract.forms import setting
from graph_runtime.contract.http import ConnectorHttp, HttpAuth, host_of

WORKS = errors.WORKS


class Settings(CredentialSettings):
    """The account, and how we sign in."""

    base_url: str = setting(
        "Address of your account", default="https://", required=True, max_length=500,
        placeholder="https://mycompany.kommo.com", help="For example https://mycompany.kommo.com or …amocrm.ru.",
    )  # fmt: skip
    way_in: Literal["token", "oauth"] = setting(
        "How to sign in", default="token", options={"token": "Long-lived token", "oauth": "OAuth in the browser"}
    )
    long_token: SecretStr = setting("Long-lived token", default=SecretStr(""), show_when={"way_in": ["token"]})
    client_id: str = setting("Integration ID", default="", max_length=200, show_when={"way_in": ["oauth"]})
    client_secret: SecretStr = setting("Secret key", default=SecretStr(""), show_when={"way_in": ["oauth"]})
    authorize_url: str = setting(
        "Address that asks for access", default="", max_length=500, advanced=True, help="Empty: Kommo's own page."
    )
    allow_private_host: bool = setting(
        "The address is inside our own network", default=False, advanced=True,
        help="Only an administrator can switch this on.",
    )  # fmt: skip


def auth(settings: Settings, access: str) -> HttpAuth:
    """The account's own host only."""
    own = host_of(settings.base_url)
    token = access if settings.way_in == "oauth" else settings.long_token.get_secret_value()
    private = own if settings.allow_private_host else ""
    return HttpAuth(settings.base_url, frozenset({own} - {""}), {"Authorization": f"Bearer {token}"}, private)


def addresses(settings: Settings) -> OAuthAddresses | None:
    """The page of the brand the account belongs to; tokens come from the account itself."""
    if settings.way_in != "oauth":
        return None
    base = settings.base_url.rstrip("/")
    brand = (urlsplit(base).hostname or "").rpartition(".")[2] == "ru"
    page = settings.authorize_url or ("https://www.amocrm.ru/oauth" if brand else "https://www.kommo.com/oauth")
    return OAuthAddresses(
        page, f"{base}/oauth2/access_token", settings.client_id, settings.client_secret.get_secret_value()
    )


def crm(settings: Settings, http: ConnectorHttp) -> KommoCrm:
    """The account."""
    return KommoCrm(settings.base_url, http)


async def try_out(settings: Settings, http: ConnectorHttp) -> CheckResult:
    """Asks for the account. Raises: ConnectorError."""
    await KommoCrm(settings.base_url, http).account()
    return CheckResult(ok=True, message=WORKS)


CONNECTOR = Connector(
    id="kommo",
    label="Kommo",
    summary="Finds and changes contacts, companies and leads in Kommo or amoCRM.",
    settings=Settings,
    kinds=frozenset({"crm", "http"}),
    http=HttpOffer(auth, Rate(messages=6, seconds=1.0, burst=3)),
    oauth=OAuthOffer(addresses, sends_json=True),
    crm=crm,
    crm_hooks=CrmHookOffer(parse=hooks.parse, subscribe=hooks.subscribe),
    try_out=try_out,
)
