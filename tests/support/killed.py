"""Runs operations on memories, each in a process that kills itself in the middle.

`python -m tests.support.killed` reads `[DATABASE_URL, USER_ID, COMMITS, OPERATION, ARGUMENT...]` as JSON from each line
of its standard input, and prints `killed` if the process killed itself after so many commits, or `done`.
"""

import json
import os
import signal
import sys
from collections.abc import Callable

import sqlalchemy as sa
from sqlmodel import Session, select

from server.domain.memory import deletions, imports, selection, trash
from server.models import Import
from server.principal import CredentialKind, Principal
from server.storage import chunks
from server.storage.database import Database


def publish_all(session: Session, _principal: Principal) -> None:
    """Publish the committed imports, as housekeeping does."""
    for import_id in session.exec(select(Import.id)).all():
        while imports.publish(session, None, import_id):
            session.commit()


OPERATIONS: dict[str, Callable[..., object]] = {
    "delete": deletions.delete,
    "delete_all": deletions.delete_all,
    "move": selection.move,
    "publish": publish_all,
    "restore": trash.restore,
}


def main() -> None:
    for line in sys.stdin:
        url, user_id, commits, operation, *arguments = json.loads(line)
        child = os.fork()  # there are no threads or connections yet, so forking is safe
        if child == 0:
            sa.event.listen(Session, "after_commit", killer(commits))
            with Database(url, connections=1).write() as session:
                OPERATIONS[operation](session, Principal(user_id, CredentialKind.SESSION, "session"), *arguments)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        os.write(1, {0: b"done\n", signal.SIGKILL: b"killed\n"}.get(status, b"failed\n"))


def killer(commits: int) -> Callable[[Session], None]:
    left = [commits]

    def committed(_session: Session) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    return committed


if __name__ == "__main__":
    chunks.TURN_SECONDS = 0.0  # so that each step is a transaction
    main()
