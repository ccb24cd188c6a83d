"""Reads the files that hold settings: `.env`, and files with one secret each, as Docker and Kubernetes mount them."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic_core import PydanticUseDefault

from server.setting_types import expanded, unwrapped

PREFIX = "SELFMEMORY_"


def values_in(env_file: Path | None) -> dict[str, str]:
    """Return what the file sets. Raises ValueError, without the value, for a setting that is not written as NAME=value,
    because it would be ignored, and for a file that cannot be read.
    """
    if env_file is None or not env_file.is_file():
        return {}
    try:
        text = env_file.read_text("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{env_file} is not UTF-8 text") from None
    except OSError as error:
        raise ValueError(
            f"{env_file} cannot be read ({error.strerror}): let this user read it, or move it away"
        ) from None
    for statement in parse_stream(io.StringIO(text)):
        is_unread = statement.error or (statement.key and statement.value is None)  # a name alone has the value None
        if is_unread and PREFIX in statement.original.string.upper():
            place = f"line {statement.original.line} of {env_file}"
            raise ValueError(f"{place} cannot be read: write NAME=value, with both quotation marks or none")
    return {name: value or "" for name, value in dotenv_values(stream=io.StringIO(text)).items()}


def file_of(name: str) -> str:
    """Return the setting that names the file with this secret."""
    return f"{name}_file"


def read_secrets(names: Iterable[str], values: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets that are in files. `values` are the settings as they are written, by name in lower case.

    Raises ValueError, which names the setting. It quotes no path, because somebody may have put the secret there.
    """
    paths = {name: path for name in names if (path := _path_in(values.get(file_of(name), "")))}
    for name in paths:
        if values.get(name, "").strip():
            both = f"{PREFIX}{name.upper()} and {PREFIX}{file_of(name).upper()}"
            raise ValueError(f"{both} are both set: remove one")
    return {name: _secret_in(path, PREFIX + file_of(name).upper()) for name, path in paths.items()}


def _path_in(value: str) -> str:
    """Return the path, or "" for a blank value, which is as left out."""
    try:
        return str(unwrapped(None, value))
    except PydanticUseDefault:
        return ""


def _secret_in(path: str, setting: str) -> str:
    """Return the text of the file, without the line breaks that editors and `echo` put at its end."""
    try:
        secret = Path(expanded(path)).read_text("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{setting}: names a file that is not UTF-8 text") from None
    except OSError as error:
        raise ValueError(f"{setting}: names a file that cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ValueError(f"{setting}: {error}") from None
    if not secret.strip():
        raise ValueError(f"{setting}: names a file that is empty")
    return secret
