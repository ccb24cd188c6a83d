"""Settings in the forms in which env files, orchestrators and hosting services write them."""

from pathlib import Path

import pytest

from server.__main__ import main
from server.settings import Settings, SettingsError, read_settings

SECRET = "hunter2-hunter2-hunter2-hunter2-hunter2"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def read(environment: pytest.MonkeyPatch, name: str, value: str) -> Settings:
    environment.setenv(f"SELFMEMORY_{name}", value)
    return read_settings(env_file=None)


def refusal(environment: pytest.MonkeyPatch, name: str, value: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(environment, name, value)
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)
    return str(refused.value)


WRAPPED = ["{}\r", "{}\n", " {} ", '"{}"', "'{}'", '"{}"\r']
VALUES = {
    "DATA_DIR": "/srv/my memories",
    "EMBEDDING_MODEL": "all-MiniLM-L6-v2",
    "HOST": "0.0.0.0",
    "PORT": "9000",
    "RATE_LIMIT_ENABLED": "false",
    "SIGN_UP": "closed",
    "LOG_LEVEL": "debug",
    "RATE_LIMIT_MEMORY_ADD": "5/minute",
    "CHROMA_URL": "http://127.0.0.1:8000",
    "DATABASE_URL": "postgresql://me:it@127.0.0.1/x",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "MAIL_FROM": "a@example.com",
    "TRUSTED_PROXIES": "10.0.0.0/8, ::1",
}


@pytest.mark.parametrize("wrapping", WRAPPED)
@pytest.mark.parametrize("name", VALUES)
def test_blanks_line_breaks_and_quotation_marks_around_a_value_do_not_count(
    environment: pytest.MonkeyPatch, name: str, wrapping: str
) -> None:
    plain = read(environment, name, VALUES[name])
    assert read(environment, name, wrapping.format(VALUES[name])) == plain


@pytest.mark.parametrize("blank", [" ", "\r", '""', "' '"])
def test_a_blank_value_is_as_left_out(environment: pytest.MonkeyPatch, blank: str) -> None:
    plain = read_settings(env_file=None)
    assert read(environment, "DATA_DIR", blank) == plain
    assert read(environment, "PORT", blank) == plain


@pytest.mark.parametrize("key", [f'"{SECRET}"', f" {SECRET}\n"])
def test_a_secret_key_is_kept_as_it_is(environment: pytest.MonkeyPatch, key: str) -> None:
    assert read(environment, "SECRET_KEY", key).secret_key.get_secret_value() == key


