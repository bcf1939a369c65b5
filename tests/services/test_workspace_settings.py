"""Settings of a workspace: known ones only, checked, by administrators."""

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, InputInvalid
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.storage import audit


async def test_settings_have_defaults_and_keep_changes(
    services: Services, owner: Principal, other_workspace: Principal
) -> None:
    settings = services.workspace_settings
    assert (await settings.get(owner)).time_zone == "UTC"
    changed = await settings.update(owner, name="Acme Ukraine", language="uk", time_zone="Europe/Kyiv")
    assert (changed.name, changed.language, changed.time_zone) == ("Acme Ukraine", "uk", "Europe/Kyiv")
    assert await settings.get(owner) == changed
    assert (await settings.get(other_workspace)).name == "Globex"


BAD_DAYS = [
    {"keep_events_days": 0},
    {"keep_transcripts_days": -1},
    {"keep_transcripts_days": 3651},
    {"keep_files_days": "90"},
    {"keep_files_days": True},
    {"keep_files_days": 1.5},
]


@pytest.mark.parametrize(
    "change", [{"name": ""}, {"name": 5}, {"language": "xx"}, {"time_zone": "Mars"}, {"typo": 1}, *BAD_DAYS]
)
async def test_what_does_not_fit_changes_nothing(
    services: Services, owner: Principal, change: dict[str, object]
) -> None:
    before = await services.workspace_settings.get(owner)
    with pytest.raises(InputInvalid) as caught:
        await services.workspace_settings.update(owner, **{"time_zone": "Europe/Kyiv"} | change)
    assert caught.value.field == next(iter(change))
    assert await services.workspace_settings.get(owner) == before


async def test_an_editor_may_look_only(services: Services, owner: Principal) -> None:
    editor = Principal(owner.workspace_id, owner.member_id, "editor", PERMISSIONS["editor"])
    await services.workspace_settings.get(editor)
    with pytest.raises(AccessDenied):
        await services.workspace_settings.update(editor, name="Mine")


async def test_changes_are_in_an_unbroken_audit_log(services: Services, owner: Principal) -> None:
    await services.workspace_settings.update(owner, language="uk")
    await services.api_keys.create(owner, "A", ["flows:read"])
    async with services.database.workspace(owner.workspace_id) as connection:
        rows = await (await connection.execute("SELECT actor, action FROM audit ORDER BY seq")).fetchall()
        assert await audit.first_tampered(connection) is None
    assert [row["action"] for row in rows] == ["settings.changed", "api_key.created"]
    assert {row["actor"] for row in rows} == {f"member:{owner.member_id}"}
