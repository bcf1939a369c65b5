"""What answers cost, from the table that is installed."""

from __future__ import annotations

import pytest

from graph_runtime.contract.models import ModelUsage
from graph_runtime.engine.prices import cost_microusd, price_table


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-5-mini"),
        ("anthropic", "claude-haiku-4-5"),
        ("google_gemini", "gemini-2.5-flash"),
        ("openrouter.ai", "openai/gpt-5-mini"),
    ],
)
def test_known_models_have_a_price_and_the_cache_is_cheaper(provider: str, model: str) -> None:
    full = cost_microusd(provider, model, ModelUsage(10_000, 1_000))
    cached = cost_microusd(provider, model, ModelUsage(10_000, 1_000, 10_000))
    assert isinstance(full, int)
    assert isinstance(cached, int)
    assert 0 < cached <= full


def test_the_figure_is_in_millionths_of_a_dollar() -> None:
    assert cost_microusd("openai", "gpt-5-mini", ModelUsage(1_000_000, 0)) == 250_000


@pytest.mark.parametrize("provider", ["openai", "localhost:11434", "192.168.0.7:8000", "", "odd host"])
def test_an_unknown_price_is_none_and_not_nothing(provider: str) -> None:
    assert cost_microusd(provider, "home-made-model", ModelUsage(10, 10)) is None


def test_more_cached_than_asked_is_not_an_error() -> None:
    assert cost_microusd("openai", "gpt-5-mini", ModelUsage(10, 10, 500)) is not None


def test_the_demo_model_is_free() -> None:
    assert cost_microusd("demo_model", "demo", ModelUsage(10, 10)) == 0


def test_the_table_has_a_version() -> None:
    assert price_table().startswith("genai-prices ")
