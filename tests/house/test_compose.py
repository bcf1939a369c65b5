"""docker-compose.yml fits the program: commands, settings, routes and files it names exist. It is not run here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic import AliasChoices

from graph_runtime.__main__ import COMMANDS
from graph_runtime.api.routes import health
from graph_runtime.settings import PREFIX, Settings

REPOSITORY = Path(__file__).resolve().parents[2]
OF_OTHERS = {"FORWARDED_ALLOW_IPS"}  # uvicorn's


def compose() -> Any:
    return yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())


SERVICES: dict[str, Any] = compose()["services"]
OURS = sorted(name for name, service in SERVICES.items() if str(service["image"]).startswith("patchcord:"))


def known_settings() -> set[str]:
    """Every name under which a setting is read."""
    names: set[str] = set()
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        names |= (
            {str(choice) for choice in alias.choices} if isinstance(alias, AliasChoices) else {PREFIX + name.upper()}
        )
    return names


def test_the_services_of_production_are_there() -> None:
    assert set(SERVICES) >= {"migrate", "web", "worker", "voice", "asterisk", "postgres", "redis"}
    assert {"migrate", "web", "worker", "voice"} <= set(OURS)
    assert {name for name, service in SERVICES.items() if "profiles" in service} == {
        "voice", "asterisk", "prometheus", "grafana", "scanner",
    }  # fmt: skip


@pytest.mark.parametrize("name", OURS)
def test_our_services_run_commands_that_exist_with_settings_that_exist(name: str) -> None:
    service = SERVICES[name]
    assert service["command"][0] in COMMANDS
    assert set(service["environment"]) - known_settings() - OF_OTHERS == set()
    assert service["environment"]["PATCHCORD_ENVIRONMENT"] == "production"
    assert service["environment"]["PATCHCORD_TURNS"] == "workers"


@pytest.mark.parametrize("name", OURS)
def test_our_services_have_no_rights_they_do_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_only_migrations_know_the_owner_of_the_tables() -> None:
    told = {name for name in OURS if "PATCHCORD_DATABASE_ADMIN_URL" in SERVICES[name]["environment"]}
    assert told == {"migrate"}


def test_health_checks_ask_addresses_that_exist() -> None:
    routes = {route.path for route in health.routes.routes if hasattr(route, "path")}
    asked = {}
    for name in set(OURS) - {"migrate"}:
        test = SERVICES[name]["healthcheck"]["test"]
        assert test[:4] == ["CMD", "python", "-m", "graph_runtime.cli.probe"]
        url = urlsplit(test[4])
        assert url.path in routes or url.scheme == "tcp"
        asked[name] = url.port
    assert asked["voice"] == SERVICES["voice"]["environment"]["PATCHCORD_VOICE_PORT"]
    assert asked["web"] == SERVICES["web"]["environment"]["PATCHCORD_PORT"]
    assert asked["worker"] == SERVICES["worker"]["environment"]["PATCHCORD_WORKER_PORT"]
    assert all("healthcheck" in SERVICES[name] for name in ("postgres", "redis"))


@pytest.mark.parametrize("name", ["web", "worker"])
def test_a_process_gets_the_time_it_needs_to_end(name: str) -> None:
    service = SERVICES[name]
    needed = sum(
        float(service["environment"].get(f"PATCHCORD_DRAIN_{part}", 0)) for part in ("SECONDS", "NOTICE_SECONDS")
    )
    assert int(service["stop_grace_period"].removesuffix("s")) >= needed + 10


def test_no_secret_is_inside_and_the_example_names_all_of_them() -> None:
    text = (REPOSITORY / "docker-compose.yml").read_text()
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    optional = set(re.findall(r"\$\{([A-Z_]+):-", text))
    example = (REPOSITORY / "docs" / "deploy" / "env.example").read_text()
    assert set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE)) >= asked
    assert set(re.findall(r"^#? ?([A-Z_]+)=", example, re.MULTILINE)) >= asked | optional
    assert not re.search(r"^[A-Z_]+=\S", example, re.MULTILINE), "the example holds a value"
    for line in text.splitlines():
        if re.search(r"(PASSWORD|SECRET|TOKEN)\w*:", line):
            assert "${" in line, line


def test_the_telephone_system_is_told_all_that_its_start_asks_for() -> None:
    service, start = SERVICES["asterisk"], (REPOSITORY / "asterisk" / "start.sh").read_text()
    asked = set(re.findall(r"\bneed ([A-Z_]+)$", start, re.MULTILINE))
    told = set(service["environment"])
    assert asked <= told
    assert told - asked == {"MANAGER_BIND", "REST_BIND"}
    ranges = [port.partition(":10000-")[2] for port in service["ports"] if "10000" in port]
    assert ranges == ["10099:10000-10099/udp"]
    text = (REPOSITORY / "asterisk" / "rtp.conf").read_text()
    assert "rtpstart = 10000\nrtpend = 10099\n" in text
    assert all(port.startswith("${SIP_BIND:-127.0.0.1}:") for port in service["ports"]), (
        "nobody from outside by default"
    )
    assert service["cap_drop"] == ["ALL"]
    assert SERVICES["asterisk"]["environment"]["PATCHCORD_PHONE_AUDIO"].endswith(f":{SERVICES['voice']['environment']['PATCHCORD_VOICE_PORT']}")  # fmt: skip


def test_files_and_volumes_that_are_named_exist() -> None:
    volumes = set(compose()["volumes"])
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (REPOSITORY / source).exists() if source.startswith(".") else source in volumes
        if "build" in service:
            assert (REPOSITORY / service["build"]["dockerfile"]).is_file()


def test_the_image_is_made_of_files_that_exist_and_runs_without_rights() -> None:
    text = (REPOSITORY / "docs" / "deploy" / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for word in line.split()]
    assert copied
    assert all((REPOSITORY / name).exists() for name in copied)
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert not re.search(r"(?i)(secret|password|token)=", text)
