"""What screens and programs of members call to set channels up, with the member's cookie."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from graph_runtime.api.access import Member, member, router, services_of
from graph_runtime.api.routes.builder import rows_json

routes = router(member, "/api/builder")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ChannelIn(_Body):
    """A new channel; `settings` as its connector wants them, without secrets."""

    connector: str = Field(max_length=60)
    label: str = Field(default="", max_length=200)
    settings: dict[str, Any] = Field(default_factory=dict)


class ChannelChange(_Body):
    """What changes of a channel; what is left out stays."""

    label: str | None = Field(default=None, max_length=200)
    settings: dict[str, Any] | None = None
    is_on: bool | None = None


@routes.get("/agents/{agent_id}/channels")
async def channels(request: Request, agent_id: str, who: Member) -> Any:
    """The agent's channels that push, without secrets."""
    return rows_json(await services_of(request).channel_setup.list(who, agent_id))


@routes.post("/agents/{agent_id}/channels", status_code=201)
async def add_channel(request: Request, agent_id: str, body: ChannelIn, who: Member) -> dict[str, Any]:
    """Add a channel; its secret is in this answer and nowhere else."""
    row, secret = await services_of(request).channel_setup.create(
        who, agent_id, body.connector, label=body.label, settings=body.settings
    )
    return {"channel": rows_json(row), "secret": secret}


@routes.patch("/channels/{channel_id}")
async def change_channel(request: Request, channel_id: str, body: ChannelChange, who: Member) -> Any:
    """Change a channel, or switch it on or off."""
    setup = services_of(request).channel_setup
    row = await setup.update(who, channel_id, label=body.label, settings=body.settings)
    if body.is_on is not None:
        row = await setup.set_on(who, channel_id, body.is_on)
    return rows_json(row)


@routes.post("/channels/{channel_id}/secret")
async def new_secret(request: Request, channel_id: str, who: Member) -> dict[str, Any]:
    """Give a channel a new secret; the one before stays valid for a day."""
    row, secret = await services_of(request).channel_setup.rotate_secret(who, channel_id)
    return {"channel": rows_json(row), "secret": secret}


@routes.delete("/channels/{channel_id}")
async def delete_channel(request: Request, channel_id: str, who: Member) -> dict[str, int]:
    """Delete a channel; how many messages it had still to send."""
    return {"given_up": await services_of(request).channel_setup.delete(who, channel_id)}
