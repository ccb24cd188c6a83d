"""Measures how much a server with default limits grows while strangers call every open endpoint.

python -m bench.strangers [--seconds 60] [--clients 10]

Aim: an hour (`--seconds 3600`) leaves the database and the memory at most 10 MB larger. Exits with 1 when it does not.
Most limits are used up after seconds, so a short run shows most of the growth of an hour.
"""

import argparse
import http.client
import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

from bench.server import Server, started
from bench.sizes import resident_mb

AIM_MB = 10
WARM_UP_SECONDS = 5
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}

Ask = tuple[str, str, str | None, dict[str, str]]


def form(path: str, **fields: str) -> Ask:
    return "POST", path, urlencode(fields), FORM


def doors(chance: random.Random) -> list[Ask]:
    """Return one request for each open endpoint, with values that were never sent before."""
    word = f"{chance.getrandbits(64):x}"
    asked = urlencode(
        {"response_type": "code", "client_id": f"https://{word}.example/c", "redirect_uri": "https://a.example/",
         "state": word * 400, "code_challenge": "c" * 43, "code_challenge_method": "S256"}
    )  # fmt: skip
    same = {"redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": "none"}
    new = same | {"client_name": word}
    return [
        ("GET", f"/oauth/authorize?{asked}", None, {}),
        form("/oauth/authorize", state=word),
        ("POST", "/oauth/register", json.dumps(new), JSON),
        ("POST", "/oauth/register", json.dumps(same), JSON),
        form("/oauth/token", grant_type="refresh_token", refresh_token=word, client_id=f"client_{word}"),
        form("/oauth/revoke", token=word, client_id=f"client_{word}"),
        form("/oauth/introspect", token=word, client_id=f"client_{word}"),
        ("GET", "/sign-in", None, {}),
        form("/sign-in", email=f"{word}@example.com", password=word),
        form("/sign-up", email=f"{word}@example.com", name=word, password="x"),
        form("/forgot-password", email=f"{word}@example.com"),
        form(f"/reset-password/{word}", password=f"{word} {word}"),
        ("GET", f"/verify-email/{word}", None, {}),
        form(f"/verify-email/{word}"),
        ("GET", f"/accept-invitation/{word}", None, {}),
        form(f"/accept-invitation/{word}"),
        ("GET", f"/api/invitations/{word}", None, {}),
        ("GET", f"/api/memories?project_id={word}", None, {"Authorization": f"Bearer sk_im_{word}"}),
        ("POST", "/mcp", json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize"}), JSON),
        ("GET", "/health", None, {}),
        ("GET", "/docs", None, {}),
        ("GET", "/.well-known/oauth-authorization-server", None, {}),
    ]


def knock(server: Server, seed: int, until: float) -> Counter[str]:
    chance, answers = random.Random(seed), Counter[str]()
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    while time.monotonic() < until:
        for method, path, body, headers in doors(chance):
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                response.read()
                answers[named(response.status, method, path)] += 1
            except (OSError, http.client.HTTPException):
                connection.close()
                answers[named(0, method, path)] += 1
    return answers


def named(status: int, method: str, path: str) -> str:
    """Return the status, with the endpoint if it is 500, or 0 for a broken connection."""
    return f"{status} {method} {path[:40]}" if status in (0, 500) else str(status)


def run(server: Server, clients: int, seconds: float) -> Counter[str]:
    """Let the clients call the endpoints for some seconds. Return the number of answers by status."""
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(clients) as threads:
        answers = threads.map(lambda _: knock(server, random.randrange(2**32), until), range(clients))
        return sum(answers, Counter[str]())


def sizes_mb(server: Server) -> tuple[float, float]:
    """Return the size of the database including its log, which is written back at 4 MB, and of the process."""
    database = sum(path.stat().st_size for path in server.folder.glob("selfmemory.db*"))
    return database / 1e6, sum(resident_mb(server.process.pid))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=10)
    options = parser.parse_args()
    with started(RATE_LIMIT_ENABLED="true") as server:
        run(server, options.clients, WARM_UP_SECONDS)
        before = sizes_mb(server)
        answers = run(server, options.clients, options.seconds)
        after = sizes_mb(server)
    print(f"{answers.total():,} requests of {options.clients} clients in {options.seconds:.0f} s")
    print("answers: " + ", ".join(f"{status}: {count:,}" for status, count in sorted(answers.items())))
    grown = [end - begin for begin, end in zip(before, after, strict=True)]
    print(f"database: {grown[0]:+.1f} MB, memory: {grown[1]:+.1f} MB (aim: at most {AIM_MB} MB an hour)")
    sys.exit(any(size > AIM_MB for size in grown))


if __name__ == "__main__":
    main()
