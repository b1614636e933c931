"""Text whose cells a delimiter parts, CSV and TSV, cell for cell as it stands.

A cell is kept with its quotes and the spaces around it, the last one of a line with the mark of a
line's end in Windows, so that a table is written back byte for byte. See RFC 4180.
"""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from elboroom.data.tables.frames import MOST_COLUMNS
from elboroom.data.tables.number_text import parse_number

DELIMITERS = ",;\t|"
"""The delimiters that are recognised."""
_LONGEST = 1 << 20  # characters of a cell
_SNIFFED = 50  # lines


class TextError(ValueError):
    """Text that is no table, with the way to make it one."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.fix = fix


class HeadlessTextError(TextError):
    """Text whose first line holds numbers in place of names."""


@dataclass(frozen=True)
class Delimited:
    r"""A table as text.

    Attributes:
        delimiter: what parts the cells of a line.
        end: the end of a line but the last, "\n" or "\r".
        mark: True if the text begins with a byte order mark.
        header: the raw cells of the first line.
        rows: the raw cells of the other lines, N lists of D cells.
        blank: the raw lines without cells, by their place among all lines.
    """

    delimiter: str
    end: str
    mark: bool
    header: list[str]
    rows: list[list[str]]
    blank: dict[int, str]

    @classmethod
    def parse(cls, content: bytes, delimiter: str | None = None) -> "Delimited":
        """Parse text in UTF-8.

        Args:
            content: the bytes.
            delimiter: what parts cells; None finds it.

        Raises:
            TextError: if it is no table.
        """
        mark = content.startswith(codecs.BOM_UTF8)
        text = _decoded(content.removeprefix(codecs.BOM_UTF8))
        end = "\r" if "\r" in text and "\n" not in text else "\n"
        delimiter = delimiter or _sniffed(text, end)
        _require_few(text.partition(end)[0].count(delimiter) + 1)
        records = list(_records(text, delimiter, end))
        blank = {
            place: cells[0]
            for place, cells in enumerate(records)
            if len(cells) == 1 and not cells[0].strip() and _is_left_out(records, place)
        }
        lines = [cells for place, cells in enumerate(records) if place not in blank]
        if not lines:
            raise TextError("it is empty", "give a table with a line of names and two rows")
        table = cls(delimiter, end, mark, lines[0], lines[1:], blank)
        table._check()
        return table

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [bare(cell).strip() for cell in self.header]

    def columns(self) -> list[list[str]]:
        """Return the cells of each column without their quotes, D lists of N."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.header)
        return [[bare(cell) for cell in column] for column in columns]

    def written(self, columns: Sequence[Sequence[str]]) -> bytes:
        """Return the same text with other cells, of which equal ones stay as they stand.

        Args:
            columns: the cells of each column without quotes, D lists of N.
        """
        raw = [*map(list, zip(*self.rows, strict=True))]
        changed = [
            self._column(old, [*map(bare, old)], new) for old, new in zip(raw, columns, strict=True)
        ]
        lines = [self.header, *map(list, zip(*changed, strict=True))]
        return self._joined(lines)

    def _column(self, raw: list[str], old: Sequence[str], new: Sequence[str]) -> list[str]:
        if old == [*new]:
            return raw
        known = [cell.strip() for cell, text in zip(raw, old, strict=True) if text.strip()]
        quoted = bool(known) and all(cell.startswith('"') for cell in known)
        return [
            cell if was == text else _around(cell, quote(text, self.delimiter, always=quoted))
            for cell, was, text in zip(raw, old, new, strict=True)
        ]

    def _joined(self, lines: Sequence[Sequence[str]]) -> bytes:
        texts = [self.delimiter.join(cells) for cells in lines]
        for place, line in sorted(self.blank.items()):
            texts.insert(place, line)
        return codecs.BOM_UTF8 * self.mark + self.end.join(texts).encode()

    def _check(self) -> None:
        width = len(self.header)
        for place, cells in enumerate(self.rows):
            if len(cells) != width:
                raise TextError(
                    f"row {place + 1:,} has {len(cells):,} cells, and the line of names {width:,}",
                    "give each row a cell for each column; put a cell with the delimiter "
                    f"{self.delimiter!r} in it between quotes",
                )
        numbers = [parse_number(name) for name in self.names]
        if all(number is not None for number in numbers):
            raise HeadlessTextError(
                "its first line holds numbers; expected the names of the columns",
                "write a first line of names, such as x1,x2, since a name is no number",
            )


def bare(cell: str) -> str:
    """Return a raw cell without quotes, and without the spaces around it."""
    text = cell.strip()
    is_quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return text[1:-1].replace('""', '"') if is_quoted else text


