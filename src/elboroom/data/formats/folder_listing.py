"""The parts and classes of a folder of pictures, from its names, before any picture is read."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from elboroom.data.formats.names import part_of, parts_within
from elboroom.data.labels import in_natural_order

_MOST_NAMES = 1_000_000
_MOST_SHOWN = 9  # names in an error
_LITTER = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r", "@eadir"),
    *("$recycle.bin", "system volume information"),
}
"""Names that systems leave in folders, in lower case."""
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_PICTURE_FOLDERS = ("image", "images", "img", "imgs", "pictures")
"""Names of folders whose neighbours hold something else, such as masks, in lower case."""
_LAYOUT = (
    "put only .png files in it, or one folder of them for each class; parts are folders `train`, "
    "`val` and `test`, of which only `train` is needed beside another"
)
_AS_ARRAY = "save the images as one .npy of uint8, which can stay on disk"


@dataclass(frozen=True)
class Listing:
    """Pictures in the order of their classes and names.

    Attributes:
        files: their paths, (N,).
        classes: the name of the folder that holds each, (N,); None if there are no classes.
    """

    files: list[str]
    classes: list[str] | None


@dataclass(frozen=True)
class Folder:
    """The names in a folder of pictures.

    Attributes:
        parts: the pictures of train, and of validation and test if there are any.
        classes: the names of all classes, in natural order; None if there are none.
        passed_over: names that systems leave, such as Thumbs.db.
    """

    parts: dict[str, Listing]
    classes: tuple[str, ...] | None
    passed_over: list[str]

    @property
    def unlike_classes(self) -> list[str]:
        """Classes that some labelled part lacks."""
        found = [set(part.classes) for part in self.parts.values() if part.classes is not None]
        return in_natural_order(set().union(*found) - set.intersection(*found)) if found else []


class LayoutError(ValueError):
    """A folder that has another layout, with the way to lay it out."""

    def __init__(self, why: str, fix: str = _LAYOUT) -> None:
        super().__init__(why)
        self.fix = fix


@dataclass
class _Names:
    """The number of pictures met so far below `root`, and the names passed over."""

    root: Path
    pictures: int = 0
    passed_over: list[str] = field(default_factory=list)

    def listed(self, folder: Path) -> tuple[list[str], list[str]]:
        """Return the names of all folders and of all pictures; exactly one list is empty."""
        folders, files = [], []
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_litter(entry.name):
                    self.passed_over.append(entry.name)
                    continue
                _require_plain(entry)
                is_folder = entry.is_dir(follow_symlinks=False)
                (folders if is_folder else files).append(entry.name)
                self.pictures += not is_folder
                _require_few(max(self.pictures, len(folders)))
        _require_pictures(self.root, folder, files)
        if folders and files:
            found = f"pictures ({min(files)}) and folders ({min(folders)})"
            raise LayoutError(f"{folder} holds both {found}")
        if not folders and not files:
            raise LayoutError(f"{folder} holds no pictures")
        return in_natural_order(folders), sorted(files)


def list_folder(folder: Path) -> Folder:
    """List the parts and classes of a folder of pictures.

    Raises:
        OSError: if a folder cannot be read.
        LayoutError: if there is anything but pictures and litter, the folders have another layout,
            or there are more than a million names.
    """
    names = _Names(folder)
    folders, files = names.listed(folder)
    found = _parts(folders)
    if found:
        parts = {p: _listing(folder / f, names.listed(folder / f), names) for p, f in found.items()}
    else:
        parts = {"train": _listing(folder, (folders, files), names)}
    classes = {name for part in parts.values() for name in part.classes or []}
    return Folder(parts, tuple(in_natural_order(classes)) or None, names.passed_over)


def convert_line(folder: Path, size: tuple[int, int]) -> str:
    """Return the line that saves all pictures of a folder as PNG of one size, in another folder."""
    return (
        'python -c "from pathlib import Path; from PIL import Image, ImageOps; '
        f"a, b = Path('{folder}'), Path('{folder}-png'); "
        "[(o.parent.mkdir(parents=True, exist_ok=True), "
        f"ImageOps.fit(Image.open(f).convert('RGB'), {size}).save(o)) "
        f"for f in a.rglob('*.*') if f.suffix.lower() in {PICTURES} "
        "for o in [(b / f.relative_to(a)).with_suffix('.png')]]\""
    )


def _listing(folder: Path, listed: tuple[list[str], list[str]], names: _Names) -> Listing:
    folders, pictures = listed
    if not folders:
        return Listing([os.path.join(folder, name) for name in pictures], None)
    _require_classes(folders)
    files, classes = [], []
    for name in folders:
        deeper, pictures = names.listed(folder / name)
        if deeper:
            raise LayoutError(f"{folder / name / deeper[0]} is a folder within a class")
        files += [os.path.join(folder, name, picture) for picture in pictures]
        classes += [name] * len(pictures)
    return Listing(files, classes)


def _parts(folders: Sequence[str]) -> dict[str, str]:
    """Return the folder of each part, in order; nothing if the folders are classes.

    Raises:
        LayoutError: if only some folders are parts, or they are not train and another.
    """
    words = {name: part_of(name) for name in folders}
    parts = {part: name for name, part in words.items() if part is not None}
    is_meant = None not in words.values() or {"train", "test"} <= parts.keys()
    if not parts or not is_meant:
        return {}
    if None in words.values() or len(parts) < len(folders) or "train" not in parts:
        raise LayoutError(f"found the parts {_joined(folders)}; expected `train`, `val`, `test`")
    if len(parts) == 1:
        raise LayoutError(
            f"found the part {folders[0]} alone; expected `val` or `test` beside it",
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


def _is_litter(name: str) -> bool:
    """Return whether a name is hidden, or left by a system."""
    return name.startswith(".") or name.lower() in _LITTER


def _require_plain(entry: os.DirEntry[str]) -> None:
    """Check that an entry is a file or a folder, and that its name fits on one line."""
    if entry.name.splitlines() != [entry.name]:
        raise LayoutError(f"the name {entry.name!a} has a line break")
    if entry.is_symlink():
        raise LayoutError(f"{entry.path} is a symbolic link, which may lead out of the folder")
    if not entry.is_file(follow_symlinks=False) and not entry.is_dir(follow_symlinks=False):
        raise LayoutError(f"{entry.path} is a pipe or a device, not a file")


def _require_pictures(root: Path, folder: Path, files: Collection[str]) -> None:
    other = min((name for name in files if not name.lower().endswith(".png")), default=None)
    if other is None:
        return
    if other.lower().endswith(PICTURES):
        line = convert_line(root, (64, 64))
        raise LayoutError(
            f"{folder / other} is not a .png",
            f"save all pictures as PNG of one size that you choose: {line}",
        )
    raise LayoutError(f"{folder / other} is not a .png", f"take it out of the folder; {_LAYOUT}")


def _require_few(count: int) -> None:
    if count > _MOST_NAMES:
        raise LayoutError(f"it contains more than {_MOST_NAMES:,} names", _AS_ARRAY)


def _joined(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_SHOWN]) + (", …" if len(names) > _MOST_SHOWN else "")
