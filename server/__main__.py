"""`python -m server`: parses the command line and runs one of `server.commands`. Commands are imported only after
that, so that `--help` answers at once.
"""

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence

from server import __version__
from server.assistants import catalog
from server.commands.output import configure_output, print_message, replace_closed_streams
from server.machine.own_command import command_line
from server.text.characters import has_lone_surrogate

DESCRIPTION = "Start SelfMemory Server, or run one of its commands. docs/configuration.md lists its settings."
INTERRUPTED = 130
"""The exit code that shells expect after Ctrl-C: 128 + SIGINT."""

TERMINATED = 143
"""The exit code of a command after SIGTERM: 128 + SIGTERM, as shells expect."""

SERVE = "serving.serve"


def not_empty(text: str) -> str:
    """Return the argument. An unset variable of a shell is an empty one, and means neither a file nor a project."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def whole_number(text: str) -> int:
    """Return the number. Raises ArgumentTypeError with a sentence for people."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}") from None


PATHS = ("file", "path")
"""The arguments whose bytes may be in any encoding, because they name files."""


def require_text(top: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End the program, with a sentence, if an argument other than a path is not UTF-8. Python reads such bytes as lone
    surrogates, which nothing can store.
    """
    for name, value in vars(args).items():
        text = "".join(value) if isinstance(value, list) else str(value)
        if name not in PATHS and has_lone_surrogate(text):
            top.error(f"argument --{name.replace('_', '-')}: must be UTF-8 text")


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands. `run` is the module in `server.commands` and the function that runs it."""
    top = argparse.ArgumentParser(prog=command_line(), description=DESCRIPTION)
    top.add_argument("--version", action="version", version=__version__)
    verbs = top.add_subparsers(title="commands", metavar="COMMAND")

    def command(name: str, run: str, summary: str) -> argparse.ArgumentParser:
        verb = verbs.add_parser(name, help=summary, description=summary)
        verb.set_defaults(run=run)
        return verb

    top.set_defaults(run=SERVE)
    _add_address(top)
    _add_address(command("serve", SERVE, "start the server; the default command"))
    _add_user(command("create-user", "accounts.create_user", "create an account and print its id"))
    _add_key(command("create-key", "accounts.create_key", "create an API key and print it"))
    _add_reset(command("reset-password", "accounts.reset_password", "print a link that sets a new password"))
    _add_change(command("change-email", "accounts.change_email", "change an account's email address and print its id"))
    _add_client(command("create-client", "clients.create_client", "create an OAuth client and print its id and secret"))
    backup = command("backup", "backup.backup", "copy the whole database to a new file, even while the server runs")
    _add_file(backup, "a new file; - is standard output")
    restore = command("restore", "restore.restore", "replace a stopped server's database with a backup")
    _add_file(restore, "a file that backup wrote; - is standard input")
    command("reindex", "upkeep.reindex", "rebuild the index from the database")
    command("doctor", "doctor.doctor", "check that every part works; exits with 1 if a check fails")
    check = "check_connection.check_connection"
    command("check-connection", check, "check that assistants can reach PUBLIC_URL; exits with 1 if a check fails")
    command("prepare-model", "upkeep.prepare_model", "prepare the embedding model before the first start")
    _add_connect(command("connect", "connect.connect", "print how to connect an assistant to this server"))
    _add_export(command("export", "exchange.export", "write a project's memories to standard output"))
    _add_import(command("import", "exchange.import_", "import a file or folder from any program: all of it or nothing"))
    return top


def _add_address(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--host", default=argparse.SUPPRESS, help="address to listen on")
    verb.add_argument("--port", default=argparse.SUPPRESS, help="port to listen on; 0 for any")
    verb.add_argument("--workers", default=argparse.SUPPRESS, help="number of processes; auto starts one per processor")


def _add_user(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--email", required=True, help="the address to sign in with; it needs no confirmation")
    verb.add_argument("--name", default="", help="default: the part of the address before the @")
    password = verb.add_mutually_exclusive_group()
    password.add_argument("--password", help="visible to other users of this machine while the command runs")
    password.add_argument("--password-stdin", action="store_true", help="read the password from standard input")


def _add_key(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--email", required=True, help="the account, which is created if it does not exist")
    verb.add_argument("--project", metavar="NAME", help="created if it does not exist; default: the oldest project")
    verb.add_argument("--permissions", default="read,write", help="read, or read,write (default); write includes read")
    verb.add_argument("--expires-in-days", type=whole_number, metavar="N", help="1 to 3650; default: never expires")


def _add_change(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--email", required=True, help="the present address")
    verb.add_argument("--to", required=True, metavar="EMAIL", help="the new address; it needs no confirmation")


def _add_client(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--name", type=not_empty, required=True, help="shown on the consent page")
    verb.add_argument("--redirect-uri", required=True, action="append", metavar="URI", help="may be repeated")
    verb.add_argument("--confidential", action="store_true", help="the client can keep a secret, so create one")


def _add_reset(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--email", required=True, help="the address of the account; the link is valid for an hour")
    verb.add_argument(
        "--remove-second-factor",
        action="store_true",
        help="also remove the authenticator app and the recovery codes, at once",
    )


def _add_file(verb: argparse.ArgumentParser, text: str) -> None:
    verb.add_argument("file", type=not_empty, metavar="FILE", help=text)


def _add_connect(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("client", choices=catalog.NAMES, metavar="CLIENT", help=", ".join(catalog.NAMES))
    verb.add_argument("--key", metavar="KEY", help="use this API key instead of signing in")
    verb.add_argument("--write", action="store_true", help="change the assistant's configuration file")


def _add_project(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--project",
        type=not_empty,
        required=True,
        metavar="ID",
        help="the id of the project (proj_…, on its Settings page) or its name",
    )


def _add_export(verb: argparse.ArgumentParser) -> None:
    _add_project(verb)
    verb.add_argument(
        "--format",
        choices=("jsonl", "markdown", "csv"),
        default="jsonl",
        help="default: jsonl; markdown writes a zip with one file per memory",
    )


def _add_import(verb: argparse.ArgumentParser) -> None:
    _add_project(verb)
    verb.add_argument(
        "path", type=not_empty, nargs="?", metavar="PATH", help="a file, zip or folder; default: standard input"
    )
    verb.add_argument(
        "--format",
        choices=("auto", "json", "jsonl", "csv", "markdown"),
        default="auto",
        help="auto recognizes JSON lines and lists, CSV, Markdown, and exports of other programs, such as ChatGPT",
    )
    verb.add_argument(
        "--on-duplicate",
        choices=("skip", "keep"),
        default="skip",
        help="what to do with memories that already exist (same content, user and time); default: skip",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0; 1 after an error, with one line on standard error; 2 for a wrong command line; 130 after
    Ctrl-C. SIGTERM exits with 0 if it stops the server, else with 143.
    """
    replace_closed_streams()
    configure_output()
    top = parser()
    args = top.parse_args(arguments)
    require_text(top, args)
    if arguments is None:  # otherwise a program calls this, and its signals are its own
        _exit_on_sigterm(0 if args.run == SERVE else TERMINATED)
    try:
        code: int = importlib.import_module("server.commands.running").run(args)
    except ModuleNotFoundError as error:
        return _explain_missing(error)
    except KeyboardInterrupt:  # perhaps during the imports, which take most of a second
        print_message("selfmemory: stopped before it was finished.")
        return INTERRUPTED
    return code


def _exit_on_sigterm(code: int) -> None:
    """Make SIGTERM end the process at once. The system would do that too, but not for the first process of a container.
    A command that has something to clean up replaces this.

    An exception would be lost if the signal came in the middle of an import, in a callback whose errors Python ignores.
    """
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(code))


def _explain_missing(error: ModuleNotFoundError) -> int:
    """Say which package this Python lacks. Raises the error again if it is one of our own modules."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "server", "oauth", "rest", "tools"):
        raise error
    advice = "Run `make install` once, and from then on .venv/bin/python -m server."
    sys.stderr.write(f"selfmemory: this Python lacks the package {package!r}. {advice}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
