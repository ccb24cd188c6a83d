"""`connect`: print the instructions for connecting an assistant, or write its configuration file."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from server.assistants import config_files
from server.assistants.catalog import assistants
from server.assistants.instructions import KEY_PLACEHOLDER, Assistant, Step, Target
from server.commands.output import print_message, print_result
from server.errors import Invalid
from server.hashing import is_api_key
from server.network.urls import is_loopback, is_private
from server.settings import Settings


def connect(settings: Settings, args: Namespace) -> None:
    """Print the instructions, or with `--write` change the assistant's configuration file.

    Raises Invalid if the key is malformed or of no use to the assistant, or the file cannot be changed.
    """
    key = None if args.key is None else _checked(args.key.strip())
    target = Target(settings.public_url, key or KEY_PLACEHOLDER)
    assistant = next(assistant for assistant in assistants(target) if assistant.id == args.client)
    if key and not assistant.with_key:
        raise Invalid(f"{assistant.name} signs in and takes no API key. Run this again without --key.")
    if assistant.vendor and (is_loopback(settings.public_url) or is_private(settings.public_url)):
        print_message(
            f"{assistant.name} connects from {assistant.vendor}'s servers and cannot reach {settings.public_url}: "
            "set SELFMEMORY_PUBLIC_URL to a public https address first."
        )
    if args.write:
        _write(assistant, key)
    else:
        print_result("\n".join(_lines(assistant, key)))


def _checked(key: str) -> str:
    if not is_api_key(key):
        raise Invalid(
            "this is not a complete API key: sk_im_ and 38 characters. `create-key` and the dashboard create one.",
            field="--key",
        )
    return key


def _write(assistant: Assistant, key: str | None) -> None:
    if assistant.config is None:
        raise Invalid(f"{assistant.name} has no file to write to. Run this without --write and follow the steps.")
    if key is None and not assistant.sign_in:
        raise Invalid(f"{assistant.name} needs an API key. Add --key KEY; `create-key` creates one.")
    path = config_files.path_of(assistant.config, sys.platform)
    changed = config_files.write(assistant.config, path, with_key=key is not None)
    print_message(f"Added SelfMemory to {path}." if changed else f"SelfMemory is already in {path}.")
    print_message(f"Restart {assistant.name}" + ("." if key else ", and sign in when it asks."))


def _lines(assistant: Assistant, key: str | None) -> list[str]:
    """Return the instructions for signing in and those for a key. If a key is given, return only the latter."""
    ways = [("Sign in", assistant.sign_in if key is None else ()), ("With an API key", assistant.with_key)]
    sections = [(title, steps) for title, steps in ways if steps]
    lines = [assistant.name]
    for title, steps in sections:
        lines += ["", f"{title}:" if len(sections) > 1 else "Steps:", *_numbered(steps)]
    if key is None and assistant.with_key:
        lines += ["", _key_hint(assistant)]
    if step := assistant.start:
        lines += [
            "",
            f"{step.instruction} ({step.target})",
            *(f"     {line}" for line in (step.snippet or "").split("\n")),
        ]
    return [*lines, *(["", assistant.note] if assistant.note else [])]


def _key_hint(assistant: Assistant) -> str:
    replace = f"Create a key with `create-key`. Replace {KEY_PLACEHOLDER} with it, or run this again with --key KEY"
    return f"{replace} to get a link that installs the server." if assistant.links_with_key else f"{replace}."


def _numbered(steps: Sequence[Step]) -> list[str]:
    lines = []
    for number, step in enumerate(steps, 1):
        target = step.target or ""
        is_file = bool(Path(target).suffix) and target not in step.instruction
        lines.append(f"{number}. {step.printed or step.instruction}" + (f" ({target})" if is_file else ""))
        text = step.snippet or step.link
        lines += [f"     {line}" for line in text.split("\n")] if text else []
    return lines
