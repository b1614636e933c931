"""Bytes → Dataset: read, split, binarise."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elboroom.data.dataset import Dataset, require_dataset
    from elboroom.data.formats.frame_files import read_frame, table_bytes, write_frame
    from elboroom.data.identity import Identity
    from elboroom.data.load import load_data, load_mnist, load_new
    from elboroom.data.part import Part
    from elboroom.data.reading import Reading
    from elboroom.data.source import noun

# Imported on first use: a process that reads pictures must not wait for PyTorch.
_HOMES = {
    "Dataset": "dataset",
    "Identity": "identity",
    "Part": "part",
    "Reading": "reading",
    "load_data": "load",
    "load_mnist": "load",
    "load_new": "load",
    "noun": "source",
    "read_frame": "formats.frame_files",
    "require_dataset": "dataset",
    "table_bytes": "formats.frame_files",
    "write_frame": "formats.frame_files",
}

__all__ = [
    "Dataset",
    "Identity",
    "Part",
    "Reading",
    "load_data",
    "load_mnist",
    "load_new",
    "noun",
    "read_frame",
    "require_dataset",
    "table_bytes",
    "write_frame",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'elboroom.data' has no attribute {name!r}")
    return getattr(import_module(f"elboroom.data.{_HOMES[name]}"), name)
