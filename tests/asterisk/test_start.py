"""What the container does before Asterisk starts: the folder's files with the answers of the environment in them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from graph_runtime.places import REPOSITORY

FOLDER = REPOSITORY / "asterisk"
NEEDED = {
    "PATCHCORD_LINE_SECRET": "abc_DEF-123",
    "PATCHCORD_PHONE_URL": "http://web:8600",
    "PATCHCORD_PHONE_AUDIO": "voice:9092",
}
PROVIDER = {"SIP_PROVIDER": "sip.example.com", "SIP_USER": "4930", "SIP_PASSWORD": "s3cret.+"}


def written(folder: Path, **environment: str) -> dict[str, str]:
    """The files that Asterisk would read."""
    env = {"CONF": str(folder), "FROM": str(FOLDER), "PATH": "/usr/bin:/bin", **NEEDED, **environment}
    done = subprocess.run(["/bin/sh", str(FOLDER / "start.sh"), "--only-write"], env=env, capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode:
        raise ValueError(done.stderr)
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_line_and_nothing_else(tmp_path: Path) -> None:
    files = written(tmp_path)
    assert files["extensions.conf"] == "#include patchcord.conf\n#include phones.conf\n"
    assert "SECRET" not in files["patchcord.conf"]
    assert files["patchcord.conf"].count("http://web:8600/phone/abc_DEF-123") == 3
    assert files["patchcord.conf"].count("Set(AUDIO=voice:9092)") == 2
    assert "AUDIO=127" not in files["patchcord.conf"]
    assert files["pjsip_secrets.conf"] == files["pjsip_trunk.conf"] == files["manager_secrets.conf"] == ""
    assert files["ari_secrets.conf"] == ""
    assert "enabled = yes" not in files["http.conf"] + files["ari.conf"]
    assert all((path.stat().st_mode & 0o077) == 0 for path in tmp_path.iterdir()), "secrets are nobody else's"
    included = {name for text in files.values() for name in re.findall(r"^#(?:try)?include (\S+)$", text, re.MULTILINE)}
    assert included <= set(files)


def test_telephones_a_provider_and_the_manager(tmp_path: Path) -> None:
    more = {"PATCHCORD_TEST_PHONES": "pass-1", "PATCHCORD_MANAGER_SECRET": "m-1", "MANAGER_BIND": "0.0.0.0", "SIP_ADDRESS": "192.0.2.7"}  # fmt: skip
    files = written(tmp_path, **PROVIDER, **more)
    assert re.findall(r"^username = (\d+)\npassword = pass-1$", files["pjsip_secrets.conf"], re.MULTILINE) == [
        "100",
        "101",
    ]
    trunk = files["pjsip_trunk.conf"]
    assert not re.search(r"\b(PROVIDER|USER|PASSWORD)\b", trunk)
    assert "client_uri = sip:4930@sip.example.com\n" in trunk
    assert "password = s3cret.+\n" in trunk
    assert "callerid" not in trunk, "it would stand in for whoever calls"
    assert "external_media_address = 192.0.2.7\n" in files["pjsip.conf"]
    assert "bindaddr = 0.0.0.0\n" in files["manager.conf"]
    assert "secret = m-1\n" in files["manager_secrets.conf"]
    assert "deny = 0.0.0.0/0.0.0.0\n" in files["manager_secrets.conf"], "private networks only"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATCHCORD_LINE_SECRET", ""),
        ("PATCHCORD_LINE_SECRET", "x)\nexten => s,1,System(id)"),
        ("SIP_PASSWORD", "a|e id"),
        ("SIP_USER", "1&2"),
        ("SIP_ADDRESS", "1.2.3.4\nbind"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        written(tmp_path, **(PROVIDER | {name: value}))


def test_no_file_holds_a_password() -> None:
    for path in FOLDER.glob("*.conf"):
        for line in path.read_text().splitlines():
            if found := re.match(r"^\s*(password|secret|md5_cred)\s*=\s*(\S+)", line):
                assert found[2] == "PASSWORD", f"{path.name}: {line}"
    assert "PATCHCORD" not in (FOLDER / "Dockerfile").read_text().replace("patchcord", "")


def test_what_is_off_is_off() -> None:
    for name in ("http.conf", "ari.conf"):
        assert "enabled = no" in (FOLDER / name).read_text()
    assert "bindaddr = 127.0.0.1" in (FOLDER / "manager.conf").read_text()


def test_sound_over_websockets(tmp_path: Path) -> None:
    files = written(tmp_path, PATCHCORD_PHONE_WEBSOCKET="voice:9093")
    assert "same => n(talk),Dial(WebSocket/patchcord/c(slin)v(uuid=${CALL}),,g)" in files["patchcord.conf"]
    assert "uri = ws://voice:9093/call" in files["websocket_client.conf"]
    assert "load = chan_websocket.so" in files["modules.conf"]
    with pytest.raises(ValueError, match="PATCHCORD_PHONE_WEBSOCKET"):
        written(tmp_path / "bad", PATCHCORD_PHONE_WEBSOCKET="voice:9093;rm")


def test_the_rest_interface_for_who_has_an_application_of_their_own(tmp_path: Path) -> None:
    files = written(tmp_path, PATCHCORD_REST_PASSWORD="r-1", REST_BIND="10.0.0.5")
    assert "enabled = yes\n" in files["http.conf"]
    assert "bindaddr = 10.0.0.5\n" in files["http.conf"]
    assert "enabled = yes\n" in files["ari.conf"]
    assert "[patchcord]\ntype = user\nread_only = no\npassword = r-1\n" in files["ari_secrets.conf"]
    assert "load = res_ari_channels.so" in files["modules.conf"]
    with pytest.raises(ValueError, match="PATCHCORD_REST_PASSWORD"):
        written(tmp_path / "bad", PATCHCORD_REST_PASSWORD="r-1\n[other]")
