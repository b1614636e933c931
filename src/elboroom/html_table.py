"""Results as notebooks show them: a title, facts and tables, in HTML and in a line of text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from elboroom.errors import escaped

MOST_ROWS = 20
"""Rows of a table that are shown, of which the last ones may be more telling than the first."""
_MOST_CHARACTERS = 300  # of a cell

# No colour is set: text and ground are those of the notebook's theme.
_STYLE = (
    "<style>.elboroom th,.elboroom td{text-align:left;padding:.15em .8em .15em 0}"
    ".elboroom td.n,.elboroom th.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".elboroom p,.elboroom caption{margin:.4em 0;text-align:left;caption-side:top}"
    ".elboroom img{image-rendering:pixelated}</style>"
)


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; the first cell of a row names it.

    Attributes:
        headings: C headings.
        rows: rows of C cells.
        caption: what the table is of, and the unit of its numbers.
        numbers: True if all cells but the first are numbers, which stand at the right.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""
    numbers: bool = True

    @classmethod
    def of_last(cls, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> "Table":
        """Return the last rows, with a caption that counts all if there are more."""
        more = f"the last {MOST_ROWS} of {len(rows):,}" if len(rows) > MOST_ROWS else ""
        return cls(headings, rows[-MOST_ROWS:], more)

    @classmethod
    def of_first(cls, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> "Table":
        """Return the first rows, with a caption that counts all if there are more."""
        more = f"the first {MOST_ROWS} of {len(rows):,}" if len(rows) > MOST_ROWS else ""
        return cls(headings, rows[:MOST_ROWS], more)

    def html(self) -> str:
        """Return the table, each of whose heading cells names its row or column."""
        kind = ' class="n"' if self.numbers else ""
        head = "".join(
            f'<th scope="col"{kind if place else ""}>{cell(text)}</th>'
            for place, text in enumerate(self.headings)
        )
        body = "".join(
            f'<tr><th scope="row">{cell(name)}</th>'
            + "".join(f"<td{kind}>{cell(value)}</td>" for value in values)
            + "</tr>"
            for name, *values in self.rows
        )
        caption = f"<caption>{cell(self.caption)}</caption>" if self.caption else ""
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@dataclass(frozen=True)
class Picture:
    """A picture within a summary.

    Attributes:
        png: the file, encoded as base64.
        alternative: what it shows, for readers who do not see it.
        size: width and height in pixels of the screen.
    """

    png: str
    alternative: str
    size: tuple[int, int]

    def html(self) -> str:
        """Return the picture within a paragraph."""
        width, height = self.size
        source = f'src="data:image/png;base64,{self.png}" alt="{escape(self.alternative)}"'
        return f'<p><img {source} width="{width}" height="{height}"></p>'


@dataclass(frozen=True)
class Folded:
    """A table that a click opens.

    Attributes:
        title: the line that is always shown.
        table: the table.
    """

    title: str
    table: Table

    def html(self) -> str:
        """Return the table within an element that is closed at first."""
        return f"<details><summary>{cell(self.title)}</summary>{self.table.html()}</details>"


@dataclass(frozen=True)
class Summary:
    """The facts about a result that are shown.

    Attributes:
        title: its title, beside the name of its class.
        facts: values by name; None is left out.
        blocks: tables and pictures, which the line of text leaves out.
        notes: sentences that a user should read.
    """

    title: str
    facts: Mapping[str, object]
    blocks: Sequence[Table | Picture | Folded] = ()
    notes: Sequence[str] = field(default=())

    def html(self, kind: str) -> str:
        """Return the summary of an object of some class."""
        title = f": {cell(self.title)}" if self.title else ""
        heading = f"<p><b>{cell(kind)}</b>{title}</p>"
        facts = "".join(
            f'<tr><th scope="row">{cell(name)}</th><td>{cell(value)}</td></tr>'
            for name, value in self.facts.items()
            if value is not None
        )
        table = f'<table aria-label="{cell(kind)}"><tbody>{facts}</tbody></table>' if facts else ""
        parts = [heading, table, *(block.html() for block in self.blocks)]
        parts += [f"<p>{cell(note)}</p>" for note in self.notes]
        return f'<div class="elboroom">{_STYLE}{"".join(parts)}</div>'

    def text(self, kind: str) -> str:
        """Return the title and the facts in a line."""
        facts = [f"{_text(name)} {_text(v)}" for name, v in self.facts.items() if v is not None]
        said = "; ".join([*filter(None, [_text(self.title)]), *facts, *map(_text, self.notes)])
        return f"<{_text(kind)}: {said}>" if said else f"<{_text(kind)}>"


class Shown:
    """Something that a notebook shows by its `_summary`, and a terminal in a line.

    A dataclass that derives from this takes the line with `repr=False`.
    """

    def _summary(self) -> Summary:
        """Return what there is to say, without long computations."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return self._shown().html(type(self).__name__)

    def __repr__(self) -> str:
        return self._shown().text(type(self).__name__)

    def _shown(self) -> Summary:
        try:
            return self._summary()
        except Exception as error:  # noqa: BLE001  # to show a thing must not fail
            return Summary("", {"cannot be shown": f"{type(error).__name__}: {error}"})


def cell(value: object) -> str:
    """Return the HTML of a value: names of files and columns are text, whatever they hold."""
    return escape(_text(value))


def _text(value: object) -> str:
    text = escaped(str(value))
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
