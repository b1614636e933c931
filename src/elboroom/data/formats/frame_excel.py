"""The first sheet of an Excel workbook ⇄ a frame."""

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd

from elboroom.data.formats.errors import cannot_read, require_fit
from elboroom.errors import DataError
from elboroom.untrusted import open_file, require_dense

_BYTES_OF_CELL = 32
_MEMORY_OF_BYTE = 8  # bytes in memory for one of the unpacked sheet
_REPAIR = "save it again, or as CSV"


def read_excel(path: Path, memory: float) -> pd.DataFrame:
    """Read the first sheet of a workbook, whose first row names the columns.

    Raises:
        DataError: if it is damaged, or does not fit into `memory` GiB.
    """
    try:
        with open_file(path) as file:
            _require_size(file, memory)
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            rows = [*_rows(book.worksheets[0])]
            _require_fit(path, rows, memory)
            return _frame(rows)
    except DataError:
        raise
    except Exception as error:  # a damaged workbook raises errors of many types
        raise cannot_read(path, str(error) or "it is damaged", _REPAIR) from error


def excel_bytes(frame: pd.DataFrame, path: Path, like: Path | None) -> bytes:
    """Return the content of a workbook.

    Args:
        frame: the table.
        path: the file, for errors.
        like: the workbook that it was read of, of which only cells that differ are changed.

    Raises:
        DataError: if a cell to fill holds a formula, whose value was not stored.
    """
    buffer = io.BytesIO()
    if like is None:
        frame.to_excel(buffer, index=False)
        return buffer.getvalue()
    before = read_excel(like, float("inf"))
    if [*before.columns] != [*frame.columns] or len(before) != len(frame):
        return excel_bytes(frame, path, None)
    book = openpyxl.load_workbook(like, keep_vba=like.suffix.lower() == ".xlsm")
    _change(book.worksheets[0], before, frame)
    book.save(buffer)
    return buffer.getvalue()


def _require_size(file: io.BufferedReader, memory: float) -> None:
    """Check the sizes that the archive declares before anything is unpacked."""
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    require_dense(os.fstat(file.fileno()).st_size, unpacked)
    if _MEMORY_OF_BYTE * unpacked > memory * 2**30:
        raise ValueError(f"its sheets of {unpacked:,} bytes do not fit into --memory {memory:g}")
    file.seek(0)


def _require_fit(path: Path, rows: list[tuple[Any, ...]], memory: float) -> None:
    cells = len(rows) * max(map(len, rows), default=0)
    fix = "give fewer rows or columns"
    require_fit(path, _BYTES_OF_CELL * cells, memory, what=f"its {cells:,} cells", fix=fix)


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a sheet; a sheet that says a false size is measured."""
    sheet.reset_dimensions()
    yield from sheet.iter_rows(values_only=True)


def _frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    while rows and all(cell is None for cell in rows[-1]):
        rows.pop()
    if not rows:
        raise ValueError("its first sheet is empty")
    names = ["" if cell is None else str(cell).strip() for cell in rows[0]]
    while (
        names
        and not names[-1]
        and all(len(row) < len(names) or row[len(names) - 1] is None for row in rows[1:])
    ):
        names.pop()
    width = len(names)
    if any(cell is not None for row in rows for cell in row[width:]):
        raise ValueError("a row is longer than the row of names")
    filled = [(*row[:width], *[None] * (width - len(row))) for row in rows[1:]]
    columns = [list(column) for column in zip(*filled, strict=True)] or [[] for _ in names]
    series = [pd.Series(cells, dtype=object) for cells in columns]
    return pd.concat(series, axis=1, keys=range(width)).set_axis(names, axis=1)


def _change(sheet: Any, before: pd.DataFrame, after: pd.DataFrame) -> None:
    for place in range(before.shape[1]):
        old, new = before.iloc[:, place], after.iloc[:, place]
        same = (old == new) | (old.isna() & new.isna())
        for row in (~same.fillna(False).astype(bool)).to_numpy().nonzero()[0].tolist():
            cell = sheet.cell(row + 2, place + 1)
            if isinstance(cell.value, str) and cell.value.startswith("="):
                raise DataError(
                    f"the cell {cell.coordinate} cannot be filled",
                    why="it holds a formula, whose value is not stored in the file",
                    fix="open the workbook in a spreadsheet program and save it, or write a value",
                )
            cell.value = _plain(new.iloc[row])


def _plain(value: Any) -> Any:
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
