"""Finds a model's folder, given a path or the model's name on the Hugging Face hub."""

from pathlib import Path

import httpx

from server.index.model.failures import ModelUnusable

OWNER = "sentence-transformers"
"""The default owner of a model's name, as in sentence-transformers."""

WANTED = ["*.json", "*.txt", "*.model", "model*.safetensors"]


def is_folder(name: str) -> bool:
    """Return whether the name is a path, even if there is no such folder."""
    return name.startswith(("/", ".", "~")) or name.count("/") > 1 or Path(name).is_dir()


def label_of(name: str) -> str:
    """Return the name for people: the last part of a folder's path, or the whole name on the hub."""
    return Path(name).name or name if is_folder(name) else name


def folder_of(name: str) -> Path:
    """Return the folder of the model, from the hub's cache or downloaded if necessary. Raises ModelUnusable."""
    if is_folder(name):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise ModelUnusable(f"The embedding model {label_of(name)!r} cannot be loaded: there is no such folder.")
        return folder
    return _from_hub(name if "/" in name else f"{OWNER}/{name}")


def _from_hub(repository: str) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - only for a model from the hub
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415
    from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415

    disable_progress_bars()
    try:
        try:
            return Path(snapshot_download(repository, allow_patterns=WANTED, local_files_only=True))
        except LocalEntryNotFoundError:
            return Path(snapshot_download(repository, allow_patterns=WANTED))
    except (OSError, ValueError, httpx.HTTPError) as error:
        raise ModelUnusable(
            f"The embedding model {repository!r} cannot be downloaded ({type(error).__name__}): check its name in "
            "SELFMEMORY_EMBEDDING_MODEL and the connection to the hub, or name a folder that has the model."
        ) from error
