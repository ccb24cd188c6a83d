"""A Redis server for the tests: the one in TEST_REDIS_URL, or a new one that is stopped afterwards."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator

VARIABLE = "TEST_REDIS_URL"


def is_available() -> bool:
    return VARIABLE in os.environ or shutil.which("redis-server") is not None


@contextlib.contextmanager
def running_redis() -> Iterator[str]:
    """Yield the URL of the configured server, or of a new one on loopback that is stopped at the end."""
    if VARIABLE in os.environ:
        yield os.environ[VARIABLE]
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        try:
            assert any("Ready to accept connections" in line for line in process.stdout), "Redis did not start"
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.communicate()
