"""The parts and classes of pictures, from their names, before any picture is read."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from elboroom.data.formats.names import part_of, parts_within
from elboroom.data.formats.picture_files import LayoutError
from elboroom.data.labels import in_natural_order

_MOST_SHOWN = 9  # names in an error
_PICTURE_FOLDERS = ("image", "images", "img", "imgs", "pictures")
"""Names of folders whose neighbours hold something else, such as masks, in lower case."""
_LAYOUT = (
    "put pictures in it, or one folder of them for each class; parts are folders `train`, `val` "
    "and `test`, of which only `train` is needed beside another"
)


@dataclass(frozen=True)
class Listing:
    """Pictures in the order of their classes and names.

    Attributes:
        files: their paths within the folder, (N,).
        classes: the class of each, (N,); None if there are no classes.
    """

    files: list[str]
    classes: list[str] | None


@dataclass(frozen=True)
class Layout:
    """The parts and classes of pictures.

    Attributes:
        parts: the pictures of train, and of validation and test if there are any.
        classes: the names of all classes, in natural order; None if there are none.
        beside: folders that are not classes since pictures lie beside them.
    """

    parts: dict[str, Listing]
    classes: tuple[str, ...] | None
    beside: list[str]

    @classmethod
    def of(cls, names: Iterable[str]) -> "Layout":
        """Arrange the pictures of a folder by their paths within it, at least one.

        The folders `train`, `val` and `test` are parts. In a part, or in all if there are none, a
        picture is of the class that the outermost folder is named by, however deep it lies. If a
        picture lies in no folder, there are no classes.

        Raises:
            LayoutError: if folders may be parts or classes, or neither.
        """
        folders = _by_folder(names)
        found = _parts(folders)
        grouped = {part: _by_folder(folders[folder]) for part, folder in found.items()}
        grouped = grouped or {"train": folders}
        parts = {p: _listing(each, found.get(p, "")) for p, each in grouped.items()}
        classes = {name for part in parts.values() for name in part.classes or []}
        beside = {f for each in grouped.values() if "" in each for f in each if f}
        return cls(parts, tuple(in_natural_order(classes)) or None, in_natural_order(beside))

    @property
    def unlike_classes(self) -> list[str]:
        """Classes that some labelled part lacks."""
        found = [set(part.classes) for part in self.parts.values() if part.classes is not None]
        return in_natural_order(set().union(*found) - set.intersection(*found)) if found else []

    def notes(self) -> list[str]:
        """Return what the user should know of parts and classes, in short phrases."""
        notes = []
        if self.beside:
            found = f"beside the folders {_joined(self.beside)}"
            notes.append(f"pictures lie {found}, which are therefore not read as classes")
        if self.unlike_classes:
            notes.append(f"some parts lack the classes {_joined(self.unlike_classes)}")
        unlabelled = [name for name, part in self.parts.items() if part.classes is None]
        if self.classes and unlabelled:
            notes.append(f"no classes in {_joined(unlabelled)}")
        return notes


def counted(names: Collection[str]) -> str:
    """Count names by their endings, the most common first, such as "9 .txt, 1 .mp4"."""
    endings = Counter(_ending(name) for name in names)
    common = sorted(endings.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count:,} {ending}" for ending, count in common[:_MOST_SHOWN]]
    return ", ".join(shown) + (", …" if len(common) > _MOST_SHOWN else "")


def _ending(name: str) -> str:
    stem, dot, ending = name.rpartition("/")[-1].rpartition(".")
    return f".{ending.lower()}" if stem and dot and ending else "without an ending"


def _by_folder(names: Iterable[str]) -> dict[str, list[str]]:
    """Group paths by their outermost folder, which is taken off; "" is none."""
    groups = dict[str, list[str]]()
    for name in names:
        folder, _, rest = name.partition("/") if "/" in name else ("", "", name)
        groups.setdefault(folder, []).append(rest)
    return groups


def _listing(groups: dict[str, list[str]], part: str) -> Listing:
    """List the pictures of a part, whose folder is `part`, by their folders."""
    prefix, named = part and f"{part}/", [folder for folder in groups if folder]
    if "" in groups or not groups:
        every = [f"{folder}/{n}" if folder else n for folder in groups for n in groups[folder]]
        return Listing([prefix + name for name in sorted(every, key=_in_order)], None)
    _require_classes(in_natural_order(named))
    files, classes = [], []
    for folder in in_natural_order(named):
        pictures = sorted(groups[folder], key=_in_order)
        files += [f"{prefix}{folder}/{picture}" for picture in pictures]
        classes += [folder] * len(pictures)
    return Listing(files, classes)


def _in_order(name: str) -> list[str]:
    return name.split("/")


def _parts(folders: Collection[str]) -> dict[str, str]:
    """Return the folder of each part, in order; nothing if the folders are classes.

    Raises:
        LayoutError: if only some folders are parts, or they are not train and another.
    """
    named = in_natural_order(folder for folder in folders if folder)
    words = {name: part_of(name) for name in named}
    parts = {part: name for name, part in words.items() if part is not None}
    is_meant = None not in words.values() or {"train", "test"} <= parts.keys()
    if not parts or not is_meant:
        return {}
    loose = [""] if "" in folders else []
    if loose or None in words.values() or len(parts) < len(named) or "train" not in parts:
        beside = " beside pictures" if loose else ""
        why = f"found the parts {_joined(named)}{beside}; expected `train`, `val`, `test`"
        raise LayoutError(why, _LAYOUT)
    if len(parts) == 1:
        raise LayoutError(
            f"found the part {named[0]} alone; expected `val` or `test` beside it",
            "give that folder itself, of which a part is then held out",
        )
    return {part: parts[part] for part in ("train", "validation", "test") if part in parts}


def _require_classes(folders: Sequence[str]) -> None:
    """Check that folders are not named as parts, nor as pictures beside their masks."""
    named = set().union(*map(parts_within, folders))
    if "train" in named and len(named) > 1:
        raise LayoutError(
            f"found {_joined(folders)}, which may be parts; expected `train`, `val`, `test`",
            "name them so if they are parts, and otherwise by classes",
        )
    images = next((name for name in folders if name.lower() in _PICTURE_FOLDERS), None)
    if images is not None and len(folders) > 1:
        raise LayoutError(
            f"found {_joined(folders)}, which may not be classes",
            f"give the folder {images} alone, or name each folder by its class",
        )


def _joined(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_SHOWN]) + (", …" if len(names) > _MOST_SHOWN else "")
