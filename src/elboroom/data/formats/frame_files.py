"""Files of tables ⇄ frames: CSV and TSV, Parquet, Arrow and Feather, Excel."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from elboroom.data.formats.errors import cannot_read, fits
from elboroom.data.formats.extras import is_table, library_of
from elboroom.data.tables.delimited import Delimited, HeadlessTextError, TextError, plain_text
from elboroom.data.tables.frames import require_names
from elboroom.errors import DataError, DiskError, UsageError
from elboroom.untrusted import open_file, read_bytes

TEXT = {".csv": None, ".tsv": "\t", ".tab": "\t"}
"""Suffixes of text, and the delimiter of each; None is found."""
ARROW = (".parquet", ".arrow", ".feather")
EXCEL = (".xlsx", ".xlsm")
_SIGNATURE = 8  # bytes
MEMORY = 2.0
"""GiB that a table may take by default."""
_BYTES_OF_CELL = 72  # of a text in Python and the place of it, beside its characters


class HeadlessError(DataError):
    """A table whose first line holds numbers in place of names."""


def read_frame(
    path: Path | str, memory: float = MEMORY, delimiter: str | None = None
) -> pd.DataFrame:
    """Read a table of columns.

    All cells of CSV, TSV and text keep their text, so that 007 and 1.50 stay as they stand; a
    `Schema` reads numbers, dates and missing entries of it.

    Args:
        path: a file of CSV or TSV in UTF-8, of Parquet, Arrow or Feather, or of Excel (.xlsx),
            whose first sheet is read.
        memory: GiB that it may take.
        delimiter: what parts the cells of text; None finds it.

    Raises:
        DataError: if it cannot be read, has two columns of one name, or does not fit into memory.

    Example:
        >>> import pandas
        >>> from elboroom.data import read_frame
        >>> people = pandas.DataFrame({"code": ["007", "008"], "age": ["41", None]})
        >>> people.to_csv("people.csv", index=False)
        >>> read_frame("people.csv").values.tolist()  # cells keep their text
        [['007', '41'], ['008', '']]
    """
    path = Path(path).expanduser()
    if is_arrow(path):
        frame = _read_arrow(path, memory)
    else:
        is_book = path.suffix.lower() in EXCEL
        frame = _read_excel(path, memory) if is_book else _read_text(path, memory, delimiter)
    require_names([*frame.columns], str(path))
    return frame


def is_arrow(path: Path) -> bool:
    """Return whether a file is a table of Parquet or Arrow, by its first bytes."""
    try:
        with open_file(path) as file:
            return is_table(path, file.read(_SIGNATURE))
    except (OSError, ValueError):
        return False


def write_frame(
    frame: pd.DataFrame,
    path: Path | str,
    like: Path | str | None = None,
    delimiter: str | None = None,
) -> None:
    """Write a table; see `table_bytes`.

    Raises:
        DataError: if `like` cannot be read.
        DiskError: if it cannot be written. A file that was there is then unchanged.

    Example:
        >>> import pandas
        >>> from elboroom.data import read_frame, write_frame
        >>> people = pandas.DataFrame({"code": ["007", "008"], "age": ["41", ""]})
        >>> write_frame(people, "people.csv")
        >>> write_frame(people.replace("", "52"), "filled.csv", like="people.csv")
        >>> read_frame("filled.csv").values.tolist()  # all other cells stay byte for byte
        [['007', '41'], ['008', '52']]
    """
    path, content = Path(path).expanduser(), table_bytes(frame, path, like, delimiter)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        raise DiskError(
            f"{path} cannot be written", why=str(error), fix="free some space, or name another file"
        ) from error


def table_bytes(
    frame: pd.DataFrame,
    path: Path | str,
    like: Path | str | None = None,
    delimiter: str | None = None,
    decimal: str = ".",
) -> bytes:
    """Return the content of a file of a table.

    Args:
        frame: the table.
        path: the file, whose suffix says the format.
        like: a file in the same format that the table was read of. Cells that are equal stay byte
            for byte in text; types and nullability stay in Parquet and Arrow; everything but the
            cells stays in Excel. A table of other rows or columns is written anew.
        delimiter: what parts the cells of text; None finds that of `like`, or takes a comma.
        decimal: the mark before the decimals of floats that are written as text.

    Raises:
        UsageError: if the suffix is of no format.
        DataError: if `like` cannot be read, or a cell to fill holds a formula.

    Example:
        >>> import pandas
        >>> from elboroom.data import table_bytes
        >>> people = pandas.DataFrame({"code": ["007", "008"], "age": [41.5, None]})
        >>> table_bytes(people, "people.csv").splitlines()
        [b'code,age', b'007,41.5', b'008,']
        >>> table_bytes(people, "people.csv", delimiter=";", decimal=",").splitlines()
        [b'code;age', b'007;41,5', b'008;']
    """
    path = Path(path)
    suffix, kind = path.suffix.lower(), require_suffix(path)
    source = None if like is None else Path(like).expanduser()
    if source is not None and source.suffix.lower() not in kind:
        source = None
    if kind is TEXT:
        return _text_bytes(frame, suffix, source, delimiter, decimal)
    if kind is ARROW:
        from elboroom.data.formats.frame_arrow import arrow_bytes

        return arrow_bytes(frame, suffix, source)
    from elboroom.data.formats.frame_excel import excel_bytes

    return excel_bytes(frame, path, source)


def require_suffix(path: Path | str) -> Collection[str]:
    """Check that a table can be written to a file, and return the suffixes of its kind.

    Raises:
        UsageError: if the suffix is of no format.
    """
    suffix = Path(path).suffix.lower()
    kind = next((kind for kind in (TEXT, ARROW, EXCEL) if suffix in kind), None)
    if kind is None:
        raise UsageError(
            f"a table cannot be written to {path}",
            why=f"found the suffix {suffix!r}; expected {', '.join((*TEXT, *ARROW, *EXCEL))}",
            fix="name a file with one of these suffixes",
        )
    return kind


def delimiter_of(path: Path) -> str | None:
    """Return what parts the cells of a file of text; None for other files.

    Raises:
        DataError: if it cannot be read.
    """
    return None if path.suffix.lower() not in TEXT else parse_file(path).delimiter


def text_of(cell: object, decimal: str = ".") -> str:
    """Return a cell as text: empty if it is missing, whole floats as they are."""
    if cell is None or cell is pd.NaT or cell is pd.NA or cell != cell:
        return ""
    return str(cell).replace(".", decimal) if isinstance(cell, float) else str(cell)


def _read_text(path: Path, memory: float, delimiter: str | None) -> pd.DataFrame:
    table = parse_file(path, memory, delimiter)
    require_names(table.names, str(path))
    columns = zip(table.names, table.columns(), strict=True)
    return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns})


def parse_file(path: Path, memory: float = MEMORY, delimiter: str | None = None) -> Delimited:
    """Parse a file of text cell for cell.

    Raises:
        DataError: if it cannot be read, or does not fit into memory.
    """
    try:
        content = read_bytes(path, memory * 2**30)
        _require_fit(path, content, memory)
        return Delimited.parse(content, delimiter or TEXT.get(path.suffix.lower()))
    except HeadlessTextError as error:
        found = cannot_read(path, str(error), error.fix)
        raise HeadlessError(found.what, why=found.why, fix=found.fix) from error
    except TextError as error:
        raise cannot_read(path, str(error), error.fix.replace("{path}", str(path))) from error
    except (OSError, ValueError) as error:
        fix = "allow more --memory, or give fewer rows" if "allowed" in str(error) else None
        raise cannot_read(path, str(error), fix) from error


def _require_fit(path: Path, content: bytes, memory: float) -> None:
    cells = max(map(content.count, (b",", b";", b"\t", b"|"))) + content.count(b"\n") + 1
    size = 3 * len(content) + _BYTES_OF_CELL * cells
    if not fits(size, memory, copies=1):
        raise DataError(
            f"{path} does not fit into --memory {memory:g}",
            why=f"its {cells:,} cells would take {size / 2**30:.3g} GiB",
            fix="give fewer rows or columns, or allow more --memory",
        )


def _text_bytes(
    frame: pd.DataFrame, suffix: str, like: Path | None, delimiter: str | None, decimal: str
) -> bytes:
    columns = [_texts(frame.iloc[:, place], decimal) for place in range(frame.shape[1])]
    if like is None:
        return plain_text([*map(str, frame.columns)], columns, TEXT[suffix] or delimiter or ",")
    table = parse_file(like, np.inf, delimiter)
    if (suffix in (".tsv", ".tab")) != (table.delimiter == "\t") or not _is_like(table, frame):
        return plain_text([*map(str, frame.columns)], columns, TEXT[suffix] or table.delimiter)
    return table.written(columns)


def _is_like(table: Delimited, frame: pd.DataFrame) -> bool:
    return table.names == [*map(str, frame.columns)] and len(table.rows) == len(frame)


def _texts(series: pd.Series, decimal: str) -> Sequence[str]:
    return [text_of(cell, decimal) for cell in series.tolist()]


def _read_arrow(path: Path, memory: float) -> pd.DataFrame:
    with library_of(path, "pyarrow", "tables"):
        from elboroom.data.formats.frame_arrow import read_arrow
    return read_arrow(path, memory)


def _read_excel(path: Path, memory: float) -> pd.DataFrame:
    with library_of(path, "openpyxl", "excel"):
        from elboroom.data.formats.frame_excel import read_excel
    return read_excel(path, memory)
