"""Writers and readers without a safeguard; the drills must find each of them."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

from elboroom.errors import DiskError
from elboroom.runs.atomic import disk_errors
from elboroom.runs.checkpoints import Checkpoint, checkpoint, manifest
from elboroom.runs.run import Run


def _file_in_place(path: Path, content: bytes) -> None:
    with disk_errors(path), path.open("wb", buffering=0) as file:
        file.write(content)
        os.fsync(file.fileno())


def _folder_in_place(path: Path, fill: Callable[[Path], None]) -> None:
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        fill(path)


def _folder_unsynced(path: Path, fill: Callable[[Path], None]) -> None:
    temporary = path.with_name("temporary")
    _folder_in_place(temporary, fill)
    os.replace(temporary, path)


@contextmanager
def in_place() -> Iterator[None]:
    """Write checkpoints in this block in place, without renaming."""
    with patch.multiple(checkpoint, write_file=_file_in_place, write_folder=_folder_in_place):
        yield


@contextmanager
def unsynced_files() -> Iterator[None]:
    """Write the files of checkpoints in this block without syncing them."""
    with patch.object(checkpoint, "write_file", Path.write_bytes):
        yield


@contextmanager
def unsynced_folders() -> Iterator[None]:
    """Write the folders of checkpoints in this block without syncing them."""
    with patch.object(checkpoint, "write_folder", _folder_unsynced):
        yield


@contextmanager
def without_hashes() -> Iterator[None]:
    """Write and check manifests in this block by the size of files alone."""
    with patch.object(manifest, "describe", lambda content: {"size": len(content)}):
        yield


@contextmanager
def silent() -> Iterator[None]:
    """Ignore errors of writing a checkpoint in this block, without a warning."""
    real = Run.write_checkpoint

    def write_checkpoint(run: Run, checkpoint: Checkpoint) -> None:
        with suppress(DiskError):
            real(run, checkpoint)

    with patch.object(Run, "write_checkpoint", write_checkpoint), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
