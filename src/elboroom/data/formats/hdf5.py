"""The HDF5 format: arrays by their paths, checked before they are read; large ones stay on disk.

The library h5py parses the file. What leads out of it (links, arrays in other files) and what needs
a plugin is refused here. See "HDF5 File Format Specification", The HDF Group.
"""

import math
from collections.abc import Collection, Mapping
from pathlib import Path

import h5py
import numpy as np

from elboroom.data.formats.errors import UnreadableArrayError, cannot_read, fits, require_fit
from elboroom.errors import DataError
from elboroom.untrusted import open_file, require_dense

_MOST_NAMES, _DEEPEST = 1_000, 8
_FILTERS = {1, 2, 3, 32_000}  # gzip, shuffle, Fletcher's checksum and LZF, which h5py brings
_OF_MATLAB = "#"  # begins the names of groups that MATLAB needs itself
_LARGEST_FLOAT = 8  # bytes; the size of longer ones depends on the machine
_TEXT_AT_ONCE = 64 << 20  # bytes that strings of any length may take while they are read
_BESIDE = 2**-5  # GiB that labels may take beside images that stay on disk
_REPAIR = "write it again, or save its arrays by numpy.savez as an .npz"
_IN_ONE_PIECE = (
    "write the images in one piece, which can stay on disk: h5py's create_dataset(name, data=x) "
    "without chunks and compression"
)


