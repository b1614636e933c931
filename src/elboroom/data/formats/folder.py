"""A folder of PNG pictures. All headers are checked before a pixel is decoded."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from elboroom.config import DataConfig
from elboroom.data.formats.errors import require_fit
from elboroom.data.formats.folder_listing import (
    Folder,
    LayoutError,
    Listing,
    convert_line,
    list_folder,
)
from elboroom.data.formats.png import PngHeader, picture_errors, read_header, read_pixels
from elboroom.data.formats.values import require_scale_of_pictures
from elboroom.data.source import Source, SourcePart
from elboroom.errors import DataError
from elboroom.untrusted import require_dense

_REPAIR = "save it again as a PNG, or take it out of the folder"
_AS_ARRAY = "save the images as one .npy of uint8, which can stay on disk"
_MOST_SIZES = 3  # in an error


def read_folder(path: Path, config: DataConfig) -> Source:
    """Read pictures as uint8 (N, C, H, W): grey if all of them are, else RGB.

    The pictures are in the folder itself, or in one folder for each class. A label is the position
    of the class among the names in natural order, in which 2 comes before 10. If the folder holds
    `train` and `val` or `test`, these are parts: each is such a folder. Hidden names and those that
    systems leave are passed over.

    Args:
        path: the folder. It may be a symbolic link, but nothing in it may.
        config: its `memory` is the GiB that the images may take; reading takes twice their size.

    Raises:
        DataError: if it holds anything else, pictures of different sizes, or more than `memory`.
    """
    folder = _listed(path)
    files = [file for part in folder.parts.values() for file in part.files]
    event_shape = _event_shape(path, files, config.memory)
    decoded = {part: _decode(each, event_shape) for part, each in folder.parts.items()}
    highest = max((d.highest for d in decoded.values() if d.highest is not None), default=None)
    images = {part: each.images for part, each in decoded.items()}
    require_scale_of_pictures(path.name, images, highest, config)
    is_grey = event_shape[0] > 1 and all(_are_equal(array) for array in images.values())
    images = {part: array[:, :1] if is_grey else array for part, array in images.items()}
    parts = {
        part: SourcePart(
            images[part],
            _labels(each, folder.classes),
            tuple(str(Path(file).relative_to(path)) for file in each.files),
            origin=part if len(images) > 1 else "",
        )
        for part, each in folder.parts.items()
    }
    return Source(
        name=path.resolve().name,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        classes=folder.classes,
        white=255.0,
        notes=tuple(_notes(folder, decoded, is_grey=is_grey)),
    )


@dataclass(frozen=True)
class _Decoded:
    """The pixels of a part.

    Attributes:
        images: (N, C, H, W), uint8.
        highest: the largest value in pictures of 16 bits; None if there are none.
        transparent: number of pictures with pixels that are not opaque.
        repeated_grey: number of grey pictures that are given three channels.
    """

    images: np.ndarray
    highest: int | None
    transparent: int
    repeated_grey: int


def _listed(path: Path) -> Folder:
    try:
        if (path / "config.toml").is_file():
            raise _run_error(path)
        return list_folder(path)
    except LayoutError as error:
        raise _layout_error(path, str(error), error.fix) from error
    except (OSError, ValueError) as error:
        raise _layout_error(path, str(error), "make it readable, or give another folder") from error


def _layout_error(path: Path, why: str, fix: str) -> DataError:
    return DataError(f"{path} is not a folder of pictures", why=why, fix=fix)


def _notes(folder: Folder, decoded: Mapping[str, _Decoded], *, is_grey: bool) -> list[str]:
    """Return what the user should know of the pictures, in short phrases."""
    notes = []
    if is_grey:
        notes.append("all colours are grey, so that one channel is kept")
    repeated_grey = sum(each.repeated_grey for each in decoded.values())
    if repeated_grey and not is_grey:
        notes.append(f"{repeated_grey:,} are grey beside colours, with three channels made alike")
    transparent = sum(each.transparent for each in decoded.values())
    if transparent:
        notes.append(f"the transparency of {transparent:,} pictures is dropped")
    if any(each.highest is not None for each in decoded.values()):
        notes.append("of pictures of 16 bits the upper 8 are kept")
    if folder.unlike_classes:
        notes.append(f"some parts lack the classes {_joined(folder.unlike_classes)}")
    unlabelled = [part for part, each in folder.parts.items() if each.classes is None]
    if folder.classes and unlabelled:
        notes.append(f"no classes in {_joined(unlabelled)}")
    if folder.passed_over:
        kinds = _joined(sorted(set(folder.passed_over)))
        notes.append(f"passed over {len(folder.passed_over):,} hidden or system files: {kinds}")
    return notes


def _joined(names: list[str]) -> str:
    return ", ".join(names[:_MOST_SIZES]) + (", …" if len(names) > _MOST_SIZES else "")


def _labels(listing: Listing, classes: tuple[str, ...] | None) -> np.ndarray | None:
    if listing.classes is None or classes is None:
        return None
    positions = {name: position for position, name in enumerate(classes)}
    return np.array([positions[name] for name in listing.classes], np.int64)


def _event_shape(path: Path, files: list[str], memory: float) -> tuple[int, int, int]:
    """Return the shape of every picture, (C, H, W), from the headers alone."""
    channels, unpacked, packed = 1, 0, 0
    sizes, first = Counter[tuple[int, int]](), dict[tuple[int, int], str]()
    for file in files:
        header = _header(file)
        sizes[header.size] += 1
        first.setdefault(header.size, file)
        channels = max(channels, header.channels)
        unpacked, packed = unpacked + header.unpacked, packed + header.packed
    if len(sizes) > 1:
        raise _sizes_error(path, sizes, first)
    ((width, height),) = sizes
    size = len(files) * channels * height * width
    require_fit(path, size, memory, what="its pictures", fix=_AS_ARRAY)
    _require_dense(path, packed, unpacked)
    return channels, height, width


def _header(file: str) -> PngHeader:
    with picture_errors(file, fix=_REPAIR):
        return read_header(Path(file))


def _decode(listing: Listing, event_shape: tuple[int, ...]) -> _Decoded:
    images = np.empty((len(listing.files), *event_shape), np.uint8)
    highest, transparent, repeated_grey = list[int](), 0, 0
    for image, file in zip(images, listing.files, strict=True):
        with picture_errors(file, fix=_REPAIR):
            pixels = read_pixels(Path(file), event_shape)
        image[:] = pixels.values
        highest += [] if pixels.highest is None else [pixels.highest]
        transparent += pixels.has_alpha
        repeated_grey += pixels.repeated_grey
    return _Decoded(images, max(highest, default=None), transparent, repeated_grey)


def _are_equal(images: np.ndarray) -> bool:
    """Return whether all channels of all images are equal."""
    return all((image == image[:1]).all() for image in images)


def _require_dense(path: Path, packed: int, unpacked: int) -> None:
    try:
        require_dense(packed, unpacked)
    except ValueError as error:
        what = f"the pictures in {path} are too large for their files"
        raise DataError(what, why=str(error), fix=_AS_ARRAY) from error


def _run_error(path: Path) -> DataError:
    return DataError(
        f"{path} is a run, not a folder of pictures",
        why="it contains a config.toml",
        fix=f"give the folder of the pictures, or resume the run with --resume {path}",
    )


def _sizes_error(
    path: Path, sizes: Counter[tuple[int, int]], first: Mapping[tuple[int, int], str]
) -> DataError:
    """Return the error for pictures of several sizes, with how many have each."""
    common = sizes.most_common(_MOST_SIZES)
    found = [
        f"{n:,} of {width} × {height}, such as {Path(first[width, height]).relative_to(path)}"
        for (width, height), n in common
    ]
    more = f"; and {len(sizes) - len(common):,} other sizes" if len(sizes) > len(common) else ""
    return DataError(
        f"the pictures in {path} have different sizes",
        why=f"found {'; '.join(found)}{more}",
        fix=f"bring them to one size: {convert_line(path, common[0][0])}",
    )
