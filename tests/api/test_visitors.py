"""Visitor tokens between web processes whose clocks differ."""

from __future__ import annotations

import pytest

from graph_runtime.api.visitors import LIFETIME_SECONDS, VisitorTokens

NOW = 1_800_000_000.0


def tokens(seconds: float = 0.0) -> VisitorTokens:
    """Of a web process whose clock is so much ahead."""
    return VisitorTokens("for tests only, " * 3, clock=lambda: NOW + seconds)


@pytest.mark.parametrize("behind", [1, 50, 60])
def test_a_process_that_is_a_little_behind_knows_a_token_of_another(behind: int) -> None:
    visitor = tokens().new("chat")
    assert tokens(-behind).read(tokens().issue(visitor), "chat") == visitor


@pytest.mark.parametrize("seconds", [-3600, LIFETIME_SECONDS + 61])
def test_a_token_from_the_future_or_of_last_month_is_nobodys(seconds: float) -> None:
    assert tokens(seconds).read(tokens().issue(tokens().new("chat")), "chat") is None


def test_a_token_lasts_a_month() -> None:
    visitor = tokens().new("chat")
    assert tokens(LIFETIME_SECONDS - 61).read(tokens().issue(visitor), "chat") == visitor
