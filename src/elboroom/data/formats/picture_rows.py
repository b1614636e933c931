"""Pictures that become rows: each read or left out, and what reading changed, counted."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from elboroom.data.formats.errors import BrokenPictureError
from elboroom.data.formats.pictures import SUFFIXES, Prepared, Recipe, kind_of, open_picture

if TYPE_CHECKING:
    from elboroom.config.kinds import Broken

_MOST_SHOWN = 3  # names in a note


@dataclass(frozen=True)
class PictureRow:
    """A picture that was read, or the reason why it was not.

    Attributes:
        name: its name within the source.
        prepared: the picture; None if it cannot be read.
        why: the reason why it cannot; else empty.
        misnamed: its kind, if its name says another one; else empty.
    """

    name: str
    prepared: Prepared | None
    why: str = ""
    misnamed: str = ""

    @classmethod
    def read(cls, name: str, content: Callable[[], bytes], recipe: Recipe) -> "PictureRow":
        """Read a picture within `without_warnings`.

        Args:
            name: its name within the source, by whose ending it may be misnamed.
            content: returns the bytes of its file.
            recipe: makes it an array.
        """
        try:
            read = content()
            with open_picture(read) as picture:
                prepared = recipe.apply(picture)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # a damaged picture raises one of any type
            return cls(name, None, why=" ".join(str(error).split()) or "it is damaged")
        return cls(name, prepared, misnamed=_misnamed(name, kind_of(read)))


def _misnamed(name: str, kind: str | None) -> str:
    ending = os.path.splitext(name)[1].lower()
    says_another = kind is not None and ending not in SUFFIXES[kind]
    return kind or "" if says_another and any(ending in of for of in SUFFIXES.values()) else ""


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

    def kept(self, rows: Iterable[PictureRow], broken: "Broken") -> Iterator[Prepared | None]:
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
