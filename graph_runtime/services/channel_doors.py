"""The ways out for channels: one for public addresses, and one of its own for each private host that was allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graph_runtime.contract.channels import ChannelHttp, ChannelOffer
from graph_runtime.engine.http import HttpDoor

MakeDoor = Callable[[frozenset[str]], HttpDoor]


def _door(private_hosts: frozenset[str]) -> HttpDoor:
    return HttpDoor(private_hosts=private_hosts)


def waiting_doors() -> ChannelDoors:
    """For questions that a vendor answers when something happens: many of them wait at once."""
    return ChannelDoors(lambda hosts: HttpDoor(private_hosts=hosts, connections=5000))


class ChannelDoors:
    """A connection that was allowed for one channel must not be there for another to find, hence separate doors."""

    def __init__(self, make: MakeDoor = _door) -> None:
        self._make = make
        self._doors: dict[str, HttpDoor] = {}

    def to(self, private_host: str) -> ChannelHttp:
        """The door for a channel; `private_host` "" when only public addresses are allowed."""
        return self.guarded(private_host)

    def guarded(self, private_host: str) -> HttpDoor:
        """The same door with everything it can do."""
        if private_host not in self._doors:
            self._doors[private_host] = self._make(frozenset({private_host} if private_host else ()))
        return self._doors[private_host]

    def of(self, offer: ChannelOffer, settings: Any) -> ChannelHttp:
        """The door for a channel with these settings."""
        return self.to(offer.private_host(settings) if offer.private_host else "")

    async def close(self) -> None:
        """Close idle connections."""
        doors, self._doors = self._doors, {}
        for door in doors.values():
            await door.close()
