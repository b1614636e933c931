"""Published models in the cache of the Hub, fetched where they are not there yet."""

import os
from pathlib import Path

from elboroom import __version__
from elboroom.runs.checkpoints.manifest import MODEL
from elboroom.runs.hub.library import hub_errors
from elboroom.runs.hub.pretrained_config import CONFIG
from elboroom.runs.partial_encoder_file import FILE as PARTIAL_ENCODER


def download(
    repo_id: str,
    *,
    revision: str | None,
    token: str | bool | None,
    cache_dir: str | os.PathLike[str] | None,
    local_files_only: bool,
    force_download: bool,
) -> Path:
    """Fetch the files of a model that `read_folder` reads, and return the folder of the cache.

    Raises:
        UsageError: if the id is no id, or huggingface_hub is not installed.
        RunError: if the Hub refuses, or cannot be reached and the cache lacks a file.
    """
    with hub_errors(repo_id, "fetched from the Hub", revision):
        from huggingface_hub import snapshot_download

        found = snapshot_download(
            repo_id,
            revision=revision,
            token=token,
            cache_dir=None if cache_dir is None else str(cache_dir),
            local_files_only=local_files_only,
            force_download=force_download,
            allow_patterns=[CONFIG, MODEL, PARTIAL_ENCODER],
            library_name="elboroom",
            library_version=__version__,
        )
    return Path(found)
