"""The doctor checks every part. Each test really breaks one part. No line contains a secret."""

import asyncio
import errno
from pathlib import Path

import pytest
from sqlmodel import select

from server.commands import doctor
from server.machine.own_command import command_line
from server.models import ProjectIndex, SecondFactor, User
from server.models.base import now
from server.storage import data_folder
from server.storage.database import Database
from tests.index.test_served_chroma import FakeChroma
from tests.support.commands import Run, lines
from tests.support.hosts import make_certificate, serving
from tests.support.postgres import Databases

SECRET = "hunter2-hunter2-hunter2-hunter2"
PARTS = ["settings", "data", "database", "secret", "index", "Chroma", "Redis", "model", "vectors", "languages", "mail"]
PARTS += ["provider", "public"]


def line(run: Run, part: str) -> str:
    """Return the doctor's line about a part, without its column of names."""
    ran = run("doctor")
    assert SECRET not in ran.out + ran.err
    assert ran.out.count("\n") == len(PARTS), ran.err
    [found] = [line for line in ran.out.splitlines() if line[7:].startswith(part)]
    assert ran.code == ("WRONG " in ran.out)
    return f"{found[:7].strip()} {found[7 + len('data folder') + 1 :].strip()}"


def test_the_doctor_finds_nothing_wrong_with_a_new_server(run: Run, data_dir: Path) -> None:
    ran = run("doctor")
    assert ran.code == 0, ran.out
    verdicts = [line.split()[:2] for line in ran.out.splitlines()]
    assert verdicts == [["ok", part] for part in PARTS]


@pytest.mark.parametrize("damage", ["DELETE FROM memory_words", "UPDATE projects SET memory_bytes = 1"])
def test_reindex_mends_what_the_doctor_finds(run: Run, stored: Database, project_id: str, damage: str) -> None:
    run("import", "--project", project_id, given=lines("Tea is good."))
    assert "1 memory in 1 piece; 0 changes pending" in line(run, "index")
    with stored.write() as session:
        session.connection().exec_driver_sql(damage)
    ran = run("doctor")
    assert ran.code == 1
    assert f"WRONG  index       does not match the memories in SQL: run {command_line('reindex')}" in ran.out
    assert run("reindex").code == 0
    assert run("doctor").code == 0


def test_the_doctor_finds_a_public_url_that_nobody_answers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFMEMORY_PUBLIC_URL", "https://memory.invalid")
    monkeypatch.setenv("SELFMEMORY_SECRET_KEY", SECRET * 2)
    ran = run("doctor")
    assert ran.code == 1
    assert "WRONG  public URL  https://memory.invalid does not answer" in ran.out


