"""Any web service with OAuth 2: access is granted in a browser and renewed by itself."""

from __future__ import annotations

from pydantic import SecretStr

from graph_runtime.contract.connectors import (
    CheckResult,
    Connector,
    CredentialSettings,
    HttpOffer,
    OAuthAddresses,
    OAuthOffer,
)
from graph_runtime.contract.errors import CredentialRejected
from graph_runtime.contract.forms import setting
from graph_runtime.contract.http import ConnectorHttp, HttpAuth, host_of

WORKS = "The service answers."
REFUSED = "The service answers, but it refuses the access that was granted. Connect again."


class Settings(CredentialSettings):
    """The service, and the app that was registered there."""

    base_url: str = setting(
        "Address of the service", default="https://", required=True, max_length=2000,
        help="The access is used at this host only. Steps may then write addresses that begin with a slash.",
    )  # fmt: skip
    authorize_url: str = setting(
        "Address that asks for access", default="", required=True, max_length=2000,
        placeholder="https://example.com/oauth/authorize",
    )  # fmt: skip
    exchange_url: str = setting(
        "Address that gives tokens", default="", required=True, max_length=2000,
        placeholder="https://example.com/oauth/token",
    )  # fmt: skip
    client_id: str = setting("Client ID", default="", required=True, max_length=500)
    client_secret: SecretStr = setting("Client secret", default=SecretStr(""), required=True)
    scope: str = setting("Scopes", default="", max_length=1000, help="Separated by spaces, as the service names them.")
    test_path: str = setting(
        "Path to check with", default="/", max_length=500, advanced=True, help="Asked with GET when you press “Check”."
    )
    allow_private_host: bool = setting(
        "The address is inside our own network", default=False, advanced=True,
        help="Only an administrator can switch this on.",
    )  # fmt: skip


def auth(settings: Settings, access: str) -> HttpAuth:
    """The granted access as a bearer token, for the service's own host."""
    own = host_of(settings.base_url)
    private = own if settings.allow_private_host else ""
    return HttpAuth(settings.base_url, frozenset({own} - {""}), {"Authorization": f"Bearer {access}"}, private)


def addresses(settings: Settings) -> OAuthAddresses:
    """As they were entered."""
    return OAuthAddresses(
        settings.authorize_url, settings.exchange_url, settings.client_id, settings.client_secret.get_secret_value(),
        settings.scope,
    )  # fmt: skip


async def try_out(settings: Settings, http: ConnectorHttp) -> CheckResult:
    """One GET with the access. Raises: ConnectorError."""
    answer = await http.exchange("GET", settings.test_path if settings.test_path.startswith("/") else "/")
    if answer.status in (401, 403):
        raise CredentialRejected(REFUSED)
    return CheckResult(ok=True, message=WORKS)


CONNECTOR = Connector(
    id="oauth_app",
    label="Web service with OAuth 2",
    summary="Lets steps call a web service that grants access in a browser.",
    settings=Settings,
    kinds=frozenset({"http"}),
    http=HttpOffer(auth),
    oauth=OAuthOffer(addresses),
    try_out=try_out,
)
