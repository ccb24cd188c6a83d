"""Settings: what stops the start, with one clear line that never prints a secret."""

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.network.urls import is_loopback, is_private
from server.settings import Settings, SettingsError, hand_down, make_private, read_settings, secret_key

SECRET = "hunter2-hunter2-hunter2-hunter2-hunter2"
PUBLIC = {"SELFMEMORY_PUBLIC_URL": "https://memory.example.com", "SELFMEMORY_SECRET_KEY": SECRET}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def read(environment: pytest.MonkeyPatch, values: dict[str, str]) -> Settings:
    for name, value in values.items():
        environment.setenv(name, value)
    return read_settings(env_file=None)


def refusal(environment: pytest.MonkeyPatch, values: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as refused:
        read(environment, values)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_nothing_needs_to_be_set(environment: pytest.MonkeyPatch) -> None:
    settings = read(environment, {})
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8081, "http://localhost:8081")
    assert settings.is_sqlite
    assert settings.resource == "http://localhost:8081/mcp"


def test_an_unknown_name_in_the_environment_stops_the_start(environment: pytest.MonkeyPatch) -> None:
    said = "SELFMEMORY_PROT is not a setting; did you mean SELFMEMORY_PORT? docs/configuration.md lists them all"
    assert refusal(environment, {"SELFMEMORY_PROT": "9"}) == said


