"""`export` and `import` as processes: slow readers do not hold the database, and both are in the audit trail."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

from sqlmodel import select

from server.models import AuditEvent, Project
from server.storage.database import Database
from tests.support.server_process import ROOT, environment

TEXT = "Tea is good. " * 700


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "server", *arguments]


def test_a_slow_reader_of_an_export_holds_no_snapshot(tmp_path: Path, database_url: str) -> None:
    """An old snapshot would keep SQLite from truncating its log, which still holds deleted memories."""
    given = environment(tmp_path, DATABASE_URL=database_url)
    subprocess.run(command("create-user", "--email", "a@example.com"), env=given, cwd=ROOT, check=True)
    with contextlib.closing(Database(database_url, connections=1)) as database:
        with database.read() as session:
            project_id = session.exec(select(Project)).one().id
        lines = "".join(json.dumps({"content": TEXT}) + "\n" for _ in range(20))
        importing = command("import", "--project", project_id)
        subprocess.run(importing, env=given, cwd=ROOT, check=True, input=lines, text=True)
        exporting = command("export", "--project", project_id)
        with subprocess.Popen(exporting, env=given, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            first = process.stdout.readline()  # a pipe holds less than the rest
            with database.write() as session:
                session.add(AuditEvent(type="meanwhile"))
            with contextlib.closing(database.engine.raw_connection()) as connection:
                busy, *_ = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            rest = process.stdout.readlines()
        with database.read() as session:
            events = session.exec(select(AuditEvent).where(AuditEvent.target == project_id)).all()
    assert (process.returncode, busy) == (0, 0)
    assert [json.loads(line)["content"] for line in (first, *rest)] == [TEXT] * 20
    traces = [event for event in events if event.type.startswith("memories.")]
    assert {(event.type, event.actor_id) for event in traces} == {
        ("memories.imported", None), ("memories.exported", None),
    }  # fmt: skip
    assert [event.details for event in traces] == [{"count": 20, "credential": "command"}] * 2
