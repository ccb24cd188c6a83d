"""Logging: one event per line, with fields, as text or JSON, and never a token, email address, query or memory text."""

import json
import logging
import re
import sys
import time
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
client_address: ContextVar[str] = ContextVar("client_address", default="")
"""The address that the current request came from. Only the lines of refusals and account events hold it."""

_TOKEN = re.compile(r"(sk_im_|sm_[a-z]{2}_)[A-Za-z0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that could end a line or move the cursor of a terminal."""

_REFUSED = "server.settings.SettingsError: "
_EXITING = "Application startup failed. Exiting."
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def configure(level: str, style: str) -> None:
    """Send all logs to stderr in one format. Libraries log warnings and errors only."""
    logging.getLogger("uvicorn.error").addFilter(without_traceback)
    # Do not find out the place in the code of each line: we do not log it, and finding it takes longer than writing the
    # line (see Python's logging HOWTO).
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # its warnings repeat errors that it raises, which we log
    for name in ("server", "rest", "tools", "oauth"):
        logging.getLogger(name).setLevel(level.upper())


class TextFormatter(logging.Formatter):
    """`2026-02-22T10:30:00Z info server.app started port=8081`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{_moment(record)} {record.levelname.lower()} {record.name} {record.getMessage()}{fields}"
        return redacted(on_one_line(line) + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""))


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event = {"time": _moment(record), "level": record.levelname.lower(), "logger": record.name}
        event |= {"event": record.getMessage()} | {name: str(value) for name, value in _fields(record).items()}
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return redacted(json.dumps(event, ensure_ascii=False))


def without_traceback(record: logging.LogRecord) -> bool:
    """Reduce what uvicorn says about a failed startup to our own sentence, if its traceback ends with one."""
    _, ours, sentence = record.getMessage().rpartition(_REFUSED)
    if ours:
        record.msg, record.args = sentence.strip(), ()
    return record.msg != _EXITING


def on_one_line(text: str) -> str:
    """Escape control characters, so that a value from a request cannot forge another line."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def redacted(line: str) -> str:
    """Shorten every token to its prefix. No code should log a token; this is a safeguard."""
    return _TOKEN.sub(r"\1…", line)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields = {name: value for name, value in vars(record).items() if name not in _PLAIN}
    return ({"request_id": request_id.get()} if request_id.get() else {}) | fields


def _moment(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
