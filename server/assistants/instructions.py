"""The building blocks of instructions: the server to connect, the steps, and a client's configuration file."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

SERVER_NAME = "selfmemory"
ADD_TO_FILE = "Add this to the configuration file."
KEY_PLACEHOLDER = "YOUR_API_KEY"

Entry = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Target:
    """This server as its clients reach it. `key` is an API key to insert into the texts, or the placeholder."""

    public_url: str
    key: str = KEY_PLACEHOLDER

    @property
    def has_key(self) -> bool:
        return self.key != KEY_PLACEHOLDER

    @property
    def url(self) -> str:
        return f"{self.public_url}/mcp"

    @property
    def bearer(self) -> str:
        """The value of the Authorization header."""
        return f"Bearer {self.key}"

    @property
    def headers(self) -> Entry:
        return {"Authorization": self.bearer}

    def with_headers(self, entry: Entry) -> Entry:
        return {**entry, "headers": self.headers}


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction, with the text to paste into `target` if there is one. `link` opens the client itself, through
    a button on the page. `printed` replaces the instruction where the link is printed instead.
    """

    instruction: str
    snippet: str | None = None
    target: str | None = None
    link: str | None = None
    link_name: str | None = None
    printed: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file in which a client lists its servers, below `key`. The entry of this server is `sign_in` for a client that
    signs in, and `with_key` with an API key. `path` begins with `~` or the working folder. `elsewhere` has other paths
    by `sys.platform`, which may begin with an environment variable.
    """

    path: str
    sign_in: Entry | None
    with_key: Entry
    format: Literal["json", "toml", "yaml"] = "json"
    key: str = "mcpServers"
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, str]:
        """What leads to the entry."""
        return self.key, SERVER_NAME

    def entry(self, *, with_key: bool) -> Entry:
        return self.with_key if with_key or self.sign_in is None else self.sign_in

    def snippet(self, *, with_key: bool) -> str:
        """Return the full text of a file that holds only this entry."""
        return written(self.format, self.keys, self.entry(with_key=with_key))

    def step(self, instruction: str, *, with_key: bool, target: str = "") -> Step:
        """Return the step that adds the entry. `target` is what the client calls the file."""
        return Step(instruction, self.snippet(with_key=with_key), target or self.path)


@dataclass(frozen=True, slots=True)
class Assistant:
    """A client with its instructions: `sign_in` in a browser, `with_key` with an API key, or both.

    `vendor` is set if the client connects from its vendor's servers, so that it needs a public https address. `guide`
    is the page of the client's own documentation that the text was checked against. `start` loads the context of each
    conversation. With `links_with_key`, the steps with a key include an install link once there is a key. Nobody can
    replace a placeholder in the link.
    """

    id: str
    name: str
    sign_in: Sequence[Step] = ()
    with_key: Sequence[Step] = ()
    config: ConfigFile | None = None
    vendor: str | None = None
    guide: str = ""
    links_with_key: bool = field(default=False, kw_only=True)
    note: str = field(default="", kw_only=True)
    start: Step | None = field(default=None, kw_only=True)


def install_step(client: str, link: str) -> Step:
    return Step(
        f"Install the server in {client}.",
        link=link,
        link_name=f"Add to {client}",
        printed=f"Open this link in your browser; {client} asks whether to install the server.",
    )


def written(form: str, keys: Sequence[str], entry: Entry) -> str:
    """Return the entry below its keys as JSON, TOML or YAML."""
    if form == "toml":
        return f"[{'.'.join(keys)}]\n" + "\n".join(f"{name} = {_toml(value)}" for name, value in entry.items())
    if form == "yaml":
        return "\n".join(_yaml({keys[0]: {keys[1]: entry}}))
    nested: Entry = entry
    for key in reversed(keys):
        nested = {key: nested}
    return as_json(nested)


def as_json(value: object, indent: int | None = 2) -> str:
    return json.dumps(value, indent=indent)


def encoded(value: Entry) -> str:
    """Return the entry as the Base64 of its JSON, quoted for a link."""
    return quote(base64.b64encode(as_json(value, indent=None).encode()).decode())


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_toml(inner)}" for name, inner in value.items()) + " }"
    return json.dumps(value)  # a JSON string, number or boolean is valid TOML too


def _yaml(value: Entry, depth: int = 0) -> list[str]:
    """Return lines of block style, indented by two spaces. Strings are quoted as in JSON, which is valid YAML."""
    lines = []
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            lines += [f"{'  ' * depth}{name}:", *_yaml(inner, depth + 1)]
        else:
            lines.append(f"{'  ' * depth}{name}: {json.dumps(inner)}")
    return lines
