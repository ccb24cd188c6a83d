"""A TLS host on loopback that publishes client metadata documents, with its own certificate authority."""

import asyncio
import contextlib
import datetime
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = ("localhost", "client.example", "other.example")


@dataclass(frozen=True)
class Page:
    """The answer for a path. `drip` sends one byte at a time forever; `endless` repeats the body forever."""

    body: bytes
    status: str = "200 OK"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    drip: bool = False
    endless: bool = False


@dataclass
class Host:
    """Serves pages by path, and records the requests."""

    port: int = 0
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    connections: int = 0
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str, name: str = "localhost") -> str:
        return f"https://{name}:{self.port}{path}"

    def publish(self, path: str, metadata: Mapping[str, object], headers: Mapping[str, str] | None = None) -> str:
        """Publish a client's document at a path, and return its URL."""
        url = self.url(path)
        body = json.dumps({"client_id": url, **metadata}).encode()
        self.pages[path] = Page(body, headers={"Content-Type": "application/json", **(headers or {})})
        return url

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            path = head[0].split(" ")[1]
            self.was_asked.set()
            self.asked.append((path, dict(line.lower().split(": ", 1) for line in head[1:] if line)))
            await self._send(writer, self.pages.get(path, Page(b"{}", "404 Not Found")))
        writer.close()

    async def _send(self, writer: asyncio.StreamWriter, page: Page) -> None:
        lines = [f"HTTP/1.1 {page.status}", *(f"{name}: {value}" for name, value in page.headers.items())]
        writer.write(("\r\n".join([*lines, "Connection: close", "", ""])).encode())
        while page.drip or page.endless:
            writer.write(b" " if page.drip else page.body)
            await writer.drain()
            await asyncio.sleep(0.05 if page.drip else 0)
        writer.write(page.body)
        await writer.drain()


@contextlib.asynccontextmanager
async def serving(certificate: Path) -> AsyncIterator[Host]:
    host = Host()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(host.answer, "127.0.0.1", 0, ssl=context)
    host.port = server.sockets[0].getsockname()[1]
    try:
        yield host
    finally:
        server.close()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write an authority's certificate to trust, and a key with its certificate for NAMES. Return both files."""
    authority, host = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tests")])
    root = _certificate(issuer, issuer, authority, authority, is_authority=True)
    leaf = _certificate(x509.Name([]), issuer, host, authority, is_authority=False)
    trust, chain = folder / "authority.pem", folder / "host.pem"
    trust.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    key = host.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(key + leaf.public_bytes(serialization.Encoding.PEM))
    return trust, chain


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not is_authority:
        names = x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES])
        builder = builder.add_extension(names, critical=True)
    return builder.sign(signer, hashes.SHA256())
