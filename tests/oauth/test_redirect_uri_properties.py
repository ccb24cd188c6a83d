"""Properties of redirect URIs that hold for generated input: what may be registered, and what matches it."""

from urllib.parse import urlsplit, urlunsplit

from hypothesis import assume, given
from hypothesis import strategies as st

from server.domain.grants import redirect_uris

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
DANGEROUS_SCHEMES = (*sorted(redirect_uris.NOT_PRIVATE - {"https", "http"}), "moz-extension", "ms-msdt", "web+app")
PRIVATE_NETWORK = "http://nas.local:8081"

SEGMENT = st.text("abcXYZ019-_~", min_size=1, max_size=8)
PATH = st.lists(SEGMENT, max_size=3).map(lambda segments: "".join(f"/{segment}" for segment in segments))
QUERY = st.sampled_from(["", "?keep=1", "?a=%20b&flag"])
PORT = st.integers(1, 65535)
HOST = st.lists(st.text("abcxyz019", min_size=1, max_size=8), min_size=2, max_size=3).map(".".join)

HTTPS = st.builds("https://{}{}{}".format, HOST, PATH, QUERY)
LOOPBACK = st.builds("http://{}:{}{}{}".format, st.sampled_from(LOOPBACK_HOSTS), PORT, PATH, QUERY)
APP_SCHEMES = ("cursor", "vscode-insiders", "claude", "com.example.app", "x+y")
PRIVATE = st.builds("{}:/{}".format, st.sampled_from(APP_SCHEMES), SEGMENT)
ALLOWED = st.one_of(HTTPS, LOOPBACK, PRIVATE)

URI_LIKE = st.text("htps:/@.?#&=%[]1localexmp ", max_size=40)
ANY_TEXT = st.one_of(st.text(), URI_LIKE, st.builds("{}://{}".format, SEGMENT, st.text()))


def with_port(uri: str, port: int | None) -> str:
    parts = urlsplit(uri)
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    return urlunsplit(parts._replace(netloc=f"{host}" if port is None else f"{host}:{port}"))


def without_port(uri: str) -> str:
    """Return the URI with no port. An empty path is the path "/"."""
    parts = urlsplit(with_port(uri, None))
    return urlunsplit(parts._replace(path=parts.path or "/"))


@given(ALLOWED)
def test_a_usual_uri_may_be_registered_and_matches_itself(uri: str) -> None:
    assert redirect_uris.is_allowed(uri, PRIVATE_NETWORK)
    assert redirect_uris.matches(uri, uri)


@given(LOOPBACK, PORT)
def test_a_loopback_uri_matches_on_every_port(uri: str, port: int) -> None:
    assert redirect_uris.matches(uri, with_port(uri, port))
    assert redirect_uris.matches(uri, with_port(uri, None))


@given(HTTPS, PORT)
def test_any_other_uri_matches_on_no_other_port(uri: str, port: int) -> None:
    assert not redirect_uris.matches(uri, with_port(uri, port))


@given(LOOPBACK, ANY_TEXT)
def test_a_loopback_uri_matches_nothing_that_differs_in_more_than_the_port(uri: str, other: str) -> None:
    for requested in (other, uri + other):
        if redirect_uris.matches(uri, requested):
            assert without_port(requested) == without_port(uri)


@given(st.one_of(HTTPS, PRIVATE), ANY_TEXT)
def test_any_other_uri_matches_only_the_same_text(uri: str, other: str) -> None:
    for requested in (other, uri + other):
        assert redirect_uris.matches(uri, requested) == (requested == uri)


@given(ALLOWED, st.text(max_size=8))
def test_a_fragment_is_never_allowed(uri: str, fragment: str) -> None:
    assert not redirect_uris.is_allowed(f"{uri}#{fragment}", PRIVATE_NETWORK)


@given(st.one_of(HTTPS, LOOPBACK), st.text("abc019:%", max_size=8))
def test_user_information_is_never_allowed(uri: str, user: str) -> None:
    scheme, _, rest = uri.partition("://")
    assert not redirect_uris.is_allowed(f"{scheme}://{user}@{rest}", PRIVATE_NETWORK)


@given(st.sampled_from(DANGEROUS_SCHEMES), st.lists(st.booleans(), min_size=30, max_size=30), ANY_TEXT)
def test_a_script_scheme_is_never_allowed_in_any_spelling(scheme: str, capitals: list[bool], rest: str) -> None:
    spelled = "".join(letter.upper() if big else letter for letter, big in zip(scheme, capitals, strict=False))
    assert not redirect_uris.is_allowed(f"{spelled}:{rest}", PRIVATE_NETWORK)


@given(HTTPS, st.sampled_from(sorted(redirect_uris.RESERVED)), SEGMENT)
def test_a_parameter_of_the_answer_is_never_allowed(uri: str, name: str, value: str) -> None:
    assume("?" not in uri)
    assert not redirect_uris.is_allowed(f"{uri}?{name}={value}", PRIVATE_NETWORK)


@given(ANY_TEXT, ANY_TEXT)
def test_no_text_crashes_the_rules(uri: str, requested: str) -> None:
    is_allowed = redirect_uris.is_allowed(uri, PRIVATE_NETWORK)
    redirect_uris.is_local(uri)
    redirect_uris.matches(uri, requested)
    assert redirect_uris.matches(uri, uri)
    if is_allowed:
        assert redirect_uris.destination(uri)
        assert "#" not in uri
        assert "@" not in urlsplit(uri).netloc
