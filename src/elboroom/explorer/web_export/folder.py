"""The folder of a web export, which appears whole or not at all."""

from pathlib import Path

import msgspec

from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.page_files import page_files
from elboroom.explorer.web_export.exported_model import require_small
from elboroom.explorer.web_export.exported_rows import ExportedRows, first_rows
from elboroom.explorer.web_export.exported_run import describe_export
from elboroom.explorer.web_export.weights import Weights
from elboroom.exports.folder import DESCRIPTION, require_free, write_export_folder
from elboroom.runs.atomic import write_file

_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
_CHANGES = {
    b'<meta charset="utf-8">': b'<meta charset="utf-8">\n  '
    b'<meta http-equiv="Content-Security-Policy" content="' + _POLICY.encode() + b'">',
    b'<meta name="elboroom-backend" content="http">': b'<meta name="elboroom-backend" '
    b'content="static">',
}
"""What differs between the page of the server and that of an export."""


def write_export(explored: ExploredRun, out: Path) -> None:
    """Write a run as a static page, in the place of an earlier one.

    Raises:
        UsageError: if the model is too large, or something else is at `out`.
        DiskError: if it cannot be written.
    """
    require_free(out)
    require_small(explored.model)
    files = _files(first_rows(explored))
    write_export_folder(out, lambda folder: _fill(folder, files))


def _files(explored: ExploredRun) -> dict[str, bytes]:
    """Return the content of each file by its path in the folder."""
    weights, rows = Weights(), ExportedRows.of(explored.part.x)
    described = msgspec.json.encode(describe_export(explored, rows, weights))
    page = page_files()
    index = page.pop("index.html")
    for found, wanted in _CHANGES.items():
        index = index.replace(found, wanted)
    figures = explored.run.results.figures()
    return {
        "index.html": index,
        DESCRIPTION: described,
        "model.bin": weights.to_bytes(),
        "rows.bin": rows.values,
        **{f"page/{name}": content for name, content in page.items()},
        **{f"figures/{name}.png": path.read_bytes() for name, path in figures.items()},
    }


def _fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, content)
