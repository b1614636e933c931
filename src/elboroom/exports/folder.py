"""The folder of an export, which appears whole or not at all."""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from elboroom.errors import UsageError
from elboroom.runs.atomic import in_place_of, make_folder, write_folder

DESCRIPTION = "model.json"
"""The file by which an export is recognised."""
_START = re.compile(rb'\{\s*"format":\s*"elboroom [a-z]+ export ')
_MOST = 100  # bytes
_NAMES = {
    *("encoder.onnx", "decoder.onnx", "encoder.pt2", "decoder.pt2", DESCRIPTION),
    *("index.html", "model.bin", "rows.bin", "page", "figures"),  # of a page
}


def require_free(out: Path) -> None:
    """Check that an export can be written at `out`: nothing is there, or an earlier export alone.

    Raises:
        UsageError: if something else is there.
    """
    found = {path.name for path in out.iterdir()} if out.is_dir() else set[str]()
    foreign = sorted(found - _NAMES) if _is_export(out) else sorted(found)
    if foreign or (out.exists() and not out.is_dir()):
        named = foreign[0] if foreign else "a file"
        raise UsageError(
            f"{out} is in the way",
            why=f"found {named}; expected no folder, or an earlier export with nothing beside it",
            fix="give another --out",
        )


def write_export_folder(out: Path, fill: Callable[[Path], None]) -> None:
    """Write a folder by `fill(folder)`, in the place of an earlier export.

    Raises:
        UsageError: if something else is at `out`.
        DiskError: if it cannot be written.
    """
    require_free(out)
    make_folder(out.absolute().parent, parents=True)
    with in_place_of(out):
        write_folder(out, fill)


def _is_export(folder: Path) -> bool:
    with suppress(OSError), (folder / DESCRIPTION).open("rb") as file:
        return _START.match(file.read(_MOST)) is not None
    return False
