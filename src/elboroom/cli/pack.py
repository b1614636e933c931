"""`elboroom pack`: many pictures, made one array or shards that stay on disk."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL

from elboroom import __version__
from elboroom.cli.terminal import counting, plain_console
from elboroom.config import PackConfig
from elboroom.data.formats.gathered import Gathered, Pictures, gather
from elboroom.data.formats.packed_rows import RECIPE, PackedRows, rows_file
from elboroom.data.formats.registry import open_pictures
from elboroom.data.formats.values import require_used_bits
from elboroom.data.source import digest_of_shards
from elboroom.errors import DiskError
from elboroom.runs import out_file
from elboroom.runs.array_file import ArrayFile, array_file
from elboroom.runs.atomic import write_folder
from elboroom.runs.shard_folder import ShardFolder, shard_folder


def pack(config: PackConfig, *, quiet: bool) -> None:
    """Write the array or the shards of some pictures, and with them the file of their rows."""
    out_file.require_absent(config.out)
    if config.shard_rows is None:
        out_file.require_absent(rows_file(config.out))
    with open_pictures(config.data.path, config.data) as pictures:
        found = (_write_array if config.shard_rows is None else _write_shards)(
            pictures, config, quiet=quiet
        )
    console = plain_console()
    for note in found.notes:
        console.print(f"note: {note}")
    console.print(f"packed {_described(found)}")
    console.print(config.out)


def _write_array(pictures: Pictures, config: PackConfig, *, quiet: bool) -> Gathered:
    with (
        _both_or_none(config.out),
        array_file(config.out) as array,
        counting(len(pictures), "pictures", quiet=quiet) as advance,
    ):
        sink = _Sink(config.out, array, len(pictures), advance)
        found = gather(pictures, config.data, sink.add)
        require_used_bits(config.source, found.highest)
        rows = _rows(found, config, sha256=array.finish())
        # The rows first: an array never has its name without them.
        out_file.write_arrays(rows_file(config.out), rows.arrays())
    return found


def _write_shards(pictures: Pictures, config: PackConfig, *, quiet: bool) -> Gathered:
    found = list[Gathered]()
    write_folder(
        config.out, lambda folder: found.append(_fill(folder, pictures, config, quiet=quiet))
    )
    return found[0]


def _fill(folder: Path, pictures: Pictures, config: PackConfig, *, quiet: bool) -> Gathered:
    """Write the shards and the file of their rows into an empty folder."""
    with (
        shard_folder(folder, config.shard_rows or 1) as shards,
        counting(len(pictures), "pictures", quiet=quiet) as advance,
    ):
        sink = _Sink(config.out, shards, len(pictures), advance)
        found = gather(pictures, config.data, sink.add)
        require_used_bits(config.source, found.highest)
        digests = shards.finish()
    rows = replace(_rows(found, config, sha256=digest_of_shards(digests)), shards=digests)
    out_file.write_arrays(rows_file(folder), rows.arrays())
    return found


class _Sink:
    """Takes pictures into a file for which there is room on the disk, and counts them.

    Args:
        out: the path of the file, for its disk.
        array: the file, or the folder of shards.
        most: the number of pictures that there may be.
        advance: called with each number of pictures that are done.
    """

    def __init__(
        self, out: Path, array: ArrayFile | ShardFolder, most: int, advance: Callable[[float], None]
    ) -> None:
        self._out, self._array, self._advance = out, array, advance
        self._done, self._left, self._size = 0, most, 0

    def add(self, values: np.ndarray) -> None:
        """Take a picture (C, H, W).

        Raises:
            DiskError: if there is no room for all pictures of its size and channels.
        """
        if values.nbytes > self._size:  # the first, or the first with colours
            grown = self._done * (values.nbytes - self._size)
            _require_room(self._out, self._left * values.nbytes + grown)
            self._size = values.nbytes
        self._array.add(values)
        self._done, self._left = self._done + 1, self._left - 1
        self._advance(1)


def _require_room(out: Path, size: int) -> None:
    free = shutil.disk_usage(out.parent).free
    if size > free:
        raise DiskError(
            f"{out} cannot be written",
            why=f"it takes {size / 2**30:.3g} GiB, of which {free / 2**30:.3g} GiB are free",
            fix="free some space, write elsewhere, or take a smaller --size",
        )


@contextmanager
def _both_or_none(out: Path) -> Iterator[None]:
    """Delete the rows that this block wrote if it ends before their array has its name."""
    try:
        yield
    finally:
        if not out.exists():
            rows_file(out).unlink(missing_ok=True)


def _rows(found: Gathered, config: PackConfig, *, sha256: str) -> PackedRows:
    recipe = {"source": config.source, "elboroom": __version__, "pillow": PIL.__version__}
    recipe |= {name: getattr(config, name) for name in RECIPE}
    return PackedRows(
        parts={name: len(part.files) for name, part in found.parts.items()},
        files=tuple(file for part in found.parts.values() for file in part.files),
        labels=_labels(found),
        classes=found.classes,
        recipe=json.dumps(recipe, ensure_ascii=False),
        sha256=sha256,
    )


def _labels(found: Gathered) -> np.ndarray | None:
    """Return the labels of all parts, -1 in one without classes; None if there are no classes."""
    labels = [
        np.full(len(part.files), -1) if part.labels is None else part.labels
        for part in found.parts.values()
    ]
    return None if found.classes is None else np.concatenate(labels)


def _described(found: Gathered) -> str:
    """Return the shape, and the number of rows of each part."""
    counts = {name: len(part.files) for name, part in found.parts.items()}
    parts = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    more = f" ({parts})" if len(counts) > 1 else ""
    more += f", {len(found.classes):,} classes" if found.classes else ""
    shape = " × ".join(map(str, found.event_shape))
    return f"{sum(counts.values()):,} images of {shape}{more}"
