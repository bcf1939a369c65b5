"""The built-in demo model: lets every template run with no key and no network, and says openly that it is not an AI."""

from __future__ import annotations

from connectors.demo_model.model import NAME, DemoModel
from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings, OfferedModel


class Settings(CredentialSettings):
    """Nothing to fill in."""


def chat_model(_settings: Settings, _model: str) -> DemoModel:
    """The demo model; there is only one."""
    return DemoModel(NAME)


async def check(_settings: Settings) -> CheckResult:
    """Always there."""
    return CheckResult(ok=True, message="The demo model is always ready. It is not an AI.", models=(NAME,))


def warm_up() -> None:
    """Nothing to load."""


CONNECTOR = Connector(
    id="demo_model",
    label="Demo model (not an AI)",
    summary="Built in, free, needs no key. It follows simple rules, so that you can try a flow at once.",
    settings=Settings,
    models=(OfferedModel(NAME, "Demo model (not an AI)"),),
    needs_credential=False,
    chat_model=chat_model,
    check=check,
    warm_up=warm_up,
)
