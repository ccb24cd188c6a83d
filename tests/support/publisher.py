"""Commits an import and a large batch, and is killed when one step of each is published.

`python -m tests.support.publisher DATABASE_URL DATA_DIR` does so in the project of the first user, whom it creates.
"""

import contextlib
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from sqlmodel import Session

from server.domain.memory import imports, memories
from server.domain.memory.exchange.lines import Line
from server.domain.memory.inputs import NewMemory
from server.principal import Principal
from server.settings import read_settings
from tests.support.fakes import WordEmbedder
from tests.support.world import opened

IMPORTED = [Line(content=f"Canoe {number}.") for number in range(150)]
SENT = [{"messages": [{"role": "user", "content": f"Kayak {number}."}], "user_id": "ann"} for number in range(150)]
KEY = "the same key"

publish = imports.publish
steps = iter(["publish", "leave", "publish", "kill"])


class Left(BaseException):
    """Ends the publishing, so that the import stays unfinished."""


def main(database_url: str, data_dir: str) -> None:
    settings = read_settings(env_file=None, data_dir=Path(data_dir), database_url=database_url)
    imports.publish = next_step
    with opened(settings, WordEmbedder()) as world:
        with contextlib.suppress(Left):
            imports.import_memories(world.database, world.project_id, IMPORTED, world.index)
        news = [NewMemory.model_validate(sent) for sent in SENT]
        as_key = replace(world.principal, project_id=world.project_id)
        with world.database.write() as session:
            memories.add_many(session, as_key, news, world.index, KEY)


def next_step(session: Session, _principal: Principal | None, import_id: str) -> bool:
    step = next(steps)
    if step == "leave":
        raise Left
    if step == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return publish(session, _principal, import_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
