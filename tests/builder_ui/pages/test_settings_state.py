"""One's own settings and the workspace's."""

import pytest

from builder_ui.pages.settings_state import SettingsPage
from builder_ui.session import Session
from graph_runtime.bootstrap import Services
from graph_runtime.services.accounts import SignInRefused
from graph_runtime.services.principal import Principal
from tests.builder_ui.conftest import PASSWORD
from tests.builder_ui.tab import Tab


async def test_language_theme_and_names(services: Services, tab: Tab, who: Principal) -> None:
    await tab.call(SettingsPage, "load")
    await tab.call(SettingsPage, "choose_language", "ru")
    await tab.call(SettingsPage, "choose_language", "xx")
    await tab.call(SettingsPage, "choose_theme", "dark")
    await tab.call(SettingsPage, "rename_me", {"name": "Olena K."})
    await tab.call(SettingsPage, "rename_workspace", {"workspace": "Dental"})
    me = tab.state(Session).me
    assert (me.language, me.theme, me.name, me.workspace) == ("ru", "dark", "Olena K.", "Dental")
    assert (await services.accounts.me(who)).theme == "dark"


async def test_how_long_data_is_kept(services: Services, tab: Tab, who: Principal) -> None:
    await tab.call(SettingsPage, "load")
    page = tab.state(SettingsPage)
    assert page.kept == {"keep_transcripts_days": "90", "keep_events_days": "30", "keep_files_days": "90"}
    for wrong in ("0", "-1", "", "many", "9999"):
        await tab.call(SettingsPage, "keep", page.kept | {"keep_events_days": wrong})
        assert page.kept_wrong == "keep_events_days"
    await tab.call(
        SettingsPage, "keep", {"keep_transcripts_days": "0", "keep_events_days": "7", "keep_files_days": "30"}
    )
    assert page.kept_wrong == ""
    assert tab.notice == ("success", "settings.saved")
    kept = await services.workspace_settings.get(who)
    assert (kept.keep_transcripts_days, kept.keep_events_days, kept.keep_files_days) == (0, 7, 30)


async def test_the_password_changes_only_with_the_old_one(services: Services, tab: Tab) -> None:
    await tab.call(SettingsPage, "load")
    await tab.call(SettingsPage, "change_password", {"old": "a guess", "new": "another tram that sings"})
    assert tab.state(SettingsPage).wrong_field == "old"
    await tab.call(SettingsPage, "change_password", {"old": PASSWORD, "new": "short"})
    assert tab.state(SettingsPage).wrong_field == "new"
    await services.accounts.sign_in("olena@example.com", PASSWORD, address="1.1.1.1")
    await tab.call(SettingsPage, "change_password", {"old": PASSWORD, "new": "another tram that sings"})
    assert tab.notice == ("success", "settings.password_changed")
    assert "another tram" not in str(tab.root.dict())
    with pytest.raises(SignInRefused):
        await services.accounts.sign_in("olena@example.com", PASSWORD, address="1.1.1.1")
