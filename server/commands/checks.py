"""Runs the checks of `doctor` and `check-connection`: each prints one line, and on failure says what to do."""

import ssl
from collections.abc import Callable

import httpx
import sqlalchemy as sa

from server.commands.output import print_result
from server.errors import ServiceError
from server.index.upkeep.owner_lock import is_in_use
from server.network.urls import is_loopback
from server.settings import Settings, SettingsError
from server.storage.database_failures import reason

Check = Callable[[Settings], str]


class Advice(str):
    """The answer of a check whose part works, but would work better with another setting."""


class CheckFailed(Exception):
    """A check found a problem. The message is one sentence for the operator."""


def explain(settings: Settings, error: httpx.HTTPError) -> None:
    """Raises CheckFailed if we can tell why the request to PUBLIC_URL failed."""
    _require_valid_certificate(error)
    _require_same_settings(settings, error)


def _require_same_settings(settings: Settings, error: httpx.HTTPError) -> None:
    """Raises CheckFailed if a server uses the data folder, but with another port than this command."""
    is_own_port = is_loopback(settings.public_url) and settings.public_url.endswith(f":{settings.port}")
    if is_own_port and isinstance(error, httpx.ConnectError) and is_in_use(settings):
        raise CheckFailed(
            f"a server uses the data folder {settings.data_dir.absolute()}, but does not answer at "
            f"{settings.public_url}: give this command the same settings, for example in the file .env"
        ) from None


def _require_valid_certificate(error: httpx.HTTPError) -> None:
    """Raises CheckFailed if the request failed because its server's certificate is not valid."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise CheckFailed(
                f"the certificate is not valid: {cause.verify_message}. Clients refuse it; get a certificate for this "
                "name, or if it is your own authority's, set SSL_CERT_FILE for this command and for clients, and "
                "NODE_EXTRA_CA_CERTS for those in Node"
            ) from None
        cause = cause.__cause__ or cause.__context__


def require_server_behind(public_url: str, answer: httpx.Response) -> None:
    """Raises CheckFailed if a proxy answers that it cannot reach the server."""
    if answer.status_code in (httpx.codes.BAD_GATEWAY, httpx.codes.GATEWAY_TIMEOUT):
        raise CheckFailed(
            f"the proxy at {public_url} gets no answer from the server ({answer.status_code}): start the server, or "
            "correct its address in the proxy"
        )


def run_checks(checks: dict[str, Check], settings: Settings) -> int:
    """Print one line per check. Return 1 if any check failed."""
    width = max(map(len, checks))
    healthy = [_report(name.ljust(width), check, settings) for name, check in checks.items()]
    return 0 if all(healthy) else 1


def _report(name: str, check: Check, settings: Settings) -> bool:
    try:
        message = check(settings)
        verdict = "ADVICE" if isinstance(message, Advice) else "ok"
    except (CheckFailed, SettingsError, ServiceError, OSError) as error:
        verdict, message = "WRONG", str(error)
    except sa.exc.DatabaseError as error:
        verdict, message = "WRONG", reason(settings.database_url.get_secret_value(), error)
    except sa.exc.SQLAlchemyError as error:
        verdict, message = "WRONG", f"the database says {type(error).__name__}"
    print_result(f"{verdict:<6} {name} {' '.join(message.split())}")
    return verdict != "WRONG"
