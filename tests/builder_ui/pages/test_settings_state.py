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
