"""nginx as docs/operations.md configures it, on loopback without TLS."""

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.world import eventually

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"
FRAME = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""


def documented() -> str:
    """Return the `server` block of the documentation."""
    found = re.search(r"```nginx\n(.+?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert found
    return found[1]


@contextlib.contextmanager
def running_nginx(folder: Path, server: str, port: int, upstream: int) -> Iterator[None]:
    """Run nginx with the `server` block on `port`, in front of `upstream`, until the end of the block."""
    local = re.sub(r"^ *ssl_.*\n", "", server, flags=re.MULTILINE)
    local = local.replace("listen 443 ssl", f"listen 127.0.0.1:{port}").replace(
        "127.0.0.1:8081", f"127.0.0.1:{upstream}"
    )
    user = "user root;" if os.geteuid() == 0 else ""
    file = folder / "nginx.conf"
    file.write_text(FRAME.format(user=user, folder=folder, server=local))
    with subprocess.Popen(["nginx", "-c", str(file), "-p", str(folder)], stderr=subprocess.PIPE) as process:
        try:
            eventually(lambda: process.poll() is not None or _listens(port))
            assert process.poll() is None, process.stderr and process.stderr.read()
            yield
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
