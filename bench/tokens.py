"""What checking a credential adds to a request over REST; one run, one machine.

python -m bench.tokens [--seconds 5]

Without a credential and with an unknown token the answer is the same 401: what lies between them is the check alone. A
key and a token are checked and then do the same work. All are measured in turn, so that other load falls on all alike.
"""

import argparse
import http.client
import statistics
import time
from datetime import timedelta
from pathlib import Path

from sqlmodel import select

from bench.server import started
from server.database import Database
from server.hashing import ACCESS_TOKEN_PREFIX, new_token, token_hash
from server.models import AccessToken, ApiKey, AuthMethod, ClientKind, OAuthClient, OAuthGrant
from server.models.base import now

PATH = "/api/users/me"
WARM_UP = 50


class Asking:
    """One connection that asks the same again and again; what each took, in milliseconds."""

    def __init__(self, address: tuple[str, int], credential: str | None, status: int) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=60)
        self._headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
        self._status = status
        self.times: list[float] = []

    def ask(self) -> None:
        began = time.perf_counter()
        self._connection.request("GET", PATH, headers=self._headers)
        response = self._connection.getresponse()
        response.read()
        self.times.append((time.perf_counter() - began) * 1000)
        if response.status != self._status:
            raise SystemExit(f"{PATH} answered {response.status}")

    @property
    def median(self) -> float:
        return statistics.median(self.times[WARM_UP:])


def granted(folder: Path, key: str) -> str:
    """An access token to the key's project, as its user would have granted it."""
    token = new_token(ACCESS_TOKEN_PREFIX)
    database = Database(f"sqlite:///{folder / 'selfmemory.db'}", connections=1)
    with database.write() as session:
        made = session.exec(select(ApiKey).where(ApiKey.token_hash == token_hash(key))).one()
        client = OAuthClient(
            id="client_bench", kind=ClientKind.CONFIGURED, redirect_uris=[], grant_types=[], auth_method=AuthMethod.NONE
        )
        scopes = ["memories:read", "memories:write"]
        grant = OAuthGrant(
            user_id=made.created_by, client_id=client.id, project_id=made.project_id, scopes=scopes, last_used_at=now()
        )
        ends = now() + timedelta(hours=1)
        session.add_all([client, grant])
        session.flush()
        session.add(AccessToken(token_hash=token_hash(token), grant_id=grant.id, scopes=scopes, expires_at=ends))
    database.close()
    return token


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds: float = parser.parse_args().seconds
    with started() as server:
        key = server.key("Tokens")
        token = granted(server.folder, key)
        given = {"no credential": None, "unknown token": new_token(ACCESS_TOKEN_PREFIX), "key": key, "token": token}
        asking = {
            name: Asking(server.address, credential, 200 if name in ("key", "token") else 401)
            for name, credential in given.items()
        }
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(asking["token"].times) < 2 * WARM_UP:
            for one in asking.values():
                one.ask()
    for name, one in asking.items():
        print(f"{name:<16}{one.median:>8.2f} ms")
    check = asking["unknown token"].median - asking["no credential"].median
    print(f"{'the check':<16}{check:>8.2f} ms, which must be at most 1")
    print(f"{'token : key':<16}{asking['token'].median / asking['key'].median:>8.2f}")


if __name__ == "__main__":
    main()
