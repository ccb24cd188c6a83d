"""Measures how much time checking a credential adds to a REST request.

python -m bench.tokens [--seconds 5]

A request without a credential and one with an unknown token both get 401, so the difference is the check. A key and a
token do the same work after the check. All are measured alternately, so that other load affects them equally.
"""

import argparse
import http.client
import statistics
import time
from datetime import timedelta
from pathlib import Path

from sqlmodel import select

from bench.server import started
from server.hashing import ACCESS_TOKEN_PREFIX, new_token, token_hash
from server.models import AccessToken, ApiKey, AuthMethod, ClientKind, OAuthClient, OAuthGrant
from server.models.base import now
from server.storage.database import Database

PATH = "/api/users/me"
WARM_UP = 50


class Probe:
    """One connection that repeats a request. `times` are milliseconds."""

    def __init__(self, address: tuple[str, int], credential: str | None, status: int) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=60)
        self._headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
        self._status = status
        self.times: list[float] = []

    def run(self) -> None:
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


def create_token(folder: Path, key: str) -> str:
    """Create an access token for the key's project, as if its user had granted it."""
    token = new_token(ACCESS_TOKEN_PREFIX)
    database = Database(f"sqlite:///{folder / 'selfmemory.db'}", connections=1)
    with database.write() as session:
        api_key = session.exec(select(ApiKey).where(ApiKey.token_hash == token_hash(key))).one()
        client = OAuthClient(
            id="client_bench", kind=ClientKind.CONFIGURED, redirect_uris=[], grant_types=[], auth_method=AuthMethod.NONE
        )
        scopes = ["memories:read", "memories:write"]
        grant = OAuthGrant(
            user_id=api_key.created_by,
            client_id=client.id,
            project_id=api_key.project_id,
            scopes=scopes,
            last_used_at=now(),
        )
        expires_at = now() + timedelta(hours=1)
        session.add_all([client, grant])
        session.flush()
        session.add(AccessToken(token_hash=token_hash(token), grant_id=grant.id, scopes=scopes, expires_at=expires_at))
    database.close()
    return token


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds: float = parser.parse_args().seconds
    with started() as server:
        key = server.key("Tokens")
        token = create_token(server.folder, key)
        credentials = {
            "no credential": None,
            "unknown token": new_token(ACCESS_TOKEN_PREFIX),
            "key": key,
            "token": token,
        }
        probes = {
            name: Probe(server.address, credential, 200 if name in ("key", "token") else 401)
            for name, credential in credentials.items()
        }
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(probes["token"].times) < 2 * WARM_UP:
            for probe in probes.values():
                probe.run()
    for name, probe in probes.items():
        print(f"{name:<16}{probe.median:>8.2f} ms")
    check = probes["unknown token"].median - probes["no credential"].median
    print(f"{'the check':<16}{check:>8.2f} ms, which must be at most 1")
    print(f"{'token : key':<16}{probes['token'].median / probes['key'].median:>8.2f}")


if __name__ == "__main__":
    main()
