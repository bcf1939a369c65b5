"""Any web service with a key: bearer token, name and password, or a header of its own."""

from __future__ import annotations

import base64
from typing import Literal

from pydantic import SecretStr

from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings, HttpOffer
from graph_runtime.contract.errors import CredentialRejected
from graph_runtime.contract.forms import setting
from graph_runtime.contract.http import ConnectorHttp, HttpAuth, host_of

WORKS = "The service answers."
NO_HOST = "Enter the address of the service, such as https://api.example.com."
REFUSED = "The service answers, but it refuses the key. Check the key and how it is sent."


class Settings(CredentialSettings):
    """Whose key it is and how it is sent."""

    base_url: str = setting(
        "Address of the service", default="https://", required=True, max_length=2000,
        help="The key is sent to this host only. Steps may then write addresses that begin with a slash.",
    )  # fmt: skip
    auth: Literal["bearer", "basic", "header"] = setting(
        "How it is sent", default="bearer",
        options={"bearer": "Bearer token", "basic": "Name and password", "header": "Header of its own"},
    )  # fmt: skip
    secret: SecretStr = setting("Key or password", default=SecretStr(""), required=True)
    user: str = setting("User name", default="", max_length=200, show_when={"auth": ["basic"]})
    header_name: str = setting(
        "Name of the header", default="X-API-Key", max_length=100, pattern="^[A-Za-z0-9-]+$",
        show_when={"auth": ["header"]},
    )  # fmt: skip
    test_path: str = setting(
        "Path to check with", default="/", max_length=500, advanced=True, help="Asked with GET when you press “Check”."
    )
    more_hosts: str = setting(
        "More hosts of the same service", default="", max_length=500, advanced=True,
        help="Separated by spaces, such as files.example.com. They get the key, too.",
    )  # fmt: skip
    allow_private_host: bool = setting(
        "The address is inside our own network", default=False, advanced=True,
        help="Only an administrator can switch this on.",
    )  # fmt: skip


def auth(settings: Settings, _access: str) -> HttpAuth:
    """The one header, for the service's own hosts."""
    secret = settings.secret.get_secret_value()
    if settings.auth == "bearer":
        headers = {"Authorization": f"Bearer {secret}"}
    elif settings.auth == "basic":
        pair = base64.b64encode(f"{settings.user}:{secret}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}"}
    else:
        headers = {settings.header_name: secret}
    own = host_of(settings.base_url)
    more = {host_of(f"https://{name}") for name in settings.more_hosts.replace(",", " ").split()}
    private = own if settings.allow_private_host else ""
    return HttpAuth(settings.base_url, frozenset({own, *more} - {""}), headers, private)


async def try_out(settings: Settings, http: ConnectorHttp) -> CheckResult:
    """One GET. Any answer but 401 and 403 means that the key is taken. Raises: ConnectorError."""
    if not host_of(settings.base_url):
        return CheckResult(ok=False, message=NO_HOST)
    answer = await http.exchange("GET", settings.test_path if settings.test_path.startswith("/") else "/")
    if answer.status in (401, 403):
        raise CredentialRejected(REFUSED)
    return CheckResult(ok=True, message=WORKS)


CONNECTOR = Connector(
    id="http_key",
    label="Web service with a key",
    summary="Lets steps call a web service with a key that they never see.",
    settings=Settings,
    kinds=frozenset({"http"}),
    http=HttpOffer(auth),
    try_out=try_out,
)
