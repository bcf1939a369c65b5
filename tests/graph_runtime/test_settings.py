"""Settings: read once, frozen, and refused with a sentence when they are dangerous."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from graph_runtime.settings import Settings, SettingsRefused, secret_key_of

GOOD_KEY = "kY3v9-wQz71LmN0pRtUx4BcDfGhJ5s8A"
DATABASE = "postgresql://app:word@db/patchcord"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("PATCHCORD_") or name in ("DATABASE_URL", "REDIS_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATCHCORD_DATA_DIR", str(tmp_path / "data"))


def test_a_local_installation_needs_no_setting(tmp_path: Path) -> None:
    settings = Settings.load()
    assert (settings.host, settings.port, settings.environment) == ("127.0.0.1", 8600, "local")
    assert settings.public_url == "http://127.0.0.1:8600"
    assert len(settings.secret_key.get_secret_value()) >= 32


def test_nothing_changes_after_reading() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings.load().port = 1  # type: ignore[misc]


def test_no_secret_shows_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", DATABASE)
    monkeypatch.setenv("PATCHCORD_SECRET_KEY", GOOD_KEY)
    shown = repr(Settings.load()) + str(Settings.load())
    assert "word" not in shown
    assert GOOD_KEY not in shown


@pytest.mark.parametrize("name", ["DATABASE_URL", "PATCHCORD_DATABASE_URL"])
def test_the_database_has_two_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, DATABASE)
    settings = Settings.load()
    assert settings.database_url is not None
    assert settings.migration_url == DATABASE


def test_migrations_use_the_owner_when_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", DATABASE)
    monkeypatch.setenv("PATCHCORD_DATABASE_ADMIN_URL", "postgresql://owner@db/patchcord")
    assert Settings.load().migration_url == "postgresql://owner@db/patchcord"


def test_the_key_is_made_once_for_this_account_only(tmp_path: Path) -> None:
    first, second = Settings.load().secret_key, Settings.load().secret_key
    assert first == second
    assert stat.S_IMODE((tmp_path / "data" / "secret-key").stat().st_mode) == 0o600


def test_two_first_starts_agree_on_one_key(tmp_path: Path) -> None:
    script = "import sys; from graph_runtime.settings import secret_key_of; from pathlib import Path\n"
    script += "print(secret_key_of(Path(sys.argv[1])))"
    starts = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "new")], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert len({start.communicate()[0] for start in starts}) == 1


def test_a_damaged_key_file_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "secret-key").write_text("short")
    with pytest.raises(SettingsRefused, match=r"secret-key is damaged.*backup"):
        secret_key_of(tmp_path)
    assert (tmp_path / "secret-key").read_text() == "short"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "must be set in production"),
        ("short", "shorter than 32"),
        ("changeme" * 5, "can be guessed"),
        ("abababababababababababababababababab", "can be guessed"),
    ],
)
def test_production_refuses_a_weak_key(monkeypatch: pytest.MonkeyPatch, key: str, said: str) -> None:
    monkeypatch.setenv("PATCHCORD_ENVIRONMENT", "production")
    monkeypatch.setenv("DATABASE_URL", DATABASE)
    monkeypatch.setenv("PATCHCORD_SECRET_KEY", key)
    with pytest.raises(SettingsRefused, match=said):
        Settings.load()


def test_production_refuses_to_start_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHCORD_ENVIRONMENT", "production")
    monkeypatch.setenv("PATCHCORD_SECRET_KEY", GOOD_KEY)
    with pytest.raises(SettingsRefused, match="DATABASE_URL must be set"):
        Settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATCHCORD_PORT", "70000"),
        ("PATCHCORD_DATABASE_URL", "mysql://db"),
        ("PATCHCORD_TURN_MAX_STEPS", "0"),
        ("PATCHCORD_LOG_LEVEL", "loud"),
        ("PATCHCORD_PLUGIN_PACKAGES", "not json"),
    ],
)
def test_a_refusal_names_the_variable_and_not_its_value(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsRefused) as refusal:
        Settings.load()
    assert name.removeprefix("PATCHCORD_").lower() in str(refusal.value).lower()
    assert "mysql" not in str(refusal.value)


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("10.0.0.5", "10.0.0.5")])
def test_the_public_address_follows_host_and_port(monkeypatch: pytest.MonkeyPatch, host: str, shown: str) -> None:
    monkeypatch.setenv("PATCHCORD_HOST", host)
    monkeypatch.setenv("PATCHCORD_PORT", "9000")
    assert Settings.load().public_url == f"http://{shown}:9000"


def test_a_public_address_loses_its_last_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHCORD_PUBLIC_URL", "https://bots.example.org/")
    assert Settings.load().public_url == "https://bots.example.org"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATCHCORD_TURNS", "everywhere"),
        ("PATCHCORD_DRAIN_SECONDS", "-1"),
        ("PATCHCORD_WORKER_PORT", "70000"),
        ("PATCHCORD_DRAIN_NOTICE_SECONDS", "soon"),
    ],
)
def test_settings_of_production_are_checked(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsRefused, match=name):
        Settings.load()


def test_turns_run_here_unless_somebody_decides_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().turns == "here"
    monkeypatch.setenv("PATCHCORD_TURNS", "workers")
    monkeypatch.setenv("PATCHCORD_METRICS_TOKEN", GOOD_KEY)
    assert Settings.load().turns == "workers"
    assert GOOD_KEY not in repr(Settings.load())
