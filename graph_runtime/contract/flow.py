"""The flow document `flow/1`: one conversation as data. The only definition; the JSON Schema is generated from it."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from typing import Annotated, Any, Literal, NewType

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from graph_runtime.contract.errors import FlowDamaged, TooLarge

FlowId = NewType("FlowId", str)
NodeId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
PortId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
PortRef = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}\.[a-z][a-z0-9_]{0,39}$")]
VariableId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
VariableType = Literal["text", "number", "boolean", "date", "list", "object", "file"]
LANGUAGES = ("en", "ru", "uk")
MAX_DOCUMENT_BYTES = 4_000_000
MAX_NODES = 2000
MAX_TEXT = 100_000


class _Document(BaseModel):
    # Unknown keys are kept on load and save, so a newer document survives an older program.
    model_config = ConfigDict(frozen=True, extra="allow")


class Connection(_Document):
    """A named slot for something outside; the workspace binds a credential to it."""

    kind: str = "chat_model"
    label: str = ""


class Variable(_Document):
    """A named value; the map key is its id, `label` is its name."""

    type: VariableType = "text"
    label: str = ""
    scope: Literal["conversation", "contact"] = "conversation"
    default: Any = None
    secret: bool = False


class Node(_Document):
    """One step. `v` is the version of its type that the settings were written for."""

    type: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
    v: int = 1
    name: str = Field(default="", max_length=200)
    note: str = Field(default="", max_length=5000)
    enabled: bool = True
    settings: dict[str, Any] = Field(default_factory=dict)


class Pace(_Document):
    """How the agent keeps step with somebody who writes several messages in a row.

    `gather_ms`: where people type (not the API, not a button), how long after a message to wait for the next one
    before both are answered together; 0 answers each at once. `while_busy`: a message that comes while an answer is
    being made waits its turn ("queue"), or the answer is begun anew with it ("interrupt").
    """

    gather_ms: int = Field(default=800, ge=0, le=10_000)
    while_busy: Literal["queue", "interrupt"] = "queue"


class Layout(_Document):
    """Where things stand on the canvas; outside the content hash."""

    nodes: dict[str, tuple[int, int]] = Field(default_factory=dict)
    notes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = Field(default_factory=dict)


class Flow(_Document):
    """A directed graph of steps. `edges` maps a source port "node.port" to its one target node."""

    format: Literal["flow/1"] = "flow/1"
    id: str = Field(default="", max_length=60)
    name: str = Field(default="", max_length=200)
    locale: str = "en"
    entry: dict[str, NodeId] = Field(default_factory=dict)
    connections: dict[str, Connection] = Field(default_factory=dict)
    variables: dict[VariableId, Variable] = Field(default_factory=dict)
    nodes: dict[NodeId, Node] = Field(default_factory=dict, max_length=MAX_NODES)
    edges: dict[PortRef, NodeId] = Field(default_factory=dict)
    i18n: dict[str, dict[str, str]] = Field(default_factory=dict)
    pace: Pace = Pace()
    layout: Layout = Layout()

    @field_validator("nodes")
    @classmethod
    def _texts_are_sane(cls, nodes: dict[str, Node]) -> dict[str, Node]:
        for node_id, node in nodes.items():
            _check_json(node.settings, f"nodes.{node_id}.settings")
        return nodes

    def content_hash(self) -> str:
        """SHA-256 of what the flow does: equal content has an equal hash, wherever the steps stand."""
        content = self.model_dump(mode="json", exclude={"layout"})
        return hashlib.sha256(_canonical(content)).hexdigest()

    def dumps(self) -> str:
        """The document as saved: two spaces, sorted keys, LF."""
        return json.dumps(self.to_json(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"

    def to_json(self) -> dict[str, Any]:
        """The document as JSON values."""
        return {"$schema": "urn:patchcord:flow:1"} | self.model_dump(mode="json", exclude={"$schema"})


def load_flow(document: str | bytes | dict[str, Any]) -> Flow:
    """Read a flow document.

    Raises: FlowDamaged with a sentence naming the place; TooLarge above 4 MB.
    """
    if isinstance(document, str | bytes):
        if len(document) > MAX_DOCUMENT_BYTES:
            raise TooLarge("This flow file is larger than 4 MB. Remove long texts or split the flow.", limit="4 MB")
        try:
            document = json.loads(document)
        except (ValueError, RecursionError) as e:
            where = f" (line {e.lineno}, column {e.colno})" if isinstance(e, json.JSONDecodeError) else ""
            raise FlowDamaged(
                f"This file is not a flow: it is not valid JSON{where}. Export the flow again and import that file.",
                reason="json",
                where=where,
            ) from None
    if not isinstance(document, dict) or document.get("format") != "flow/1":
        raise FlowDamaged('This file is not a flow: it has no "format": "flow/1".', reason="format", where="")
    try:
        return Flow.model_validate({k: v for k, v in document.items() if k != "$schema"})
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(p) for p in first["loc"])
        raise FlowDamaged(
            f"This flow is damaged at “{path}”: {first['msg']}. Mend that place or import an earlier export.",
            reason=first["msg"],
            where=path,
        ) from None


def new_id(prefix: str) -> str:
    """A fresh id such as `n_8k2m4q3d`: made once, never used again."""
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    return f"{prefix}_" + "".join(secrets.choice(alphabet) for _ in range(10))


def split_port(ref: str) -> tuple[str, str]:
    """`"n_ask7.answered"` → `("n_ask7", "answered")`."""
    node_id, _, port = ref.partition(".")
    return node_id, port


def _check_json(value: Any, path: str, depth: int = 0) -> None:
    if depth > 12:
        raise ValueError(f"{path} is nested too deeply")
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise ValueError(f"{path} is longer than {MAX_TEXT} characters")
    elif isinstance(value, dict):
        for k, v in value.items():
            _check_json(v, f"{path}.{k}", depth + 1)
    elif isinstance(value, list):
        for i, v in enumerate(value):
            _check_json(v, f"{path}.{i}", depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{path} is not a number")


def _canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8", "replace")
