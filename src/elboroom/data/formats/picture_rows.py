"""Pictures that become rows: each is read, or the reason is told why it cannot be."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from elboroom.data.formats.pictures import SUFFIXES, Prepared, Recipe, kind_of, open_picture


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
