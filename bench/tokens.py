"""Measures how much time checking a credential adds to a REST request.

python -m bench.tokens [--seconds 5]

A request without a credential and one with an unknown token both get 401, so the difference is the check. A key and a
token do the same work after the check. All are measured alternately, so that other load affects them equally.
"""

import argparse
import http.client
import statistics
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sqlmodel import select

from bench.server import started
from bench.timing import in_turn
from server.hashing import ACCESS_TOKEN_PREFIX, new_token, token_hash
from server.models import AccessToken, ApiKey, AuthMethod, ClientKind, OAuthClient, OAuthGrant
from server.models.base import now
from server.storage.database import Database

PATH = "/api/users/me"
WARM_UP = 20


def asking(address: tuple[str, int], credential: str | None, status: int) -> Callable[[str], None]:
    """Return a function that repeats the request on one connection."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}

    def ask(_text: str) -> None:
        connection.request("GET", PATH, headers=headers)
        response = connection.getresponse()
        response.read()
        if response.status != status:
            raise SystemExit(f"{PATH} answered {response.status}")

    return ask


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
        asks = [
            asking(server.address, credential, 200 if name in ("key", "token") else 401)
            for name, credential in credentials.items()
        ]
        times = in_turn(asks, str, seconds)
    medians = {name: statistics.median(spent[WARM_UP:]) for name, spent in zip(credentials, times, strict=True)}
    for name, median in medians.items():
        print(f"{name:<16}{median:>8.2f} ms")
    check = medians["unknown token"] - medians["no credential"]
    print(f"{'the check':<16}{check:>8.2f} ms, which must be at most 1")
    print(f"{'token : key':<16}{medians['token'] / medians['key']:>8.2f}")


if __name__ == "__main__":
    main()
