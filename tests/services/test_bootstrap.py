"""The composition root puts together everything a process needs, and lets go of it."""

import pytest

from graph_runtime import bootstrap
from graph_runtime.bootstrap import Services
from graph_runtime.settings import Settings, SettingsRefused


async def test_the_services_of_the_process_are_known_until_they_close(services: Services) -> None:
    assert bootstrap.current() is services
    assert {"start", "end"} <= services.catalog.nodes.keys()
    await services.close()
    with pytest.raises(RuntimeError):
        bootstrap.current()


async def test_without_a_database_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("PATCHCORD_DATABASE_URL", raising=False)
    with pytest.raises(SettingsRefused, match="DATABASE_URL"):
        await bootstrap.build(Settings())
