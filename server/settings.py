"""Every setting: typed, read once from the environment and `.env`, frozen, then passed down."""

import contextlib
import importlib.util
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from server.machine import resources
from server.network.urls import has_path, is_loopback, is_private, origin_of, sqlite_url
from server.quotas import MOST_TRASH_DAYS, TRASH_DAYS, Quota
from server.setting_files import PREFIX, file_of, read_secrets, values_in
from server.setting_types import (
    ANY_CASE,
    IN_ASCII,
    LONGEST_SECONDS,
    ChromaUrl,
    DatabaseUrl,
    Days,
    EmbeddingUrl,
    Folder,
    Hosts,
    Issuer,
    ListenHost,
    Model,
    Networks,
    Origins,
    Rate,
    RedisUrl,
    Seconds,
    Sender,
    SmtpUrl,
    Token,
    Workers,
    first_unreadable,
    is_of_service,
    unwrapped,
)
from server.text.reasons import reason_of
from server.text.spelling import nearest

SECRET_LENGTH = 32
SECRET_KEY_FILE = "secret_key"  # noqa: S105 - a file name
INDEX_LOCK_FILE = "index.lock"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"  # OpenTelemetry defines this name, and reads it itself
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the Prometheus client library defines this name

# onnxruntime reads this when it is imported. Otherwise it writes a usage record to the home directory and uploads it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class SettingsError(Exception):
    """The settings are not usable. The message is one line and never contains a value."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        env_ignore_empty=True,
    )

    host: ListenHost = "127.0.0.1"
    port: int = Field(8081, ge=0, le=65535)
    public_url: str = ""
    allowed_hosts: Hosts = ()
    data_dir: Folder = Path("data")
    database_url: DatabaseUrl = SecretStr("")
    database_pool: int = Field(40, ge=8)
    chroma_url: ChromaUrl = ""
    chroma_tenant: str = "default_tenant"
    chroma_database: str = "default_database"
    chroma_token: Token = SecretStr("")
    redis_url: RedisUrl = SecretStr("")
    embedding_model: Model = "all-MiniLM-L6-v2"
    embedding_url: EmbeddingUrl = ""
    embedding_key: Token = SecretStr("")
    exact_scan_limit: int = Field(100_000, ge=0)
    workers: Workers = 1
    secret_key: SecretStr = SecretStr("")
    smtp_url: SmtpUrl = SecretStr("")
    mail_from: Sender = "SelfMemory <no-reply@localhost>"
    sign_up: Annotated[Literal["open", "invited", "closed"], ANY_CASE] = "open"
    session_cookie: str = Field("ory_kratos_session", pattern=r"^[A-Za-z0-9_\-]+$")
    session_days: Days = 30
    allowed_origins: Origins = ()
    trusted_proxies: Networks = ()
    metrics_token: Token = SecretStr("")
    quota_memories: int | None = Field(None, ge=1)
    quota_bytes: int | None = Field(None, ge=1)
    trash_days: int = Field(TRASH_DAYS, ge=0, le=MOST_TRASH_DAYS)
    activity_days: int = Field(30, ge=0, le=3650)
    rate_limit_enabled: bool = True
    rate_limit_memory_add: Rate = "60/minute"
    rate_limit_memory_search: Rate = "120/minute"
    rate_limit_memory_change: Rate = "120/minute"
    rate_limit_organization_create: Rate = "10/minute"
    rate_limit_project_create: Rate = "10/minute"
    rate_limit_invitation: Rate = "20/hour"
    rate_limit_sign_up: Rate = "20/hour"
    rate_limit_sign_in: Rate = "10/minute"
    rate_limit_document: Rate = "60/hour"
    rate_limit_registration: Rate = "600/hour"
    rate_limit_request: Rate = "1200/minute"
    rate_limit_token_failure: Rate = "30/minute"  # noqa: S105 - a rate
    client_retention_days: Days = 30
    access_token_seconds: Seconds = 3600
    refresh_token_days: Days = 60
    refresh_grace_seconds: int = Field(600, ge=0, le=LONGEST_SECONDS)
    code_seconds: Seconds = 60
    cimd_enabled: bool = True
    cimd_allow_private: bool = False
    oidc_issuer: Issuer = ""
    oidc_client_id: str = ""
    oidc_client_secret: Token = SecretStr("")
    oidc_name: Annotated[str, Field(max_length=40)] = ""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], ANY_CASE] = "info"
    log_format: Annotated[Literal["text", "json"], ANY_CASE] = "text"

    @field_validator("*", mode="before")
    @classmethod
    def _unwrap(cls, value: object, info: ValidationInfo) -> object:
        return unwrapped(info.field_name, value)

    @model_validator(mode="after")
    def _derive(self) -> Self:
        """Check rules across settings and fill in derived defaults."""
        url = _public_origin(self.public_url or f"http://localhost:{self.port}")
        if not is_loopback(url) and len(self.secret_key.get_secret_value()) < SECRET_LENGTH:
            raise ValueError(
                f"SECRET_KEY ({SECRET_LENGTH} characters or more) is required unless PUBLIC_URL is on localhost: "
                "create one with openssl rand -base64 36, and keep it"
            )
        are_set = [bool(value) for value in (self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret)]
        if any(are_set) and not all(are_set):
            raise ValueError("OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET belong together: set all or none")
        if self.embedding_url and "embedding_model" not in self.model_fields_set:
            raise ValueError("EMBEDDING_MODEL must name the model of EMBEDDING_URL, for example nomic-embed-text")
        object.__setattr__(self, "public_url", url)
        if not self.database_url.get_secret_value():
            path = (self.data_dir / "selfmemory.db").absolute()
            object.__setattr__(self, "database_url", SecretStr(sqlite_url(path)))
        return self

    @property
    def is_https(self) -> bool:
        return self.public_url.startswith("https://")

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.get_secret_value().startswith("sqlite")

    @property
    def quota(self) -> Quota:
        """How much each project may hold."""
        return Quota(self.quota_memories, self.quota_bytes)

    @property
    def resource(self) -> str:
        """The canonical URL of the protected resource, without a trailing slash (RFC 9728)."""
        return f"{self.public_url}/mcp"


SECRETS = tuple(name for name, field in Settings.model_fields.items() if field.annotation is SecretStr)


def _public_origin(url: str) -> str:
    """Return PUBLIC_URL as an origin. Raises ValueError, which says why it cannot be used."""
    if has_path(url):
        raise ValueError(
            "PUBLIC_URL must not have a path: clients look for /.well-known documents at the root of a host, so the "
            "server needs its own host name, like https://memory.example.com"
        )
    origin = origin_of(url)
    if origin is None:
        raise ValueError("PUBLIC_URL must be like https://memory.example.com, without a path")
    if not origin.isascii():
        raise ValueError(f"PUBLIC_URL {IN_ASCII}")
    if origin.startswith("http://") and not (is_loopback(origin) or is_private(origin)):
        raise ValueError(
            "PUBLIC_URL must begin with https://: plain http is only for this computer and for names and addresses of "
            "a private network, like 192.168.1.10 or nas.local"
        )
    return origin


def read_settings(env_file: Path | None = Path(".env"), **overrides: object) -> Settings:
    """Read settings from `overrides`, the environment or a file, in this order. Raises SettingsError with one line."""
    ours = _ours(env_file)
    values = {name.upper().removeprefix(PREFIX).lower(): value for name, value in ours.items()}
    known = (*Settings.model_fields, *map(file_of, SECRETS))
    for name in sorted(ours):
        bare = name.upper().removeprefix(PREFIX)
        if bare.lower() in known or is_of_service(bare, os.environ.get(name, "")):
            continue
        similar = nearest(bare.lower(), known)
        suggestion = f"; did you mean {PREFIX}{similar.upper()}?" if similar else ";"
        raise SettingsError(f"{name} is not a setting{suggestion} docs/configuration.md lists them all")
    if unreadable := first_unreadable(ours, os.environ):
        raise SettingsError(f"{unreadable}: must be UTF-8 text")
    try:
        given = read_secrets(SECRETS, values) | overrides
        return Settings(_env_file=env_file, **given)  # type: ignore[arg-type]  # pydantic checks every value
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        name = f"{field.upper()}: " if field else ""
        option = f"--{field} or " if field in overrides else ""
        raise SettingsError(option + PREFIX + name + reason_of(first)) from None
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _ours(env_file: Path | None) -> dict[str, str]:
    """Return the variables of the environment and of the file that begin with our prefix. Raises SettingsError."""
    try:
        written = values_in(env_file) | os.environ
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return {name: value for name, value in written.items() if name.upper().startswith(PREFIX)}


def hand_down(values: Mapping[str, object]) -> None:
    """Put the options of the command line into the environment, from which worker processes read their settings."""
    os.environ.update({PREFIX + name.upper(): str(value) for name, value in values.items()})


def share_metrics(folder: str) -> None:
    """Make all worker processes count in one folder. Call it before they start."""
    os.environ[METRICS_FOLDER] = folder


def share_cores(workers: int) -> None:
    """Divide the processors among workers, for libraries that start their own threads. Call it before they start."""
    os.environ.setdefault("OMP_NUM_THREADS", str(resources.share(workers)))


def traces_are_on() -> bool:
    return bool(os.environ.get(TRACES_ENDPOINT))


def require_tracing() -> None:
    """Raises SettingsError if tracing is on, but the package that sends traces is not installed."""
    if traces_are_on() and importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        raise SettingsError(
            f"{TRACES_ENDPOINT} is set, but the package that sends traces is not installed: "
            "run .venv/bin/pip install --no-deps -r requirements-telemetry.txt, or unset it"
        )


def metrics_folder() -> str | None:
    return os.environ.get(METRICS_FOLDER)


def secret_key(settings: Settings) -> str:
    """Return the key that encrypts queued mail and authenticator secrets.

    Without the setting, create one in DATA_DIR once and keep it. Raises SettingsError if that file is damaged.
    """
    configured = settings.secret_key.get_secret_value()
    if configured:
        return configured
    path = settings.data_dir / SECRET_KEY_FILE
    if not path.exists():
        make_private(settings.data_dir)
        with tempfile.NamedTemporaryFile("w", dir=settings.data_dir, encoding="ascii") as file:  # mode 0600
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())  # otherwise the file may be empty after a power failure
            with contextlib.suppress(FileExistsError):  # another process created it first: use that key
                os.link(file.name, path)
    return _key_in(path)


def _key_in(path: Path) -> str:
    try:
        key = path.read_text("ascii").strip()
    except UnicodeDecodeError:
        key = ""
    if not key:
        raise SettingsError(
            f"the secret key {path.absolute()} is empty or damaged: put the earlier file back, or delete it to create "
            "another key (authenticator apps must then be set up again, with a recovery code)"
        )
    return key


def make_private(folder: Path) -> None:
    """Create a folder that only its owner can read. Leave an existing one unchanged."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
