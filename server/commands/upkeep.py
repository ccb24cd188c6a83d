"""`reindex` and `prepare-model`: commands for the operator."""

from argparse import Namespace

from server.commands.existing import existing
from server.commands.output import print_message
from server.commands.progress import progress_bar
from server.index import MemoryIndex
from server.index.model.embeddings import Embedder, open_now
from server.index.model.failures import ModelUnusable
from server.settings import Settings, SettingsError

CONNECTIONS = 4


def prepare_model(settings: Settings, _args: Namespace) -> None:
    """Export the configured model if necessary, and load it. Raises SettingsError."""
    embedder = open_model(settings)
    print_message(f"The embedding model is ready: {embedder.name}, {embedder.dimensions} dimensions.")
    embedder.close()


def open_model(settings: Settings) -> Embedder:
    """Load the configured model. Raises SettingsError."""
    try:
        return open_now(settings)
    except ModelUnusable as error:
        raise SettingsError(str(error)) from error


def reindex(settings: Settings, _args: Namespace) -> None:
    """Rebuild the index from SQL. If a server is running, it builds the collections."""
    with existing(settings, connections=CONNECTIONS) as database:
        index = MemoryIndex(settings, database, open_model(settings))
        index.start()
        try:
            with progress_bar() as show:
                index.reindex(show)
        finally:
            index.close()
    print_message("Index rebuilt.")