@pytest.mark.parametrize(("name", "value"), [("SIGN_UP", "Closed"), ("LOG_FORMAT", "JSON"), ("LOG_LEVEL", "Debug")])
def test_words_may_be_written_in_any_case(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert getattr(read(environment, name, value), name.lower()) == value.lower()


def test_the_level_may_be_written_as_other_programs_do(environment: pytest.MonkeyPatch) -> None:
    assert read(environment, "LOG_LEVEL", "WARN").log_level == "warning"


@pytest.mark.parametrize("written", ["{} {}", "{},{}", "{} , {},", "{};{}", "{}\n{}", '["{}", "{}"]'])
def test_a_list_may_be_written_in_any_way(environment: pytest.MonkeyPatch, written: str) -> None:
    for name, values in (
        ("TRUSTED_PROXIES", ("10.0.0.0/8", "::1")),
        ("ALLOWED_HOSTS", ("a.example", "*.b.example")),
        ("ALLOWED_ORIGINS", ("https://a.example", "null")),
    ):
        assert getattr(read(environment, name, written.format(*values)), name.lower()) == values


@pytest.mark.parametrize("written", ['["10.0.0.0/8"', '["10.0.0.0/8", 5]', "[10.0.0.0/8]"])
def test_a_broken_list_stops_the_start(environment: pytest.MonkeyPatch, written: str) -> None:
    assert refusal(environment, "TRUSTED_PROXIES", written).startswith("SELFMEMORY_TRUSTED_PROXIES")


@pytest.mark.parametrize("written", ["~/memories", "$HOME/memories", "${HOME}/memories"])
def test_the_home_folder_may_be_abbreviated(environment: pytest.MonkeyPatch, tmp_path: Path, written: str) -> None:
    environment.setenv("HOME", str(tmp_path))
    settings = read(environment, "DATA_DIR", written)
    assert settings.data_dir == tmp_path / "memories"
    assert settings.database_url.get_secret_value() == f"sqlite:///{tmp_path}/memories/selfmemory.db"
    assert read(environment, "EMBEDDING_MODEL", written).embedding_model == str(tmp_path / "memories")
    file = read(environment, "DATABASE_URL", f"sqlite:///{written}/x.db").database_url
    assert file.get_secret_value() == f"sqlite:///{tmp_path}/memories/x.db"


def test_data_that_an_earlier_version_put_into_a_folder_named_tilde_stays_in_use(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.chdir(tmp_path)
    Path("~/memories").mkdir(parents=True)
    environment.setenv("SELFMEMORY_DATA_DIR", "~/memories")
    assert read_settings(None).data_dir == Path("~/memories")


@pytest.mark.parametrize("written", ["~nobody-of-this-name/x", "$NOT_SET/x", "${NOT_SET}/x"])
def test_a_home_folder_that_does_not_exist_stops_the_start(environment: pytest.MonkeyPatch, written: str) -> None:
    for name, value in (("DATA_DIR", written), ("EMBEDDING_MODEL", written), ("DATABASE_URL", f"sqlite:///{written}")):
        said = refusal(environment, name, value)
        assert said.startswith(f"SELFMEMORY_{name}: begins with a home folder or a variable that does not exist")
        environment.delenv(f"SELFMEMORY_{name}")


@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql", "POSTGRES", "postgresql+psycopg2", "postgresql+asyncpg", "postgresql+psycopg"]
)
def test_postgres_may_be_written_as_hosting_services_do(environment: pytest.MonkeyPatch, scheme: str) -> None:
    settings = read(environment, "DATABASE_URL", f"{scheme}://me:{SECRET}@127.0.0.1:5432/x?sslmode=require")
    assert not settings.is_sqlite
    driver = settings.database_url.get_secret_value().partition("://")[0]
    assert driver in ("postgresql", "postgresql+psycopg")


@pytest.mark.parametrize(
    ("written", "parameters"),
    [
        ("one:5433,two:5434/x?sslmode=require", "host=one,two&port=5433,5434&sslmode=require"),
        ("one:5433,two/x", "host=one,two&port=5433,"),
        ("one,two/x", "host=one,two&port=,"),
        ("[fd00::1]:5433,[fd00::2]:5434/x", "host=fd00::1,fd00::2&port=5433,5434"),
    ],
)
def test_several_postgres_servers_may_be_written_as_its_programs_do(
    environment: pytest.MonkeyPatch, written: str, parameters: str
) -> None:
    settings = read(environment, "DATABASE_URL", f"postgresql://me:{SECRET}@{written}")
    assert settings.database_url.get_secret_value() == f"postgresql://me:{SECRET}@/x?{parameters}"


@pytest.mark.parametrize("written", ["one:abc,two", "one:5432,", ",two:5432", "fd00::1,fd00::2", "[one,two"])
def test_servers_that_cannot_be_read_stop_the_start(environment: pytest.MonkeyPatch, written: str) -> None:
    said = refusal(environment, "DATABASE_URL", f"postgresql://me:{SECRET}@{written}/x?sslmode=require")
    assert said.startswith("SELFMEMORY_DATABASE_URL: write sqlite:")


def test_the_name_of_a_postgres_database_is_no_path(environment: pytest.MonkeyPatch) -> None:
    url = "postgresql://me:it@127.0.0.1/$HOME"
    assert read(environment, "DATABASE_URL", url).database_url.get_secret_value() == url


def test_an_at_sign_in_a_database_password_is_refused_with_its_escape(environment: pytest.MonkeyPatch) -> None:
    said = refusal(environment, "DATABASE_URL", f"postgresql://me:a@{SECRET}@127.0.0.1/x")
    assert said == "SELFMEMORY_DATABASE_URL: in a user name or password, write @ as %40"


@pytest.mark.parametrize(
    "sender",
    ["no-reply", "@a.com", "A <a..b@a.com>", "a b@example.com", "a@a.com.", "A, B <a@a.com>", '"a@[localhost'],
)
def test_a_sender_that_no_letter_can_have_stops_the_start(environment: pytest.MonkeyPatch, sender: str) -> None:
    said = refusal(environment, "MAIL_FROM", sender)
    assert said == "SELFMEMORY_MAIL_FROM: write a sender like SelfMemory <no-reply@example.com>"


@pytest.mark.parametrize("credentials", ["jörg:secret", "ann:p%C3%BC", "j%C3%B6rg"])
def test_a_sign_in_that_the_mail_client_cannot_send_stops_the_start(
    environment: pytest.MonkeyPatch, credentials: str
) -> None:
    said = refusal(environment, "SMTP_URL", f"smtp://{credentials}@mail.example.com")
    assert said == "SELFMEMORY_SMTP_URL: the user name and the password can only have ASCII characters"


@pytest.mark.parametrize("host", ["*", "0.0.0.0:8081", "http://0.0.0.0", "nas/x", "[::1"])
def test_a_host_to_listen_on_is_only_an_address_or_a_name(environment: pytest.MonkeyPatch, host: str) -> None:
    said = refusal(environment, "HOST", host)
    assert said == "SELFMEMORY_HOST: write an address of this machine, or 0.0.0.0 for all of them, without a port"


@pytest.mark.parametrize(
    ("name", "url"), [("REDIS_URL", "REDIS://h:1/0"), ("CHROMA_URL", "Https://h:1"), ("SMTP_URL", "SMTPS://h:1")]
)
def test_a_scheme_may_be_in_any_case(environment: pytest.MonkeyPatch, name: str, url: str) -> None:
    value = getattr(read(environment, name, url), name.lower())
    text = value if isinstance(value, str) else value.get_secret_value()
    assert text == url.lower()


@pytest.mark.parametrize("host", ["mail..example.com", ".example.com", f"{'a' * 64}.example.com"])
@pytest.mark.parametrize(
    ("name", "scheme"),
    [("SMTP_URL", "smtp"), ("REDIS_URL", "redis"), ("CHROMA_URL", "http"), ("EMBEDDING_URL", "http")],
)
def test_a_host_that_no_name_server_can_know_stops_the_start(
    environment: pytest.MonkeyPatch, name: str, scheme: str, host: str
) -> None:
    assert refusal(environment, name, f"{scheme}://{host}").startswith(
        f"SELFMEMORY_{name}: write a URL like {scheme}://"
    )


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("REDIS_URL", "redis://127.0.0.1/cache"),
        ("REDIS_URL", "redis://127.0.0.1/1/2"),
        ("REDIS_URL", f"redis://me:1/{SECRET}@127.0.0.1"),
        ("SMTP_URL", "smtp://mail.example.com/relay"),
        ("SMTP_URL", "smtp://mail.example.com:587#starttls"),
        ("SMTP_URL", f"smtp://me:1#{SECRET}@127.0.0.1"),
        ("SMTP_URL", f"smtp://:{SECRET}@mail.example.com"),
        ("CHROMA_URL", "http://127.0.0.1:8000?tenant=one"),
        ("DATABASE_URL", "sqlite:////data/memories.db?mode=ro"),
        ("DATABASE_URL", "sqlite://data/memories.db"),
        ("EMBEDDING_URL", "http://127.0.0.1:11434/v1#one"),
    ],
)
def test_a_part_of_a_url_that_nothing_reads_stops_the_start(
    environment: pytest.MonkeyPatch, name: str, url: str
) -> None:
    sentence = refusal(environment, name, url)
    assert sentence.startswith(f"SELFMEMORY_{name}: write ")
    assert SECRET not in sentence


