"""The file `.env`: what it may contain, and what stops the start."""

from pathlib import Path

import pytest

from server.settings import Settings, SettingsError, read_settings

SECRET = "hunter2-hunter2-hunter2-hunter2-hunter2"


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def read(env_file: Path, text: str) -> Settings:
    env_file.write_text(text, "utf-8")
    return read_settings(env_file=env_file)


@pytest.mark.parametrize(
    "line",
    [
        f"SELFMEMORY_SECRET_KEY: {SECRET}",
        f"SELFMEMORY_SECRET_KEY {SECRET}",
        f'SELFMEMORY_SECRET_KEY="{SECRET}',
        f"SELFMEMORY_SECRET_KEY='{SECRET}' x",
        f"set selfmemory_secret_key={SECRET}",
        "SELFMEMORY_SECRET_KEY",
    ],
)
def test_a_setting_that_cannot_be_read_stops_the_start_without_its_value(env_file: Path, line: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(env_file, f"SELFMEMORY_PORT=9000\n{line}\n")
    place = f"line 2 of {env_file}"
    assert str(refused.value) == f"{place} cannot be read: write NAME=value, with both quotation marks or none"


@pytest.mark.parametrize(
    "line", ["SELFMEMORY_PORT=9000", " export  SELFMEMORY_PORT = '9000' # why", "\ufeffSELFMEMORY_PORT=9000"]
)
def test_a_setting_may_be_written_as_shells_do(env_file: Path, line: str) -> None:
    assert read(env_file, line).port == 9000


def test_what_belongs_to_other_programs_stops_nothing(env_file: Path) -> None:
    others = 'OTHER: 1\nTEXT="\nSELFMEMORY_NOT_A_SETTING=1\n"\n'
    assert read(env_file, f"{others}SELFMEMORY_PORT=9000\n").port == 9000


def test_an_unknown_name_in_the_file_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# SELFMEMORY_OLD=1\nOTHER=1\nSELFMEMORY_PORT=9000\nexport SELFMEMORY_PROT=9\n")
    with pytest.raises(SettingsError, match="SELFMEMORY_PROT is not a setting"):
        read_settings(env_file=file)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"SELFMEMORY_PORT=\xff\xfe")
    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        read_settings(env_file=file)


def test_a_file_that_cannot_be_read_is_named(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when systemd, which is root, reads the file too, and it is root's alone."""
    env_file.write_text("SELFMEMORY_PORT=9000")

    def refuse(_path: Path, *_arguments: object) -> str:
        raise PermissionError(13, "Permission denied", str(env_file))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(SettingsError) as refused:
        read_settings(env_file=env_file)
    assert (
        str(refused.value) == f"{env_file} cannot be read (Permission denied): let this user read it, or move it away"
    )