def test_the_environment_counts_before_the_file_and_the_command_line_before_both(
    tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text("SELFMEMORY_PORT=9000\nSELFMEMORY_HOST=::1\n")
    environment.setenv("SELFMEMORY_PORT", "9001")
    assert (read_settings(env_file=file).port, read_settings(env_file=file).host) == (9001, "::1")
    assert read_settings(env_file=file, port=9002).port == 9002


@pytest.mark.parametrize(("written", "count"), [("3", 3), ("auto", 4), (" Auto ", 4)])
@pytest.mark.parametrize(("processors", "quota"), [(4, "max 100000"), (8, "450000 100000")])
def test_workers_are_a_number_or_one_a_processor(
    environment: pytest.MonkeyPatch, tmp_path: Path, written: str, count: int, processors: int, quota: str
) -> None:
    environment.setattr("os.sched_getaffinity", lambda _pid: set(range(processors)), raising=False)
    environment.setattr("server.machine.resources.QUOTA_FILE", tmp_path / "cpu.max")
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert read(environment, {"SELFMEMORY_WORKERS": written}).workers == count


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "65536"),
        ("RATE_LIMIT_ENABLED", "perhaps"),
        ("RATE_LIMIT_MEMORY_ADD", "many/minute"),
        ("SIGN_UP", "sometimes"),
        ("SESSION_COOKIE", "a b"),
        ("SESSION_DAYS", "0"),
        ("SESSION_DAYS", "36501"),
        ("ACCESS_TOKEN_SECONDS", "99999999999"),
        ("ACCESS_TOKEN_SECONDS", "0"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("EXACT_SCAN_LIMIT", "-1"),
        ("QUOTA_MEMORIES", "0"),
        ("QUOTA_BYTES", "1 GB"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("ALLOWED_ORIGINS", "https://app.example.com/path"),
        ("ALLOWED_ORIGINS", "https://*.example.com"),
        ("ALLOWED_ORIGINS", "app.example.com"),
        ("ALLOWED_HOSTS", "https://memory.example.com"),
        ("ALLOWED_HOSTS", "memory.example.com/mcp"),
        ("ALLOWED_HOSTS", "memory.*.com"),
        ("RATE_LIMIT_MEMORY_ADD", "0/minute"),
        ("RATE_LIMIT_SIGN_UP", "20/hour;0/day"),
        ("DATABASE_POOL", "0"),
        ("WORKERS", "0"),
        ("WORKERS", "1.5"),
        ("DATABASE_URL", "mysql://root@127.0.0.1/x"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "not a url"),
        ("CHROMA_URL", "127.0.0.1:8000"),
        ("REDIS_URL", "localhost"),
        ("SMTP_URL", "mail.example.com:25"),
        ("SMTP_URL", "smtp://mail.example.com:99999"),
        ("REDIS_URL", "redis://127.0.0.1:port"),
        ("CHROMA_URL", "http://[::1"),
        ("OIDC_ISSUER", "http://login.example.com"),
        ("OIDC_ISSUER", "https://login.example.com?a"),
        ("OIDC_ISSUER", "login.example.com"),
    ],
)
def test_a_malformed_value_stops_the_start_and_is_named(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    sentence = refusal(environment, {f"SELFMEMORY_{name}": value})
    assert sentence.startswith(f"SELFMEMORY_{name}: ")
    assert "Input" not in sentence  # as pydantic says it, for programmers


@pytest.mark.parametrize("name", ["HOST", "SECRET_KEY", "CHROMA_TENANT"])
def test_a_value_that_is_not_utf8_stops_the_start(environment: pytest.MonkeyPatch, name: str) -> None:
    assert refusal(environment, {f"SELFMEMORY_{name}": "\udce4" * 40}) == f"SELFMEMORY_{name}: must be UTF-8 text"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", f"mysql://root:{SECRET}@127.0.0.1/x"),
        ("DATABASE_URL", f"postgresql://me:{SECRET}/x"),
        ("REDIS_URL", f"http://:{SECRET}@127.0.0.1"),
        ("SMTP_URL", f"imap://me:{SECRET}@127.0.0.1"),
        ("SMTP_URL", f"smtp://me:{SECRET}"),
        ("OIDC_ISSUER", f"https://me:{SECRET}@login.example.com"),
        ("CHROMA_URL", f"ftp://me:{SECRET}@127.0.0.1"),
        ("PUBLIC_URL", f"https://me:{SECRET}@memory.example.com"),
        ("PORT", SECRET),
        ("SIGN_UP", SECRET),
        ("RATE_LIMIT_SIGN_IN", SECRET),
    ],
)
def test_a_refusal_never_prints_the_value(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert SECRET not in refusal(environment, {f"SELFMEMORY_{name}": value})


@pytest.mark.parametrize("left_out", ["ISSUER", "CLIENT_ID", "CLIENT_SECRET"])
def test_a_provider_is_set_whole_or_not_at_all(environment: pytest.MonkeyPatch, left_out: str) -> None:
    given = {"ISSUER": "https://login.example.com/", "CLIENT_ID": "selfmemory", "CLIENT_SECRET": SECRET}
    names = {f"SELFMEMORY_OIDC_{name}": value for name, value in given.items()}
    assert read(environment, names).oidc_issuer == "https://login.example.com"
    environment.delenv(f"SELFMEMORY_OIDC_{left_out}")
    del names[f"SELFMEMORY_OIDC_{left_out}"]
    assert "belong together" in refusal(environment, names)


def test_a_secret_is_not_in_the_settings_text(environment: pytest.MonkeyPatch) -> None:
    settings = read(environment, PUBLIC | {"SELFMEMORY_DATABASE_URL": f"postgresql://me:{SECRET}@127.0.0.1/x"})
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://127.0.0.1:8081/", "http://127.0.0.1:8081"),
        ("http://[::1]:9", "http://[::1]:9"),
        ("http://LocalHost:80", "http://localhost"),
        ("https://Memory.Example.com:443/", "https://memory.example.com"),
    ],
)
def test_the_public_url_is_kept_as_a_plain_origin(environment: pytest.MonkeyPatch, url: str, kept: str) -> None:
    assert read(environment, PUBLIC | {"SELFMEMORY_PUBLIC_URL": url}).public_url == kept


