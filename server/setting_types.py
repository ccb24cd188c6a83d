"""The types of settings. Each checks a value. Its error message says what to write, and never quotes the value."""

import contextlib
import ipaddress
import json
import os
import re
from collections.abc import Iterable, Mapping
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import limits
import sqlalchemy as sa
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticUseDefault
from pydantic_settings import NoDecode

from server.machine.resources import cpu_count
from server.network.domain_names import mail_address
from server.network.urls import has_host, host_of_header, is_loopback, origin_of
from server.text.characters import has_lone_surrogate

LONGEST_DAYS = 36500
"""A century, because dates that are much later overflow."""
LONGEST_SECONDS = LONGEST_DAYS * 86400
ANY = "*"
AUTO = "auto"
MOST_WORKERS = 256
IN_ASCII = (
    "must be in ASCII: write other letters as browsers send them, like https://xn--mnchen-3ya.example for münchen"
)
STARTTLS = ("starttls", "starttls=true", "starttls=1")
"""The ways to write the option of SMTP_URL, in lower case."""

OPAQUE_ORIGIN = "null"
"""The origin of a sandboxed frame, a local file and some desktop applications."""


PATHS = ("_DATA_DIR", "_DATABASE_URL", "_EMBEDDING_MODEL", "_FILE")
"""The ends of the names of variables whose bytes may be in any encoding, because they name files."""

VERBATIM = frozenset({"secret_key", "chroma_token", "embedding_key", "metrics_token", "oidc_client_secret"})
"""Secrets, in which every character may count."""

DRIVER = "postgresql+psycopg://"
DATABASE_FORMS = "write sqlite:////path/to/file or postgresql+psycopg://user:password@host/name"
_POSTGRES = re.compile(r"(?i)^postgres(ql)?(\+\w+)?://")
"""How hosting services and other programs begin the URL of a Postgres database."""

_SEVERAL_HOSTS = re.compile(r"(postgresql[^:]*://(?:[^@/]*@)?)([^@/?]*,[^@/?]*)(/[^?]*)\??(.*)")
_HOST_AND_PORT = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::(\d*))?")

