"""Warnings at startup, about settings that contradict each other and file systems that can lose data."""

from collections.abc import Iterator

from server.network.urls import bracketed, is_loopback
from server.settings import Settings
from server.storage.data_folder import network_file_system


def warnings_for(settings: Settings) -> Iterator[str]:
    """Yield one sentence per problem. The server starts anyway."""
    url = settings.public_url
    if not settings.is_https and not is_loopback(url):
        yield f"SELFMEMORY_PUBLIC_URL is plain http: everyone on the network of {url} can read passwords and keys"
    listens_locally = is_loopback(f"//{bracketed(settings.host)}")
    if is_loopback(url) and not listens_locally:
        yield (
            f"forms and sign-in work only at {url}: if browsers on other machines use this server "
            f"(SELFMEMORY_HOST={settings.host}), set SELFMEMORY_PUBLIC_URL to the address that they use"
        )
    if listens_locally and not settings.is_https and not is_loopback(url):
        yield (
            f"SELFMEMORY_PUBLIC_URL is {url}, but SELFMEMORY_HOST={settings.host} lets only this machine connect: "
            "set SELFMEMORY_HOST to 0.0.0.0, unless a proxy runs on this machine"
        )
    kind = network_file_system(settings.data_dir) if settings.is_sqlite else None
    if kind:
        yield (
            f"the data folder is on a network file system ({kind}), where SQLite can lose data: "
            "set SELFMEMORY_DATA_DIR to a local disk, or use Postgres"
        )