@pytest.mark.parametrize("command", ["doctor", "check-connection"])
async def test_a_certificate_that_is_not_valid_is_found_on_this_computer_too(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    _, certificate = make_certificate(tmp_path)
    async with serving(certificate) as host:
        monkeypatch.setenv("SELFMEMORY_PUBLIC_URL", host.url(""))
        ran = await asyncio.to_thread(run, command)
    assert ran.code == 1
    assert "the certificate is not valid" in ran.out
    assert "SSL_CERT_FILE for this command and for clients, and NODE_EXTRA_CA_CERTS for those in Node" in ran.out


def test_the_doctor_finds_a_mail_server_that_does_not_answer(
    run: Run, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("SELFMEMORY_SMTP_URL", f"smtp://me:{SECRET}@127.0.0.1:{unused_tcp_port}")
    ran = run("doctor")
    assert ran.code == 1
    assert "WRONG  mail" in ran.out
    assert SECRET not in ran.out + ran.err


def test_the_doctor_finds_an_identity_provider_that_does_not_answer(
    run: Run, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    issuer = f"http://127.0.0.1:{unused_tcp_port}"
    for name, value in (("ISSUER", issuer), ("CLIENT_ID", "selfmemory"), ("CLIENT_SECRET", SECRET)):
        monkeypatch.setenv(f"SELFMEMORY_OIDC_{name}", value)
    assert f"WRONG  provider    {issuer} does not answer with its metadata" in run("doctor").out


def test_a_plain_address_in_a_private_network_is_mentioned(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFMEMORY_PUBLIC_URL", "http://192.168.1.10:8081")
    monkeypatch.setenv("SELFMEMORY_SECRET_KEY", SECRET * 2)
    told = line(run, "settings")
    assert told.startswith("ADVICE ")
    assert "plain http: everyone on the network" in told


def test_a_data_folder_on_the_network_is_found(
    run: Run, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounts").write_text(f"server:/x {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(data_folder, "MOUNTS", tmp_path / "mounts")
    assert line(run, "data folder").startswith(f"WRONG {data_dir} is on a network file system (nfs4)")


def test_a_disk_that_is_almost_full_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LOW_DISK_BYTES", 1 << 62)
    assert "MB left: free some" in line(run, "data folder")


def test_a_full_disk_needs_space_and_no_other_folder(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(**_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", fill)
    assert line(run, "data folder").endswith("No space left on device. Free some space, or use a larger disk")


def test_a_damaged_database_is_found(run: Run, data_dir: Path, project_id: str) -> None:
    run("import", "--project", project_id, given=lines(*(f"Tea number {n} is good." for n in range(100))))
    file = data_dir / "selfmemory.db"
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 5000] = b"\xff" * 5000
    file.write_bytes(data)
    assert line(run, "database").startswith("WRONG")
    assert "restore" in line(run, "database")


@pytest.fixture
def second_factor(run: Run, stored: Database, data_dir: Path) -> None:
    """An account with an authenticator app that was set up with another key."""
    run("create-user", "--email", "ann@example.com")
    with stored.write() as session:
        user = session.exec(select(User)).one()
        session.add(SecondFactor(user_id=user.id, sealed_secret=b"sealed with another key", last_step=0))


def test_a_secret_key_that_opens_nothing_is_found(run: Run, data_dir: Path, second_factor: None) -> None:
    assert line(run, "secret key").startswith("WRONG it is missing, but authenticator apps or queued emails need it")
    assert not (data_dir / "secret_key").exists()
    (data_dir / "secret_key").write_text(SECRET)
    assert line(run, "secret key") == (
        f"WRONG authenticator apps were set up with a different one: put the earlier {data_dir / 'secret_key'} back"
    )


def test_a_chroma_server_that_is_away_is_found(run: Run, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    monkeypatch.setenv("SELFMEMORY_CHROMA_URL", f"http://127.0.0.1:{unused_tcp_port}")
    monkeypatch.setenv("SELFMEMORY_CHROMA_TOKEN", SECRET)
    assert line(run, "Chroma").startswith(
        "WRONG does not answer (ConnectError), so searches of large projects are slow"
    )


def test_a_chroma_server_that_refuses_the_token_or_lost_a_collection_is_found(
    run: Run, stored: Database, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = FakeChroma()
    monkeypatch.setenv("SELFMEMORY_CHROMA_URL", f"http://127.0.0.1:{served.server_port}")
    assert line(run, "Chroma") == "ok the server answers: 0 collections ready, 0 not built yet"
    lost = ProjectIndex(project_id=project_id, collection="memories-1", embedding_model="m", mean=b"", ready_at=now())
    with stored.write() as session:
        session.add(lost)
    assert line(run, "Chroma") == f"WRONG 1 of 1 collection does not match SQL: run {command_line('reindex')}"
    served.answers["/identity"] = (401, b"{}")
    assert line(run, "Chroma").endswith("slow: check SELFMEMORY_CHROMA_TOKEN")
    served.stop()


def test_a_chroma_server_without_the_named_database_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    served = FakeChroma()
    served.answers["/databases/"] = (404, b'{"error": "NotFoundError", "message": "Database [mine] not found"}')
    monkeypatch.setenv("SELFMEMORY_CHROMA_URL", f"http://127.0.0.1:{served.server_port}")
    assert line(run, "Chroma") == (
        "WRONG cannot be used (NotFoundError), so searches of large projects are slow: check SELFMEMORY_CHROMA_TENANT "
        "and SELFMEMORY_CHROMA_DATABASE, which the server must have"
    )
    served.stop()


def test_a_redis_that_is_away_is_found(run: Run, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    monkeypatch.setenv("SELFMEMORY_REDIS_URL", f"redis://:{SECRET}@127.0.0.1:{unused_tcp_port}/0")
    assert line(run, "Redis").startswith("WRONG cannot store counts (ConnectionError): check SELFMEMORY_REDIS_URL")


@pytest.mark.needs("redis")
def test_a_redis_that_refuses_the_password_is_found(run: Run, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFMEMORY_REDIS_URL", redis_url)
    assert line(run, "Redis") == "ok counts the rate limits of all machines"
    monkeypatch.setenv("SELFMEMORY_REDIS_URL", redis_url.replace("redis://", f"redis://nobody:{SECRET}@"))
    assert "cannot store counts (AuthenticationError)" in line(run, "Redis")


def test_a_model_that_is_away_is_found(run: Run, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    monkeypatch.setenv("SELFMEMORY_EMBEDDING_URL", f"http://127.0.0.1:{unused_tcp_port}/v1")
    monkeypatch.setenv("SELFMEMORY_EMBEDDING_MODEL", "nomic-embed-text")
    monkeypatch.setenv("SELFMEMORY_EMBEDDING_KEY", SECRET)
    assert line(run, "model").startswith("WRONG")


@pytest.mark.needs("postgres")
def test_a_pool_that_postgres_cannot_serve_is_found(
    run: Run, postgres: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.make()
    monkeypatch.setenv("SELFMEMORY_DATABASE_URL", url)
    assert "connections for all processes of 40 each" in line(run, "database")
    monkeypatch.setenv("SELFMEMORY_DATABASE_POOL", "5000")
    assert "lower SELFMEMORY_DATABASE_POOL, or raise max_connections on the database server" in line(run, "database")
    postgres.drop(url)


def test_it_tells_which_model_made_the_vectors_and_whether_it_reads_the_memories(run: Run, project_id: str) -> None:
    texts = [f"Prefiro café sem açúcar de manhã, {number} xícaras." for number in range(6)]
    run("import", "--project", project_id, given=lines(*texts))
    assert line(run, "vectors") == "ok 6 memories with vectors of all-MiniLM-L6-v2/int8"
    told = line(run, "languages")
    assert told.startswith("ADVICE 1 project has many memories in languages that the embedding model does not support")
    assert "Set SELFMEMORY_EMBEDDING_MODEL=multilingual-e5-small and restart" in told