@pytest.mark.parametrize(
    "url",
    [
        "memory.example.com",
        "ftp://localhost",
        "https://x.example:99999",
        "https://me@x.example",
        "https://x .example",
        "https://*.x.example",
        "https://x.example\\y",
    ],
)
def test_a_public_url_that_is_more_or_less_than_an_origin_stops_the_start(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    assert "PUBLIC_URL must be like" in refusal(environment, PUBLIC | {"SELFMEMORY_PUBLIC_URL": url})


@pytest.mark.parametrize(
    "url", ["https://x.example/app", "https://x.example/app/", "http://nas/a", "https://x.example?a"]
)
def test_a_public_url_with_a_path_is_refused_with_the_reason(environment: pytest.MonkeyPatch, url: str) -> None:
    said = refusal(environment, PUBLIC | {"SELFMEMORY_PUBLIC_URL": url})
    assert said.startswith("SELFMEMORY_PUBLIC_URL must not have a path: clients look for /.well-known documents")


PRIVATE = [
    "http://192.168.1.10:8081",
    "http://10.1.2.3",
    "http://172.31.255.1",
    "http://100.64.0.1",
    "http://[fd00::1]:8081",
    "http://[::ffff:192.168.1.1]",
    "http://nas",
    "http://my_server:8081",
    "http://nas.local",
    "http://box.lan",
    "http://a.b.internal",
    "http://box.home.arpa",
]
NOT_PRIVATE = [
    "http://memory.example.com",
    "http://8.8.8.8",
    "http://172.32.0.1",
    "http://100.128.0.1",
    "http://192.168.1.10.example.com",
    "http://local.example",
    "http://[2001:db8::1]",
    "http://169.254.1.1",
]


@pytest.mark.parametrize("url", PRIVATE)
def test_plain_http_may_be_used_in_a_private_network(environment: pytest.MonkeyPatch, url: str) -> None:
    assert is_private(url)
    assert read(environment, PUBLIC | {"SELFMEMORY_PUBLIC_URL": url}).public_url.startswith("http://")


@pytest.mark.parametrize("url", NOT_PRIVATE)
def test_plain_http_is_refused_on_public_names(environment: pytest.MonkeyPatch, url: str) -> None:
    assert not is_private(url)
    said = refusal(environment, PUBLIC | {"SELFMEMORY_PUBLIC_URL": url})
    assert said.startswith("SELFMEMORY_PUBLIC_URL must begin with https://: plain http is only for this computer")


@pytest.mark.parametrize(
    "url", ["http://localhost", "http://a.localhost", "http://127.0.0.1", "http://[::1]", "http://"]
)
def test_loopback_is_not_a_private_network(url: str) -> None:
    assert not is_private(url)


@pytest.mark.parametrize("key", ["", "too short"])
def test_a_public_server_needs_a_long_secret_key(environment: pytest.MonkeyPatch, key: str) -> None:
    said = refusal(environment, PUBLIC | {"SELFMEMORY_SECRET_KEY": key})
    assert said.startswith("SELFMEMORY_SECRET_KEY (32 characters or more) is required")


def test_lists_are_written_with_commas(environment: pytest.MonkeyPatch) -> None:
    origins, proxies = "https://a.example, HTTPS://B.Example:443/", "10.0.0.0/8,::1"
    settings = read(environment, {"SELFMEMORY_ALLOWED_ORIGINS": origins, "SELFMEMORY_TRUSTED_PROXIES": proxies})
    assert settings.allowed_origins == ("https://a.example", "https://b.example")
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")


def test_origins_may_have_any_scheme_and_hosts_a_port(environment: pytest.MonkeyPatch) -> None:
    origins, hosts = (
        "app://Obsidian.md, NULL, *, chrome-extension://abc/",
        "Nas.Example:8081, *.tunnel.example, [::2], *",
    )
    settings = read(environment, {"SELFMEMORY_ALLOWED_ORIGINS": origins, "SELFMEMORY_ALLOWED_HOSTS": hosts})
    assert settings.allowed_origins == ("app://obsidian.md", "null", "*", "chrome-extension://abc")
    assert settings.allowed_hosts == ("nas.example", "*.tunnel.example", "::2", "*")


def test_every_lifetime_may_be_one_second(environment: pytest.MonkeyPatch) -> None:
    settings = read(environment, {"SELFMEMORY_ACCESS_TOKEN_SECONDS": "1", "SELFMEMORY_CODE_SECONDS": "1"})
    assert (settings.access_token_seconds, settings.code_seconds) == (1, 1)


def test_the_own_secret_is_made_once_for_this_reader_alone(settings: Settings) -> None:
    made = secret_key(settings)
    assert len(made) >= 32
    assert secret_key(settings) == made
    assert (settings.data_dir / "secret_key").stat().st_mode & 0o077 == 0
    assert secret_key(settings.model_copy(update={"secret_key": SecretStr(SECRET)})) == SECRET


def test_a_data_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    make_private(tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_what_the_command_line_chose_reaches_worker_processes(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SELFMEMORY_PORT", "1")
    hand_down({"port": 9003})
    assert read_settings(env_file=None).port == 9003


@pytest.mark.parametrize("url", ["http://localhost", "http://app.localhost:1", "http://127.8.8.8", "http://[::1]:8081"])
def test_loopback_has_many_names(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize("url", ["http://localhost.example.com", "http://10.0.0.1", "http://[::2]", "http://[::1"])
def test_other_addresses_are_not_loopback(url: str) -> None:
    assert not is_loopback(url)
