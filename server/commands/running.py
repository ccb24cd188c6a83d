"""Runs one command: reads the settings, configures the log, and reports an error in one line."""

import errno
import gc
import importlib
import logging
import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from server import logs
from server.commands.output import print_message
from server.errors import ServiceError
from server.network import proxies
from server.settings import Settings, SettingsError, read_settings
from server.storage import data_folder
from server.storage.database_failures import explained

log = logging.getLogger(__name__)

Command = Callable[[Settings, Namespace], int | None]


def run(args: Namespace) -> int:
    """Return the exit code of the command that `args.run` names, as `module.function` in `server.commands`."""
    settings = None
    try:
        _require_docstrings()
        settings = read_settings(**{name: vars(args)[name] for name in ("host", "port", "workers") if name in args})
        logs.configure(settings.log_level, settings.log_format)
        data_folder.provide_temporary_folder(settings.data_dir)
        for sentence in proxies.make_usable():
            log.warning(sentence)
        with explained(settings.database_url.get_secret_value()):
            code = _command(args.run)(settings, args) or 0
        sys.stdout.flush()
        return code
    except (SettingsError, ServiceError) as error:
        print_message(f"selfmemory: {error}")
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # the reader closed the pipe and needs no message
            print_message(f"selfmemory: {_sentence(error, settings)}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise flushing at exit would fail too
    return 1


def _require_docstrings() -> None:
    """Raises SettingsError if Python has removed the docstrings: the descriptions of the tools are among them."""
    if sys.flags.optimize > 1:
        raise SettingsError(
            "PYTHONOPTIMIZE must be at most 1: 2, like -OO, removes the descriptions of the tools, which models read"
        )


def _command(name: str) -> Command:
    """Import only this command's module, because most commands need only a part of the server."""
    module, _, function = name.partition(".")
    gc.disable()  # collections would take a fifth of the time of the imports
    command: Command = getattr(importlib.import_module(f"server.commands.{module}"), function)
    gc.freeze()  # collecting the imports' garbage takes 0.1 s, perhaps while the command holds the writer lock
    gc.enable()
    return command


def _sentence(error: OSError, settings: Settings | None) -> str:
    """Return one sentence about the error. For a file in the data folder, say how to make it writable."""
    files = [name for name in (error.filename, error.filename2) if isinstance(name, str)]  # a copy names both
    if settings and any(settings.data_dir.absolute() in Path(name).parents for name in files):
        return data_folder.refusal(settings.data_dir, error)
    if error.errno == errno.ENOSPC and error.filename is None:
        return (
            "a disk is full: either the one to which standard output goes, or the one of the folder for temporary "
            f"files, {tempfile.gettempdir()} (set TMPDIR to use another)"
        )
    return str(error)
