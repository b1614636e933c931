"""What reading changed in pictures, or left out: counted, with some names."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from elboroom.config.kinds import Broken
from elboroom.data.formats.errors import BrokenPictureError
from elboroom.data.formats.picture_rows import PictureRow
from elboroom.data.formats.pictures import Prepared

_MOST_SHOWN = 3  # names in a note


@dataclass
class Changes:
    """Changes that reading made: the number of pictures for each kind, and some names.

    Attributes:
        source: the folder or the file that the pictures are in, for errors.
        background: the colour behind pixels that are not opaque, for notes.
        highest: the largest value in pictures of 16 bits of grey; None if there are none.
        skipped: number of pictures that were left out.
    """

    source: str
    background: str
    highest: int | None = None
    skipped: int = 0
    _found: dict[str, tuple[int, list[str]]] = field(default_factory=dict)

    def kept(self, rows: Iterable[PictureRow], broken: Broken) -> Iterator[Prepared | None]:
        """Yield each picture that was read, and None for each that is left out; count changes.

        Raises:
            BrokenPictureError: if a picture cannot be read and `broken` is stop.
        """
        for row in rows:
            if row.prepared is None and broken == "stop":
                raise _broken_error(f"{self.source}/{row.name}", row.why)
            self._count(row)
            yield row.prepared

    def notes(self) -> list[str]:
        """Return what the user should know, in short phrases."""
        notes = ["of pictures of 16 bits the upper 8 are kept"] if self.highest is not None else []
        for change, (count, names) in self._found.items():
            shown = ", ".join(names) + (", …" if count > len(names) else "")
            notes.append(f"{count:,} {'picture' if count == 1 else 'pictures'} {change}: {shown}")
        return notes

    def _count(self, row: PictureRow) -> None:
        if row.prepared is None:
            self.skipped += 1
            self._add("left out, which cannot be read", f"{row.name} ({row.why})")
            return
        if row.misnamed:
            self._add("of another kind than the name says", f"{row.name} ({row.misnamed})")
        if row.prepared.highest is not None:
            self.highest = max(row.prepared.highest, self.highest or 0)
        for change in changes(row.prepared, self.background):
            self._add(change, row.name)

    def _add(self, change: str, name: str) -> None:
        count, names = self._found.get(change, (0, []))
        self._found[change] = count + 1, [*names, name][:_MOST_SHOWN]


def changes(prepared: Prepared, background: str) -> Iterator[str]:
    """Yield what was done to a picture, in words that complete "pictures …"."""
    if prepared.vanished:
        yield (
            f"with a shape in the transparency alone, which {background} hides (another "
            "--background shows it)"
        )
    elif prepared.blended:
        yield f"blended over {background} where not opaque"
    if prepared.lost_colours:
        yield "with colours that are made grey, by 0.299 R + 0.587 G + 0.114 B"
    if prepared.more_frames:
        yield "with several frames or pages, of which the first is read"
    if prepared.damaged_exif:
        yield "with damaged EXIF, taken as upright"


def _broken_error(name: str, why: str) -> BrokenPictureError:
    return BrokenPictureError(
        f"cannot read the picture {name}",
        why=why,
        fix="save it again, or take it out; --broken skip leaves such pictures out",
    )
