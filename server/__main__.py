"""`python -m server`: reads the command line and hands over to `server.commands`."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from server import logs
from server.commands import accounts, clients, exchange, serving, upkeep
from server.commands.output import print_message
from server.errors import ServiceError
from server.settings import Settings, SettingsError, read_settings

Command = Callable[[Settings, argparse.Namespace], int | None]
INTERRUPTED = 130
"""What shells make of a command that was ended by Ctrl-C."""


def parser() -> argparse.ArgumentParser:
    """Every command, on one screen."""
    top = argparse.ArgumentParser(
        prog="python -m server", description="The memory that every AI assistant can plug into."
    )
    verbs = top.add_subparsers(title="commands", metavar="COMMAND")

    def command(name: str, run: Command, words: str) -> argparse.ArgumentParser:
        verb = verbs.add_parser(name, help=words, description=words)
        verb.set_defaults(run=run)
        return verb

    top.set_defaults(run=serving.serve, workers=1)
    _add_address(top)
    _add_address(command("serve", serving.serve, "start the server (also without any command)"))
    _add_user(command("create-user", accounts.create_user, "make an account; prints its id"))
    _add_key(command("create-key", accounts.create_key, "make an API key, and what it needs; prints the key"))
    reset = command(
        "reset-password", accounts.reset_password, "print a link that sets a new password, once, within the hour"
    )
    reset.add_argument("--email", required=True)
    _add_client(command("create-client", clients.create_client, "make an OAuth client; prints its id, then its secret"))
    command("reindex", upkeep.reindex, "empty the vector index and refill it from SQL")
    command("doctor", upkeep.doctor, "check everything; exit 1 if anything is wrong")
    command("prepare-model", upkeep.prepare_model, "make the embedding model ready ahead of the first start")
    _add_project(command("export", exchange.export, "a project's memories as JSON lines on standard output"))
    _add_project(command("import", exchange.import_, "add such lines from standard input; all or nothing"))
    return top


def _add_address(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--host", default=argparse.SUPPRESS, help="address to listen on")
    verb.add_argument("--port", default=argparse.SUPPRESS, help="port to listen on; 0 for any")
    verb.add_argument(
        "--workers", type=int, default=argparse.SUPPRESS, help="processes; more than one needs SELFMEMORY_CHROMA_URL"
    )


def _add_user(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--email", required=True)
    verb.add_argument("--name", default="")
    password = verb.add_mutually_exclusive_group()
    password.add_argument("--password", help="seen by everybody on this machine while the command runs")
    password.add_argument("--password-stdin", action="store_true", help="read the password from standard input")


def _add_key(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--email", required=True)
    verb.add_argument("--project", metavar="NAME", help="a project's name; the first one otherwise")
    verb.add_argument("--permissions", default="read,write", help="read, or read,write (also without this)")
    verb.add_argument("--expires-in-days", type=int, metavar="N", help="it lasts until revoked otherwise")


def _add_client(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--name", required=True, help="shown to people who are asked to allow it")
    verb.add_argument("--redirect-uri", required=True, action="append", metavar="URI", help="may be given again")
    verb.add_argument("--confidential", action="store_true", help="it can keep a secret, and gets one")


def _add_project(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--project", required=True, metavar="ID", help="proj_…, as in the address of its pages")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 for what went wrong with one clear line on standard error, 2 for a wrong command line."""
    given = parser().parse_args(arguments)
    run: Command = given.run
    try:
        settings = read_settings(**{name: vars(given)[name] for name in ("host", "port") if name in given})
        logs.configure(settings.log_level, settings.log_format)
        code = run(settings, given) or 0
        sys.stdout.flush()
        return code
    except (SettingsError, ServiceError) as error:
        print_message(f"selfmemory: {error}")
    except sa.exc.OperationalError:
        place = "SELFMEMORY_DATABASE_URL and SELFMEMORY_DATA_DIR, and that it runs, has room and may be written"
        print_message(f"selfmemory: the database cannot be used: check {place}")
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # whoever read has left, and knows
            print_message(f"selfmemory: {error}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the rest would fail the same way at the end
    except KeyboardInterrupt:
        return INTERRUPTED
    return 1


if __name__ == "__main__":
    sys.exit(main())
