"""State of the settings: the member's own, the workspace's name, the password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from builder_ui.i18n import LANGUAGES
from builder_ui.session import Session, handler, services, show_member, text_of
from graph_runtime.contract.errors import InputInvalid

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

KEPT = ("keep_transcripts_days", "keep_events_days", "keep_files_days")
THEMES = ("system", "light", "dark")


class SettingsPage(Session):
    """A password passes through an argument and is never kept here."""

    workspace_name: str = ""
    kept: dict[str, str] = {}
    kept_wrong: str = ""
    is_loaded: bool = False
    is_changing: bool = False
    wrong_field: str = ""
    changes: int = 0

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        settings = await services().workspace_settings.get(who)
        self.workspace_name = settings.name or self.me.workspace
        self.kept, self.kept_wrong = {key: str(getattr(settings, key)) for key in KEPT}, ""
        self.wrong_field, self.is_changing, self.is_loaded = "", False, True

    @handler
    async def rename_me(self, who: Principal, form: dict[str, Any]) -> None:
        """Keep the member's name."""
        await services().accounts.update_me(who, name=text_of(form, "name", required=True, limit=120))
        await show_member(self, who)
        self._tell("settings.saved")

    @handler
    async def choose_language(self, who: Principal, language: str) -> None:
        """The language of the screens; takes effect at once."""
        if language in LANGUAGES:
            await services().accounts.update_me(who, language=language)
            await show_member(self, who)

    @handler
    async def choose_theme(self, who: Principal, theme: str | list[str]) -> None:
        """Light, dark, or as in the system; takes effect at once."""
        if isinstance(theme, str) and theme in THEMES:
            await services().accounts.update_me(who, theme=theme)
            await show_member(self, who)

    @handler
    async def change_password(self, who: Principal, form: dict[str, Any]) -> Any:
        """Change the password, which signs out other devices."""
        if self.is_changing:
            return
        self.is_changing, self.wrong_field = True, ""
        yield
        try:
            old, new = str(form.get("old") or ""), str(form.get("new") or "")
            await services().accounts.change_password(who, old=old, new=new)
            self.changes += 1
            self._tell("settings.password_changed")
        except InputInvalid as error:
            self.wrong_field = "old" if error.field == "old" else "new"
        finally:
            self.is_changing = False

    @handler
    async def rename_workspace(self, who: Principal, form: dict[str, Any]) -> None:
        """Keep the workspace's name."""
        name = text_of(form, "workspace", required=True, limit=120)
        await services().workspace_settings.update(who, name=name)
        self.workspace_name = name
        await show_member(self, who)
        self._tell("settings.saved")

    @handler
    async def keep(self, who: Principal, form: dict[str, Any]) -> None:
        """For how many days each kind of data is kept."""
        self.kept = {key: str(form.get(key) or "").strip()[:6] for key in KEPT}
        self.kept_wrong = next((key for key, days in self.kept.items() if not days.isdecimal()), "")
        if self.kept_wrong:
            return
        try:
            await services().workspace_settings.update(who, **{key: int(days) for key, days in self.kept.items()})
        except InputInvalid as error:
            self.kept_wrong = error.field or KEPT[0]
        else:
            self._tell("settings.saved")
