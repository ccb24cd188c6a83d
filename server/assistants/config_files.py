"""Adds this server to a client's configuration file, and leaves everything else in it unchanged."""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

import yaml

from server.assistants.instructions import ConfigFile, Entry, written
from server.errors import Invalid

Tree = dict[str, object]


def path_of(config: ConfigFile, platform: str) -> Path:
    """Return the path of the file on `platform`, a value of `sys.platform`."""
    path = config.elsewhere.get(platform, config.path)
    path = path.replace("%APPDATA%", os.path.expandvars("%APPDATA%"))
    return Path(path).expanduser()


def write(config: ConfigFile, path: Path, *, with_key: bool) -> bool:
    """Put the entry into the file. It keeps what a person added to an earlier entry of this server. A copy of the old
    file stays next to it, with `.bak` added to its name. Return False if the entry is already there. Raises Invalid,
    without changing the file, if the file cannot be read or written, or the change would lose something.
    """
    entry = config.entry(with_key=with_key)
    try:
        before = _read(path)
        earlier = _at(_parsed(config, before or ""), config.keys)
        entry = _with_additions(config, earlier, entry)
        if earlier == entry:
            return False
        _replace(path, _changed(config, before or "", entry), is_new=before is None)
    except OSError as error:
        reason = f"cannot be written: {error.strerror}"
    except (ValueError, yaml.YAMLError):
        reason = "cannot be changed without losing something in it"
    else:
        return True
    by_hand = written(config.format, config.keys, entry)
    how = "Nothing was changed. Add this yourself, in place of an earlier entry of this name"
    raise Invalid(f"{path} {reason}. {how}:\n{by_hand}")


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise Invalid(f"{path} is not UTF-8 text.") from None


def _with_additions(config: ConfigFile, earlier: object, entry: Entry) -> Entry:
    """Return the entry with what a person added to an earlier one for this server: settings that no entry of ours has,
    such as a time limit, and headers or variables.
    """
    texts = [(name, value) for name, value in entry.items() if isinstance(value, str)]
    if not isinstance(earlier, dict) or any(earlier.get(name) != value for name, value in texts):
        return entry
    own = {*config.with_key, *(config.sign_in or {})}
    added = {name: value for name, value in earlier.items() if name not in own}
    return {**added, **{name: _joined(earlier.get(name), value) for name, value in entry.items()}}


def _joined(earlier: object, value: object) -> object:
    """Return a map with what an earlier one has under other names, which are compared as those of headers."""
    if not isinstance(earlier, dict) or not isinstance(value, dict):
        return value
    names = {name.lower() for name in value}
    return {**{name: one for name, one in earlier.items() if str(name).lower() not in names}, **value}


def _parsed(config: ConfigFile, text: str) -> Tree:
    """Return the file's content. Raises ValueError or YAMLError if it is not a map in its format."""
    if not text.strip():
        return {}
    load = {"json": _parsed_json, "toml": tomllib.loads, "yaml": yaml.safe_load}[config.format]
    tree = load(text)
    if not isinstance(tree, dict):
        raise ValueError("not a map")
    return tree


def _parsed_json(text: str) -> object:
    return json.loads(text, object_pairs_hook=_map_of)


def _map_of(pairs: list[tuple[str, object]]) -> Tree:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        raise ValueError("a name is there twice")
    return tree


def _changed(config: ConfigFile, before: str, entry: Entry) -> str:
    """Return the file's text with the entry in it. Raises ValueError or YAMLError if something would be lost."""
    tree = _parsed(config, before)
    after = None if config.format == "json" else _appended(config, tree, before, entry)
    _insert(config, tree, entry)
    if after is None:
        after = json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
        after.encode()  # a lone surrogate is a ValueError
    if _parsed(config, after) != tree:
        raise ValueError("something else would change")
    return after


def _insert(config: ConfigFile, tree: Tree, entry: Entry) -> None:
    """Put the entry into the file's content in place of an earlier one. Raises ValueError if there is no place."""
    *parents, name = config.keys
    branch = tree
    for key in parents:
        if branch.get(key) is None:
            branch[key] = {}
        inner = branch[key]
        if not isinstance(inner, dict):
            raise ValueError("not a map")
        branch = inner
    branch[name] = entry


def _appended(config: ConfigFile, tree: Tree, before: str, entry: Entry) -> str:
    """Append the entry to the lines of a file, so that comments stay. Raises ValueError if it has an entry already."""
    if _at(tree, config.keys) is not None:
        raise ValueError("it has another entry with this name")
    lines = before.removesuffix("\n").split("\n") if before else []  # not at U+2028, which a text may contain
    added = written(config.format, config.keys, entry).split("\n")
    if config.format == "toml" or config.keys[0] not in tree:
        return "\n".join([*lines, *([""] if lines else []), *added]) + "\n"
    position = lines.index(f"{config.keys[0]}:") + 1
    return "\n".join([*lines[:position], *added[1:], *lines[position:]]) + "\n"


def _at(tree: Mapping[str, object], keys: tuple[str, ...]) -> object:
    node: object = tree
    for key in keys:
        if not isinstance(node, Mapping):
            return None
        node = node.get(key)
    return node


def _replace(path: Path, text: str, *, is_new: bool) -> None:
    """Write a new file and move it into place, so that no client reads a partial file. Only its owner can read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    target = path.resolve()  # keep a symbolic link in place
    line_end = None if is_new else "\r\n" if b"\r\n" in target.read_bytes() else "\n"
    file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed below; mode 0600
        "w", dir=target.parent, delete=False, encoding="utf-8", newline=line_end
    )
    try:
        with file:
            file.write(text)
        if not is_new:
            backup = target.with_name(target.name + ".bak")
            backup.unlink(missing_ok=True)  # it may be a link to a file that its user must not get
            shutil.copy2(target, backup)
            if sys.platform != "win32":
                owner = target.stat()
                for name in (file.name, backup):  # with sudo, the files stay their user's
                    os.chown(name, owner.st_uid, -1)
                    with contextlib.suppress(PermissionError):  # its user may have left the group
                        os.chown(name, -1, owner.st_gid)
            shutil.copymode(target, file.name)
        os.replace(file.name, target)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(file.name)
        raise