_SERVICE = re.compile(r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_SERVICE_URLS = ("tcp://", "udp://", "sctp://")
_LISTEN_HOST = re.compile(r"[\w.-]+")


def is_of_service(name: str, value: str) -> bool:
    """Return whether Kubernetes sets the variable, to tell containers where a Service is. `name` has no prefix: the
    Services `selfmemory` and `selfmemory-redis` lead to `PORT`, `SERVICE_HOST` and `REDIS_PORT_6379_TCP`.
    """
    is_url = name.endswith("PORT") and value.startswith(_SERVICE_URLS)
    return is_url or bool(_SERVICE.fullmatch(name))


def unwrapped(name: str | None, value: object) -> object:
    """Return the value of a setting without the blanks and quotation marks around it, which `docker --env-file` keeps,
    and without the end of a Windows line. Raises PydanticUseDefault if nothing is left.
    """
    if not isinstance(value, str) or not value or name in VERBATIM:
        return value
    text = value.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    if not text or (name == "port" and is_of_service("PORT", text)):
        raise PydanticUseDefault
    return text


def expanded(path: str) -> str:
    """Return the path with the home folder for `~`, and with values for names such as `$HOME`, as in a shell. Raises
    ValueError if there is no such value: a folder of that name would be created. Earlier versions did create such
    folders, so one that exists is used.
    """
    if not path.startswith(("~", "$")) or os.path.exists(path):
        return path
    expanded = os.path.expandvars(os.path.expanduser(path))  # Path raises RuntimeError without a home
    if expanded.startswith(("~", "$")):
        raise ValueError("begins with a home folder or a variable that does not exist: write the whole path")
    return expanded


def first_unreadable(names: Iterable[str], environment: Mapping[str, str]) -> str | None:
    """Return the first name whose value in the environment should be text, but is not UTF-8. Python reads such bytes as
    lone surrogates.
    """
    texts = (name for name in names if not name.upper().endswith(PATHS))
    return next((name for name in texts if has_lone_surrogate(environment.get(name, ""))), None)


def _check_rate(text: str) -> str:
    """Return the text. Raises ValueError, also for a rate of 0: the answer to it would be to try again later."""
    try:
        rates = limits.parse_many(text)
    except ValueError:
        rates = []
    if not rates or any(rate.amount < 1 for rate in rates):
        raise ValueError("write a rate like 60/minute or 20/hour")
    return text


def _check_database(url: SecretStr) -> SecretStr:
    """Return the URL with our driver, and with the whole path of a file."""
    text = url.get_secret_value()
    if not text:
        return url
    if not text.startswith("postgresql://"):  # its default driver is ours
        text = _POSTGRES.sub(DRIVER, text)
    text = _with_hosts_as_parameters(text)
    parts = sa.URL.create("")
    with contextlib.suppress(sa.exc.ArgumentError, ValueError):  # a ValueError would repeat an invalid port
        parts = sa.make_url(text)
    if "@" in (parts.host or ""):  # a part of the password, which no error may show
        raise ValueError("in a user name or password, write @ as %40")
    is_file = parts.drivername == "sqlite" and not (parts.host or parts.query)
    is_known = is_file or parts.drivername in ("postgresql", "postgresql+psycopg")
    if not is_known or not parts.database or parts.database == ":memory:":  # each connection would have its own
        raise ValueError(DATABASE_FORMS)
    path = expanded(parts.database) if is_file else parts.database
    if path != parts.database:
        text = parts.set(database=path).render_as_string(hide_password=False)
    return SecretStr(text)


def _with_hosts_as_parameters(url: str) -> str:
    """Return a URL with several hosts, which libpq reads (`one:5432,two:5432`), in the form that SQLAlchemy reads.

    Raises ValueError if one of them cannot be read.
    """
    found = _SEVERAL_HOSTS.fullmatch(url)
    if found is None:
        return url
    beginning, places, name, parameters = found.groups()
    hosts, ports = [], []
    for place in places.split(","):
        if (matched := _HOST_AND_PORT.fullmatch(place)) is None:
            raise ValueError(DATABASE_FORMS)
        ipv6, host, port = matched.groups("")
        hosts.append(ipv6 or host)
        ports.append(port)
    return f"{beginning}{name}?host={','.join(hosts)}&port={','.join(ports)}" + (f"&{parameters}" if parameters else "")


def _check_origin(text: str) -> str:
    """Return the origin as browsers send it, since origins are compared as text; or the words `null` and `*`."""
    if text.lower() in (OPAQUE_ORIGIN, ANY):
        return text.lower()
    origin = origin_of(text, schemes=None)
    if origin is not None and not origin.isascii():
        raise ValueError(IN_ASCII)
    if origin is None or ANY in origin:
        raise ValueError("write each origin in full, like https://app.example.com, without a path; or null, or *")
    return origin


def _check_listen_host(text: str) -> str:
    """Return an address, without the brackets in which URLs write IPv6, or a host's name."""
    host = text.removeprefix("[").removesuffix("]") if text.startswith("[") and text.endswith("]") else text
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not _LISTEN_HOST.fullmatch(host):
            raise ValueError("write an address of this machine, or 0.0.0.0 for all of them, without a port") from None
    return host


def _listed(value: object) -> object:
    """Return the parts of a text with commas, semicolons or blanks between them, or of the JSON text of a list."""
    if not isinstance(value, str):
        return value
    if value.startswith('["'):
        with contextlib.suppress(ValueError, RecursionError):
            return tuple(json.loads(value))
    return tuple(part for part in re.split(r"[\s,;]+", value) if part)


def _lower(value: object) -> object:
    """Return a word in lower case, and `warn`, which many programs write, as `warning`."""
    word = value.lower() if isinstance(value, str) else value
    return "warning" if word == "warn" else word


def _check_host(text: str) -> str:
    """Return the host in lower case. Its port does not matter, because a request's Host may have any port."""
    if text == ANY:
        return text
    name = text.removeprefix("*.")
    host = host_of_header(name)
    if not host.isascii():
        raise ValueError(IN_ASCII)
    if not host or ANY in host or host.startswith("."):
        raise ValueError("write hosts like memory.example.com or *.example.com, without https:// and without a path")
    return f"*.{host}" if name != text else host


def _check_sender(text: str) -> str:
    try:
        if not text.isprintable():
            raise ValueError
        mail_address(*parseaddr(text))
    except ValueError:
        raise ValueError("write a sender like SelfMemory <no-reply@example.com>") from None
    return text


def _check_network(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("write addresses or networks like 10.0.0.0/8, with commas between them") from None
    return text


def _check_issuer(text: str) -> str:
    """Return the URL without a trailing slash. OpenID Connect needs TLS; loopback is for tests."""
    parts = urlsplit(text)
    is_secure = has_host(text, ("https",)) or (has_host(text, ("http",)) and is_loopback(text))
    if text and (not is_secure or parts.query or parts.fragment or "@" in parts.netloc):
        raise ValueError("write the provider's URL, like https://login.example.com")
    return text.rstrip("/")


def _count_workers(value: object) -> int:
    """Return a number of processes; `auto` means one per processor."""
    text = str(value).strip().lower()
    if text == AUTO:
        return cpu_count()
    if not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise ValueError(f"write a number from 1 to {MOST_WORKERS}, or {AUTO} for one per processor")
    return int(text)


def _with_scheme(*schemes: str, rest: str) -> AfterValidator:
    """Return a validator that requires a scheme, in any case, and a host. What follows the host has to match `rest`,
    because nothing would read the rest of it. Its message never repeats the URL.
    """

    def check(url: str | SecretStr) -> str | SecretStr:
        text = url.get_secret_value() if isinstance(url, SecretStr) else url
        advice = "; in a password, write / as %2F, # as %23 and ? as %3F" if isinstance(url, SecretStr) else ""
        if text and not (has_host(text, schemes) and re.fullmatch(rf"\w+://[^/?#]*{rest}", text)):
            forms = " or ".join(f"{scheme}://host:port" + "/0" * scheme.startswith("redis") for scheme in schemes)
            raise ValueError(f"write a URL like {forms}{advice}")
        scheme, separator, others = text.partition("://")
        return type(url)(scheme.lower() + separator + others)

    return AfterValidator(check)


def _check_smtp(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.password and not parts.username:
        raise ValueError("write the user name before the password, as in smtp://user:password@host:587")
    if parts.query.lower() not in ("", *STARTTLS):
        raise ValueError("the only option is ?starttls, as in smtp://user:password@host:587?starttls")
    if not unquote(f"{parts.username}{parts.password}").isascii():  # smtplib raises an exception for each letter
        raise ValueError("the user name and the password can only have ASCII characters")
    return url


def _check_token(token: SecretStr) -> SecretStr:
    """Return the token without the line break with which files and secrets of Kubernetes often end."""
    text = token.get_secret_value().strip()
    if not text.isascii() or not text.isprintable():
        raise ValueError("must be printable ASCII, because it is sent in a header")
    return SecretStr(text)


LISTED = BeforeValidator(_listed)
ANY_CASE = BeforeValidator(_lower)
Folder = Annotated[Path, BeforeValidator(lambda value: expanded(str(value)))]
Model = Annotated[str, AfterValidator(expanded)]
Rate = Annotated[str, AfterValidator(_check_rate)]
Token = Annotated[SecretStr, AfterValidator(_check_token)]
Workers = Annotated[int, BeforeValidator(_count_workers)]
Seconds = Annotated[int, Field(ge=1, le=LONGEST_SECONDS)]
Days = Annotated[int, Field(ge=1, le=LONGEST_DAYS)]
Sender = Annotated[str, AfterValidator(_check_sender)]
Issuer = Annotated[str, AfterValidator(_check_issuer)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_check_origin)], ...], NoDecode, LISTED]
ListenHost = Annotated[str, AfterValidator(_check_listen_host)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(_check_host)], ...], NoDecode, LISTED]
Networks = Annotated[tuple[Annotated[str, AfterValidator(_check_network)], ...], NoDecode, LISTED]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_check_database)]
ChromaUrl = Annotated[str, _with_scheme("http", "https", rest="[^?#]*")]
EmbeddingUrl = Annotated[str, _with_scheme("http", "https", rest="[^#]*")]
RedisUrl = Annotated[SecretStr, _with_scheme("redis", "rediss", rest=r"(/[0-9]*)?(\?[^#]*)?")]
SmtpUrl = Annotated[SecretStr, _with_scheme("smtp", "smtps", rest=r"/?(\?[^#]*)?"), AfterValidator(_check_smtp)]