def load_hdf5(path: Path, memory: float, unused: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Load the arrays of an HDF5 file by their paths, such as `x_train` or `train/images`.

    MATLAB 7.3 writes axes in reverse order; they are turned back.

    Args:
        path: the file.
        memory: GiB that two copies of the arrays may take. If they take more, those that lie in
            one piece in the file are each a `numpy.memmap`.
        unused: paths of arrays that are not read; each is an empty array.

    Raises:
        DataError: if it is damaged or hostile, has an array that is neither of numbers nor of
            strings and is not named as unused, or takes more memory in chunks or packed.
    """
    try:
        with open_file(path), h5py.File(path, "r") as file:
            listed = _listed(file, unused)
            read = _read(
                path, {n: array for n, array in listed.items() if array is not None}, memory
            )
        return {name: read.get(name, np.empty(0)) for name in listed}
    except DataError:
        raise
    except UnreadableArrayError as error:
        raise cannot_read(path, str(error), error.fix) from error
    except Exception as error:  # a damaged file raises errors of many types
        raise cannot_read(path, str(error) or "it is damaged", _REPAIR) from error


def _listed(file: h5py.File, unused: Collection[str]) -> dict[str, h5py.Dataset | None]:
    """Return the array at each path, None where it is left out."""
    found: dict[str, h5py.Dataset | None] = {}
    groups: list[tuple[str, h5py.Group]] = [("", file)]
    count = 0
    while groups:
        place, group = groups.pop(0)
        for name in map(str, group):
            path, count = place + name, count + 1
            if count > _MOST_NAMES or path.count("/") > _DEEPEST:
                raise ValueError(
                    f"it has over {_MOST_NAMES:,} names or {_DEEPEST} levels of groups"
                )
            item = None if path in unused else _item(group, name, path)
            if isinstance(item, h5py.Group):
                groups.append((f"{path}/", item))
            elif path in unused or isinstance(item, h5py.Dataset):
                found[path] = item
    return found


def _item(group: h5py.Group, name: str, path: str) -> h5py.Group | h5py.Dataset | None:
    """Return what a name leads to; None for a type, and for what MATLAB needs itself."""
    if name.startswith(_OF_MATLAB):
        return None
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise _unreadable(path, "a link, which may lead to another file")
    item = group[name]
    if isinstance(item, h5py.Dataset):
        _require_values(path, item)
    return item if isinstance(item, h5py.Group | h5py.Dataset) else None


def _require_values(path: str, array: h5py.Dataset) -> None:
    """Check that an array is of numbers or strings, which lie in the file itself."""
    other = _foreign(array) or (None if _is_text(array) else _no_number(array))
    if other is not None:
        raise _unreadable(path, other)


def _foreign(array: h5py.Dataset) -> str | None:
    """Describe an array whose values are not simply in the file; None for any other."""
    if array.external or array.is_virtual:
        return "in other files"
    plan = array.id.get_create_plist()
    filters = {plan.get_filter(number)[0] for number in range(plan.get_nfilters())}
    if filters - _FILTERS:
        return f"packed by the filter {min(filters - _FILTERS)}, which needs a plugin"
    return None


def _no_number(array: h5py.Dataset) -> str | None:
    """Describe an array that is not of numbers; None for one that is."""
    kind = _class(array)
    if kind in ("char", "cell", "struct", "function_handle"):
        return f"a {kind} array of MATLAB"
    if array.dtype.kind == "O":
        is_ragged = h5py.check_vlen_dtype(array.dtype) is not None
        return "of rows of different lengths" if is_ragged else "of references"
    if array.dtype.kind not in "biufc" or (
        array.dtype.kind == "f" and array.dtype.itemsize > _LARGEST_FLOAT
    ):
        return f"of type {str(array.dtype)[:80]}"
    return None


def _unreadable(path: str, what: str) -> UnreadableArrayError:
    return UnreadableArrayError(
        f"its {path} is {what}; expected an array of numbers or strings",
        fix=f"leave it out by --unused {path}, or write it as an array",
    )


def _class(array: h5py.Dataset) -> str | None:
    """Return the class that MATLAB gives an array; None for arrays of others."""
    name = array.attrs.get("MATLAB_class")
    return name.decode("ascii", "replace") if isinstance(name, bytes) else None


def _is_text(array: h5py.Dataset) -> bool:
    return h5py.check_string_dtype(array.dtype) is not None


def _size(arrays: Mapping[str, h5py.Dataset]) -> int:
    """Return the bytes that arrays take in memory, or the largest chunk if it takes more."""
    sizes = [array.dtype.itemsize * math.prod(array.shape or ()) for array in arrays.values()]
    chunks = [array.dtype.itemsize * math.prod(array.chunks or ()) for array in arrays.values()]
    return max(sum(sizes), *chunks, 0)


def _read(path: Path, arrays: Mapping[str, h5py.Dataset], memory: float) -> dict[str, np.ndarray]:
    """Read arrays whose sizes fit; those of a large file are mapped where they can be."""
    is_large = not fits(_size(arrays), memory)
    mapped = {n for n, array in arrays.items() if is_large and _can_be_mapped(path, array)}
    held = {name: array for name, array in arrays.items() if name not in mapped}
    room = max(memory, _BESIDE) if mapped else memory
    require_fit(path, _size(held), room, what="its arrays", fix=_IN_ONE_PIECE)
    require_dense(path.stat().st_size, _size(held))
    return {n: _map(path, a) if n in mapped else _values(path, a, room) for n, a in arrays.items()}


def _can_be_mapped(path: Path, array: h5py.Dataset) -> bool:
    """Return whether an array lies in one piece in the file, as numpy would write it."""
    start = array.id.get_offset()
    is_numpy = array.dtype.kind in "biuf" and array.id.get_type() == h5py.h5t.py_create(array.dtype)
    if start is None or not is_numpy or array.ndim < 2 or _class(array) is not None:
        return False
    return start + array.nbytes <= path.stat().st_size


def _map(path: Path, array: h5py.Dataset) -> np.ndarray:
    return np.memmap(path, array.dtype, "r", array.id.get_offset(), array.shape)


def _values(path: Path, array: h5py.Dataset, memory: float) -> np.ndarray:
    """Read an array into memory."""
    if array.shape is None or "MATLAB_empty" in array.attrs:
        return np.empty(0)
    if _is_text(array):
        return _text(path, array, memory)
    values = array[()] if array.ndim else np.asarray(array[()])
    # A byte that is neither 0 nor 1 is not a valid bool: PyTorch would count it as its value.
    values = values.view(np.uint8) != 0 if values.dtype == bool else values
    kind = _class(array)
    values = values if kind is None else values.T
    return values != 0 if kind == "logical" else values


def _text(path: Path, array: h5py.Dataset, memory: float) -> np.ndarray:
    """Read strings, a few at a time: many rows may name one long string of the file."""
    size, texts = path.stat().st_size, list[str]()
    strings, step = array.asstr("utf-8", "replace"), max(1, _TEXT_AT_ONCE // size)
    for start in range(0, len(array), step):
        texts += np.ravel(strings[start : start + step]).tolist()
        if sum(map(len, texts[start:])) > size:
            raise ValueError(f"the strings of {array.name} are longer than the file")
    longest = max(map(len, texts), default=0)
    taken = longest * len(texts) * np.dtype("U1").itemsize
    require_fit(path, taken, memory, what="its strings", fix="write integers, and their names once")
    return np.array(texts, str)