def quote(text: str, delimiter: str, *, always: bool = False) -> str:
    """Return a cell between quotes if it needs them."""
    needs = always or any(c in text for c in f'{delimiter}"\n\r') or text != text.strip()
    return '"' + text.replace('"', '""') + '"' if needs else text


def plain_text(names: Sequence[str], columns: Sequence[Sequence[str]], delimiter: str) -> bytes:
    """Return a new table as text."""
    lines = [names, *zip(*columns, strict=True)]
    rows = (delimiter.join(quote(cell, delimiter) for cell in line) for line in lines)
    return ("\n".join(rows) + "\n").encode()


def _decoded(content: bytes) -> str:
    if b"\0" in content:
        raise TextError("it holds bytes that are no text", "give a text in UTF-8")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise TextError(
            f"its byte {error.start:,} is not UTF-8",
            "save it in UTF-8: python -c \"import pathlib; p = pathlib.Path('{path}'); "
            "p.write_bytes(p.read_bytes().decode('cp1252').encode())\"",
        ) from error


def _sniffed(text: str, end: str) -> str:
    """Return the delimiter that gives the first lines the same number of cells, the most."""
    lines = [line for line in text[: 1 << 20].split(end)[: _SNIFFED + 1] if line.strip()]
    lines = lines[:-1] if len(lines) > _SNIFFED else lines
    scores = {mark: _cells_of(lines, mark) for mark in DELIMITERS}
    best = max(scores, key=lambda mark: scores[mark])
    return best if scores[best][1] > 1 else ","


def _cells_of(lines: Sequence[str], mark: str) -> tuple[int, int]:
    """Return the share of lines, in %, with as many cells as the first, and that number."""
    counts = [_count(line, mark) for line in lines]
    if not counts or counts[0] < 2:
        return 0, 0
    return 100 * sum(count == counts[0] for count in counts) // len(counts), counts[0]


def _count(line: str, mark: str) -> int:
    try:
        return len(list(_cells(line, 0, mark, "\n")))
    except TextError:  # the line ends within a cell, or its cells are parted by another mark
        return 0


def _records(text: str, delimiter: str, end: str) -> Iterator[list[str]]:
    """Yield the raw cells of each line; a cell between quotes may hold ends of lines."""
    start = 0
    while start <= len(text):
        stop = text.find(end, start)
        stop = len(text) if stop < 0 else stop
        if '"' in text[start:stop]:
            cells = list(_cells(text, start, delimiter, end))
            stop = start + sum(map(len, cells)) + len(cells) - 1
        else:
            cells = text[start:stop].split(delimiter)
        _require_few(len(cells))
        if stop - start > _LONGEST and max(map(len, cells)) > _LONGEST:
            raise TextError(
                f"a cell has more than {_LONGEST:,} characters",
                "leave long texts out; close every quote",
            )
        yield cells
        start = stop + len(end)


def _cells(text: str, start: int, delimiter: str, end: str) -> Iterator[str]:
    """Yield the raw cells of the line that begins at `start`."""
    cut = re.escape(delimiter)
    pattern = re.compile(rf'(?:[ ]*"[^"]*+(?:""[^"]*+)*+"[ \r]*+(?={cut}|{end}|\Z)|[^{cut}{end}]*)')
    while True:
        found = pattern.match(text, start)
        assert found is not None, "a cell may be empty"
        cell = found[0]
        if cell.lstrip().startswith('"') and not cell.rstrip().endswith('"'):
            raise TextError(
                f"a quote opens at {cell.strip()[:40]} and is not closed before the cell ends",
                'close it, or write a quote within a cell as ""',
            )
        yield cell
        start += len(cell)
        if text[start : start + 1] != delimiter:
            return
        start += 1


def _require_few(count: int) -> None:
    if count > MOST_COLUMNS:
        raise TextError(
            f"it has {count:,} columns; at most {MOST_COLUMNS:,} are allowed",
            "leave some out, or save wide rows of numbers as an array: numpy.save('x.npy', x)",
        )


def _is_left_out(records: Sequence[list[str]], place: int) -> bool:
    """Return whether a line without text is none of the table: all are but those of one column."""
    return len(records[0]) > 1 or place == len(records) - 1


def _around(raw: str, text: str) -> str:
    """Return a cell with the spaces that were around another."""
    inner = raw.strip()
    if not inner:
        return text + ("\r" if raw.endswith("\r") else "")
    place = raw.index(inner)
    return raw[:place] + text + raw[place + len(inner) :]
