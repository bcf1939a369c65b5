"""Who is acting: a member, an API key or the system, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from graph_runtime.contract.errors import AccessDenied

Role = Literal["owner", "admin", "editor", "viewer", "operator", "api", "system"]

_VIEW = frozenset({"agent.read", "conversation.read", "knowledge.read"})
_OPERATE = _VIEW | {"conversation.write"}
_EDIT = _OPERATE | {"agent.edit", "flow.edit", "flow.publish", "credential.use", "knowledge.edit"}
_ADMINISTER = _EDIT | {"credential.manage", "settings.manage", "api_key.manage", "event.read", "event.manage"}
PERMISSIONS: MappingProxyType[str, frozenset[str]] = MappingProxyType(
    {
        "owner": _ADMINISTER,
        "admin": _ADMINISTER,
        "editor": _EDIT,
        "operator": _OPERATE,
        "viewer": _VIEW,
        "system": _ADMINISTER,
    }
)
"""What each role may do; an API key has its own scopes, never more than the member who made it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """One acting party of one workspace."""

    workspace_id: str
    member_id: str | None
    role: Role
    scopes: frozenset[str]
    session_id: str | None = None
    """Of an API key: the key's id."""

    def require(self, *permissions: str) -> None:
        """Raises: AccessDenied."""
        for permission in permissions:
            if permission not in self.scopes:
                raise AccessDenied(
                    f"You may not do this here: it needs the right “{permission}”. Ask an owner of the workspace.",
                    permission=permission,
                )

    @property
    def actor(self) -> str:
        """For the audit log: an id, never a name."""
        if self.role == "api":
            return f"api_key:{self.session_id}"
        return f"member:{self.member_id}" if self.member_id else "system"


def system_principal(workspace_id: str) -> Principal:
    """The program itself, in one workspace."""
    return Principal(workspace_id, None, "system", PERMISSIONS["system"])
