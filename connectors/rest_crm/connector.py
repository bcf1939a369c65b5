"""A customer system of your own: paths, methods and field names instead of code."""

from __future__ import annotations

from typing import Literal

from pydantic import SecretStr

from connectors.rest_crm import client, hooks
from connectors.rest_crm.client import RestCrm
from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings, HttpOffer
from graph_runtime.contract.crm_changes import CrmHookOffer
from graph_runtime.contract.forms import setting
from graph_runtime.contract.http import ConnectorHttp, HttpAuth, host_of
from graph_runtime.contract.pointers import Pointer

WORKS = client.WORKS


class Settings(CredentialSettings):
    """Where the system is, and how it is asked."""

    base_url: str = setting(
        "Address of the service", default="https://", required=True, max_length=2000,
        help="The key is sent to this host only.", placeholder="https://crm.example.com/api",
    )  # fmt: skip
    secret: SecretStr = setting("Key", default=SecretStr(""), required=True)
    header_name: str = setting(
        "Header of the key", default="Authorization", max_length=100, pattern="^[A-Za-z0-9-]+$",
        help="In “Authorization” the key is sent as a bearer token, in any other header as it is.",
    )  # fmt: skip
    find_path: str = setting(
        "Path that searches", default="/{entity}?{by}={value}", max_length=500,
        help="{entity}, {by} and {value} are filled in.",
    )  # fmt: skip
    list_place: Pointer = setting(
        "Where the list is", default="", max_length=200, help="Such as data.items. Empty: the answer itself."
    )
    read_path: str = setting("Path of one record", default="/{entity}/{id}", max_length=500)
    create_path: str = setting("Path that creates", default="/{entity}", max_length=500)
    update_path: str = setting("Path that changes", default="/{entity}/{id}", max_length=500)
    fields: str = setting(
        "Fields",
        default="name, phone, email",
        max_length=4000,
        help="Names as the service has them, with commas between.",
    )
    create_method: Literal["POST", "PUT"] = setting(
        "Method that creates", default="POST", advanced=True, options={"POST": "Send (POST)", "PUT": "Put (PUT)"}
    )
    update_method: Literal["PATCH", "PUT", "POST"] = setting(
        "Method that changes", default="PATCH", advanced=True,
        options={"PATCH": "Change (PATCH)", "PUT": "Put (PUT)", "POST": "Send (POST)"},
    )  # fmt: skip
    id_place: Pointer = setting("Where the number of a record is", default="id", max_length=200, advanced=True)
    phone_field: str = setting("Field of the phone", default="phone", max_length=100, advanced=True)
    email_field: str = setting("Field of the e-mail", default="email", max_length=100, advanced=True)
    number_field: str = setting(
        "Field for our own number", default="external_id", max_length=100, advanced=True,
        help="Kept with what we create, and searched before anything is created twice. Empty: no such field.",
    )  # fmt: skip
    contact_field: str = setting("Field of a lead's contact", default="contact_id", max_length=100, advanced=True)
    contact_name: str = setting("Path name of contacts", default="contacts", max_length=100, advanced=True)
    company_name: str = setting("Path name of companies", default="companies", max_length=100, advanced=True)
    lead_name: str = setting("Path name of leads", default="leads", max_length=100, advanced=True)
    newest_path: str = setting(
        "Path that lists the newest", default="", max_length=500, advanced=True, placeholder="/{entity}?sort=-id&limit=1",
        help="The first of the list is shown as an example while a step is set up. {entity} is filled in. Empty: no example.",
    )  # fmt: skip
    note_path: str = setting("Path of notes", default="/{entity}/{id}/notes", max_length=500, advanced=True)
    task_path: str = setting("Path of tasks", default="/{entity}/{id}/tasks", max_length=500, advanced=True)
    hook_secret: SecretStr = setting(
        "Secret of its changes", default=SecretStr(""), advanced=True,
        help="Your system sends it, or signs with it, when it tells us of changes. whsec_…: signed as Standard Webhooks.",
    )  # fmt: skip
    allow_private_host: bool = setting(
        "The address is inside our own network", default=False, advanced=True,
        help="Only an administrator can switch this on.",
    )  # fmt: skip


def auth(settings: Settings, _access: str) -> HttpAuth:
    """The key, for the service's own host."""
    secret, own = settings.secret.get_secret_value(), host_of(settings.base_url)
    value = f"Bearer {secret}" if settings.header_name.lower() == "authorization" else secret
    private = own if settings.allow_private_host else ""
    return HttpAuth(settings.base_url, frozenset({own} - {""}), {settings.header_name: value}, private)


async def try_out(settings: Settings, http: ConnectorHttp) -> CheckResult:
    """One search. Raises: ConnectorError."""
    await RestCrm(settings, http).reach()
    return CheckResult(ok=True, message=WORKS)


CONNECTOR = Connector(
    id="rest_crm",
    label="Your own CRM",
    summary="Connects a customer system of your own by its REST interface, without code.",
    settings=Settings,
    kinds=frozenset({"crm", "http"}),
    http=HttpOffer(auth),
    crm=RestCrm,
    crm_hooks=CrmHookOffer(parse=hooks.parse, verify=hooks.verify),
    try_out=try_out,
)
