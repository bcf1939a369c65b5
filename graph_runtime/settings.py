"""Every setting of a process in one typed, frozen object, read once from the environment."""

import os
import secrets
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from graph_runtime.places import DEFAULT_HOST, DEFAULT_PORT, default_data_dir, default_screens_dir

PREFIX = "PATCHCORD_"
SHORTEST_SECRET = 32
WORTHLESS_SECRETS = ("changeme", "change-me", "secret", "password", "patchcord", "example", "default", "12345")


class SettingsRefused(Exception):
    """The environment does not describe a program that may start; the message says what to set."""


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _postgres_only(url: SecretStr | None) -> SecretStr | None:
    if url is not None and urlsplit(url.get_secret_value()).scheme not in ("postgresql", "postgres"):
        raise ValueError("must begin with postgresql://")
    return url


def _is_scanner(address: str) -> bool:
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        return False
    if parts.scheme == "unix":
        return not parts.netloc and parts.path.startswith("/")
    return parts.scheme == "tcp" and bool(parts.hostname) and bool(port) and parts.path in ("", "/")


Folder = Annotated[Path, AfterValidator(_absolute)]
DatabaseUrl = Annotated[SecretStr | None, AfterValidator(_postgres_only)]


class Settings(BaseSettings):
    """What one process of Patchcord was told; `load` is the way to get one."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    environment: Literal["local", "production"] = "local"
    data_dir: Folder = Field(default_factory=default_data_dir)
    screens_dir: Folder = Field(default_factory=default_screens_dir)
    host: str = DEFAULT_HOST
    port: int = Field(default=DEFAULT_PORT, ge=1, le=65535)
    public_url: str = ""
    """The address people use, without a slash at the end; by default http://host:port."""

    database_url: DatabaseUrl = Field(
        default=None, validation_alias=AliasChoices("PATCHCORD_DATABASE_URL", "DATABASE_URL")
    )
    """As the application role, which row-level security binds."""
    database_admin_url: DatabaseUrl = None
    """As the owner of the tables; only migrations use it."""
    redis_url: SecretStr | None = Field(default=None, validation_alias=AliasChoices("PATCHCORD_REDIS_URL", "REDIS_URL"))
    secret_key: SecretStr = SecretStr("")
    """At least 32 characters; everything signed or encrypted by this installation derives from it."""

    previous_secret_keys: tuple[SecretStr, ...] = ()
    """Former secret keys, as a JSON list: what they encrypted is read and encrypted anew at the next start."""

    plugin_packages: tuple[str, ...] = ("nodes", "connectors")
    screens: str = "builder_ui.serve:screens_app"
    """The function that makes the screens' ASGI app, as "module:name"; `none` serves the API alone."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    turns: Literal["here", "workers"] = "here"
    """Who runs a turn that the web process accepted: that process at once, or whichever worker is free."""
    drain_seconds: float = Field(default=20, ge=0, le=600)
    """How long running turns may take to end after SIGTERM; what does not is handed over to other processes."""
    drain_notice_seconds: float = Field(default=0, ge=0, le=120)
    """How long the web process still serves after it has said that it is not ready any more."""
    worker_port: int = Field(default=0, ge=0, le=65535)
    """Where a worker tells its health and figures; 0 is nowhere."""
    metrics_token: SecretStr = SecretStr("")
    """With it /metrics answers to `Authorization: Bearer`; without it, in production, to this machine only."""

    phone_networks: tuple[str, ...] = (
        "127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10",
    )  # fmt: skip
    """From where telephone systems may ask about calls, as a JSON list of networks."""
    phone_url: str = ""
    """Where a telephone system reaches the web process, straight; empty: as everybody else does."""
    phone_audio: str = ""
    """HOST:PORT where a telephone system brings the audio of calls; empty: the host of `phone_url` and `voice_port`."""

    voice_host: str = "127.0.0.1"
    """Where the audio of calls is expected; a telephone system on another machine needs 0.0.0.0 and a private network."""
    voice_port: int = Field(default=9092, ge=0, le=65535)
    voice_websocket_port: int = Field(default=0, ge=0, le=65535)
    """Where audio is expected over WebSockets (Asterisk's `chan_websocket`) as well; 0: nowhere."""
    voice_has_spare: bool = False
    """Whether a second voice process waits on this machine, with everything loaded, to take over when the first one dies."""
    voice_most_calls: int = Field(default=200, ge=1)
    """New calls beyond so many of one voice process are left to the telephone system's own desk."""
    voice_most_processor: float = Field(default=0.85, gt=0, le=1)
    """The share of a core from which on a voice process lets no new calls in."""
    voice_most_lag_ms: float = Field(default=40, gt=0)
    """A voice process in which a tenth of all moments comes later than this lets no new calls in."""

    files: Literal["database", "folder", "s3"] = "database"
    """Where the bytes of new files go; what is there already is read from where it is."""
    s3_bucket: str = ""
    s3_endpoint: str = ""
    """Of a server that is not Amazon's, with http:// or https://."""
    s3_region: str = "us-east-1"
    s3_prefix: str = ""
    s3_access_key_id: str = ""
    """Empty: what the machine itself is allowed (an instance's role)."""
    s3_secret_access_key: SecretStr = SecretStr("")
    virus_scanner: str = ""
    """Where a ClamAV daemon looks into files that strangers send: tcp://HOST:PORT or unix:///PATH; empty: nobody does."""

    turn_max_steps: int = Field(default=500, ge=1)
    turn_max_seconds: float = Field(default=120, gt=0)
    turn_max_tokens: int = Field(default=200_000, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _fill_public_url(cls, values: dict[str, object]) -> dict[str, object]:
        if not values.get("public_url"):
            host = values.get("host") or DEFAULT_HOST
            shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 (compared, not bound)
            values = {**values, "public_url": f"http://{shown}:{values.get('port') or DEFAULT_PORT}"}
        return {**values, "public_url": str(values["public_url"]).rstrip("/")}

    @model_validator(mode="after")
    def _refuse_weak_production(self) -> Self:
        key = self.secret_key.get_secret_value()
        if key and len(key) < SHORTEST_SECRET:
            raise ValueError(f"PATCHCORD_SECRET_KEY is shorter than {SHORTEST_SECRET} characters")
        for network in self.phone_networks:
            try:
                ip_network(network)
            except ValueError as error:
                raise ValueError(f"PATCHCORD_PHONE_NETWORKS: “{network}” is no network ({error})") from None
        if self.virus_scanner and not _is_scanner(self.virus_scanner):
            raise ValueError("PATCHCORD_VIRUS_SCANNER must be tcp://HOST:PORT or unix:///PATH")
        if self.files == "s3" and not self.s3_bucket:
            raise ValueError("PATCHCORD_S3_BUCKET must name the bucket when PATCHCORD_FILES is s3")
        if bool(self.s3_access_key_id) != bool(self.s3_secret_access_key.get_secret_value()):
            raise ValueError("PATCHCORD_S3_ACCESS_KEY_ID and PATCHCORD_S3_SECRET_ACCESS_KEY go together")
        if self.s3_endpoint and urlsplit(self.s3_endpoint).scheme not in ("http", "https"):
            raise ValueError("PATCHCORD_S3_ENDPOINT must begin with https:// or http://")
        if self.environment == "production":
            if not key:
                raise ValueError("PATCHCORD_SECRET_KEY must be set in production")
            if any(word in key.lower() for word in WORTHLESS_SECRETS) or len(set(key)) < 10:
                raise ValueError("PATCHCORD_SECRET_KEY is a value that can be guessed")
            if self.database_url is None:
                raise ValueError("DATABASE_URL must be set in production")
        return self

    @classmethod
    def load(cls) -> Self:
        """Read the environment; a local installation gets its secret key from the data folder, made on first use.

        Raises: SettingsRefused
        """
        try:
            settings = cls()
            if not settings.secret_key.get_secret_value():
                key = secret_key_of(settings.data_dir)
                settings = settings.model_copy(update={"secret_key": SecretStr(key)})
        except ValidationError as error:
            raise SettingsRefused(_sentences(error)) from error
        except SettingsError as error:
            raise SettingsRefused(f"Patchcord cannot start with these settings:\n  {error}") from error
        except OSError as error:
            raise SettingsRefused(f"The secret key in the data folder cannot be read or made: {error}") from error
        return settings

    @property
    def oauth_redirect(self) -> str:
        """Where services send people back to after they granted access."""
        return f"{self.public_url}/oauth/callback"

    @property
    def migration_url(self) -> str:
        """Raises: SettingsRefused when no database is known."""
        url = self.database_admin_url or self.database_url
        if url is None:
            raise SettingsRefused(
                "No database is known. Set PATCHCORD_DATABASE_ADMIN_URL (or DATABASE_URL), "
                "or run ./patchcord up, which brings its own."
            )
        return url.get_secret_value()


def secret_key_of(data_dir: Path) -> str:
    """The installation's own key, created for this account only when it is missing."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = data_dir / "secret-key"
    if not path.exists():
        unfinished = path.with_name(f"secret-key.{os.getpid()}")
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(unfinished, path)  # fails when another process was first: then its key is the key
        except FileExistsError:
            pass
        finally:
            unfinished.unlink()
    key = path.read_text().strip()
    if len(key) < SHORTEST_SECRET:
        raise SettingsRefused(f"The secret key in {path} is damaged. Restore the file from a backup.")
    return key


def _sentences(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        name = str(problem["loc"][0]) if problem["loc"] else ""
        name = name if name.isupper() else f"{PREFIX}{name.upper()}"
        message = problem["msg"].removeprefix("Value error, ")
        lines.append(f"  {name}: {message}" if problem["loc"] else f"  {message}")
    return "Patchcord cannot start with these settings:\n" + "\n".join(lines)
