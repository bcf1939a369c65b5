"""Passwords: argon2id, a limited number at a time, and the same time whether or not the account exists."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from graph_runtime.contract.errors import InputInvalid, TooMany

SHORTEST = 10
LONGEST = 1000
_T = TypeVar("_T")
_AT_ONCE = 2
_WAITING = 40


@dataclass(frozen=True, slots=True)
class PasswordCost:
    """What one hash costs; cheaper than this is for tests only."""

    memory_kib: int = 64 * 1024
    rounds: int = 3


TODAYS_COST = PasswordCost()


class Passwords:
    """Hashes and verifies, at most two at once: each takes 64 MiB."""

    def __init__(self, cost: PasswordCost = TODAYS_COST) -> None:
        self._hasher = PasswordHasher(
            time_cost=cost.rounds, memory_cost=cost.memory_kib, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
        )
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._nobodys = self._hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """Raises: TooMany."""
        return await self._in_turn(self._hasher.hash, password)

    async def fits(self, password: str, stored: str | None) -> bool:
        """Whether the password belongs to the hash; None (no such account) takes as long and is never right.

        Raises: TooMany
        """
        fits = await self._in_turn(self._verify, stored or self._nobodys, password)
        return fits and bool(stored)

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other costs than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, work: Callable[..., _T], *args: str) -> _T:
        if self._waiting >= _WAITING:
            raise TooMany("Too many people are signing in at this moment. Try again in a few seconds.", retry_after=5)
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work, *args)
        finally:
            self._waiting -= 1


def check_new_password(password: str, *, email: str, name: str) -> None:
    """Raises: InputInvalid with what to do."""
    if len(password) < SHORTEST:
        raise InputInvalid(
            f"The password is too short. Use at least {SHORTEST} characters; three or four words do well.",
            field="password",
            shortest=SHORTEST,
        )
    if len(password) > LONGEST:
        raise InputInvalid(f"The password is longer than {LONGEST} characters. Use a shorter one.", field="password")
    guesses = {email.lower(), email.split("@", maxsplit=1)[0].lower(), name.lower()}
    if password.lower() in guesses or len(set(password)) < 4:
        raise InputInvalid("This password is easy to guess. Choose another one.", field="password")