@pytest.mark.parametrize("option", [f"password={SECRET}&timeout=soon&x=1", "db=first", "ssl=true"])
def test_an_option_that_redis_cannot_use_stops_the_start(
    environment: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, own_logging: None, option: str
) -> None:
    environment.setenv("SELFMEMORY_DATA_DIR", str(tmp_path))
    environment.setenv("SELFMEMORY_REDIS_URL", f"redis://127.0.0.1:1/0?{option}")
    said = "SELFMEMORY_REDIS_URL: remove the options after the ?, which Redis cannot use"
    assert main(("serve", "--port", "0")) == 1
    assert said in capfd.readouterr().err
    assert main(("doctor",)) == 1
    out, err = capfd.readouterr()
    assert f"WRONG  Redis       {said}" in out
    assert SECRET not in out + err


LINKS = {
    "SELFMEMORY_SERVICE_HOST": "10.0.0.1",
    "SELFMEMORY_SERVICE_PORT": "8081",
    "SELFMEMORY_SERVICE_PORT_HTTP": "8081",
    "SELFMEMORY_PORT": "tcp://10.0.0.1:8081",
    "SELFMEMORY_PORT_8081_TCP": "tcp://10.0.0.1:8081",
    "SELFMEMORY_PORT_8081_TCP_PROTO": "tcp",
    "SELFMEMORY_PORT_8081_TCP_PORT": "8081",
    "SELFMEMORY_PORT_8081_TCP_ADDR": "10.0.0.1",
    "SELFMEMORY_REDIS_MASTER_SERVICE_HOST": "10.0.0.2",
    "SELFMEMORY_REDIS_MASTER_PORT": "tcp://10.0.0.2:6379",
}


def test_what_kubernetes_says_about_services_is_no_setting(environment: pytest.MonkeyPatch) -> None:
    for name, value in LINKS.items():
        environment.setenv(name, value)
    assert read_settings(env_file=None).port == 8081


def test_a_name_that_only_looks_like_a_service_stops_the_start(environment: pytest.MonkeyPatch) -> None:
    assert "is not a setting" in refusal(environment, "SERVICE_PROT", "1")
    environment.delenv("SELFMEMORY_SERVICE_PROT")
    assert "is not a setting" in refusal(environment, "REDIS_PORT", "6379")
