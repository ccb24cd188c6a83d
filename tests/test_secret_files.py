"""Secrets in files of their own, as Docker and Kubernetes mount them."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.settings import SECRETS, SettingsError, read_settings

SECRET = "hunter2-hunter2-hunter2-hunter2-hunter2"
VALUES = {
    "database_url": f"postgresql+psycopg://me:{SECRET}@127.0.0.1/x",
    "redis_url": f"redis://:{SECRET}@127.0.0.1",
    "smtp_url": f"smtp://me:{SECRET}@127.0.0.1",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a secret"


def refusal(monkeypatch: pytest.MonkeyPatch, name: str, path: str) -> str:
    monkeypatch.setenv(f"SELFMEMORY_{name}", path)
    with pytest.raises(SettingsError) as refused:
        read_settings(env_file=None)
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_every_secret_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, file: Path, name: str, end: str) -> None:
    if name == "oidc_client_secret":
        monkeypatch.setenv("SELFMEMORY_OIDC_ISSUER", "https://login.example.com")
        monkeypatch.setenv("SELFMEMORY_OIDC_CLIENT_ID", "x")
    file.write_bytes((VALUES.get(name, SECRET) + end).encode())
    monkeypatch.setenv(f"SELFMEMORY_{name.upper()}_FILE", f'"{file}"')
    assert getattr(read_settings(env_file=None), name) == SecretStr(VALUES.get(name, SECRET))


def test_the_env_file_may_name_the_file_of_a_secret(file: Path, tmp_path: Path) -> None:
    file.write_text(SECRET)
    env_file = tmp_path / ".env"
    env_file.write_text(f"SELFMEMORY_PUBLIC_URL=https://memory.example.com\nselfmemory_secret_key_file='{file}'\n")
    assert read_settings(env_file).secret_key.get_secret_value() == SECRET
    env_file.write_text(f"FOLDER={tmp_path}\nSELFMEMORY_SECRET_KEY_FILE='${{FOLDER}}/{file.name}'\n")
    assert read_settings(env_file).secret_key.get_secret_value() == SECRET


def test_a_file_that_cannot_be_used_stops_the_start(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    name = "SECRET_KEY_FILE"
    assert refusal(monkeypatch, name, SECRET) == (
        "SELFMEMORY_SECRET_KEY_FILE: names a file that cannot be read (No such file or directory)"
    )
    assert refusal(monkeypatch, name, str(file.parent)).endswith("cannot be read (Is a directory)")
    assert refusal(monkeypatch, name, f"~{SECRET}/x").startswith("SELFMEMORY_SECRET_KEY_FILE: begins with a home")
    for content, reason in ((b" \n", "is empty"), (b"M\xfcller", "is not UTF-8 text")):
        file.write_bytes(content)
        assert refusal(monkeypatch, name, str(file)) == f"SELFMEMORY_SECRET_KEY_FILE: names a file that {reason}"
    if os.getuid():
        file.chmod(0)
        assert refusal(monkeypatch, name, str(file)).endswith("cannot be read (Permission denied)")


def test_a_secret_in_a_file_is_checked_like_any_other(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    file.write_text(f"imap://me:{SECRET}@127.0.0.1")
    assert refusal(monkeypatch, "SMTP_URL_FILE", str(file)).startswith("SELFMEMORY_SMTP_URL: write a URL like smtp")


def test_a_secret_is_set_in_one_way_only(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    file.write_text(SECRET)
    monkeypatch.setenv("SELFMEMORY_SECRET_KEY", SECRET)
    expected = "SELFMEMORY_SECRET_KEY and SELFMEMORY_SECRET_KEY_FILE are both set: remove one"
    assert refusal(monkeypatch, "SECRET_KEY_FILE", str(file)) == expected
    monkeypatch.setenv("SELFMEMORY_SECRET_KEY", "")
    assert read_settings(env_file=None).secret_key.get_secret_value() == SECRET


def test_only_secrets_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    assert refusal(monkeypatch, "HOST_FILE", str(file)).startswith("SELFMEMORY_HOST_FILE is not a setting;")
