"""What an answer of a model cost, from the price table that comes with the program; no network."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from graph_runtime.contract.models import ModelUsage

_IDS = {"openai": "openai", "anthropic": "anthropic", "google_gemini": "google"}
_FREE = frozenset({"demo_model"})


def cost_microusd(provider: str, model: str, usage: ModelUsage) -> int | None:
    """Millionths of a US dollar, rounded half up; None when the price is not known (never 0).

    `provider` is a connector's id or, for compatible services, their host ("openrouter.ai").
    """
    if provider in _FREE:
        return 0
    import genai_prices  # 0.2 s and a few MB, wanted only once somebody uses a paid model

    counted = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=min(usage.cached_tokens, usage.input_tokens),
    )
    try:
        if provider in _IDS:
            price = genai_prices.calc_price(counted, model, provider_id=_IDS[provider])
        else:
            price = genai_prices.calc_price(counted, model, provider_api_url=f"https://{provider}/")
    except (LookupError, ValueError):
        return None
    return int((price.total_price * Decimal(1_000_000)).quantize(Decimal(1), ROUND_HALF_UP))


def warm_up() -> None:
    """Load the table, for processes in which an answer must not wait for it (0.2 s)."""
    cost_microusd("openai", "gpt-4o", ModelUsage(1, 1))


def price_table() -> str:
    """Which table the figures come from, stored beside them."""
    import genai_prices

    return f"genai-prices {genai_prices.__version__}"
