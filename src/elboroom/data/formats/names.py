"""The meaning of arrays by their names, such as `x_train` or `TestLabels`."""

import re
from collections.abc import Collection, Mapping
from itertools import product
from typing import NamedTuple

import numpy as np

from elboroom.errors import DataError

_PARTS: dict[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing", "t10k"),
}
_KINDS: dict[str, tuple[str, ...]] = {
    "images": ("x", "images", "image", "data", "features", "samples", "inputs", "set", "arr0", ""),
    "labels": ("y", "labels", "label", "targets", "target"),
    "mask": ("mask",),
}
_CLASS_NAMES = ("classes", "classnames", "labelnames", "targetnames")
KNOWN = (
    "images, x or data; labels, y or target; mask; class_names; each alone or with train, val or "
    "test, such as x_val"
)
_STACK = "save a list of images as one array: numpy.savez(file, images=numpy.stack(images))"


class Role(NamedTuple):
    """The use of an array.

    Attributes:
        part: train, validation or test.
        kind: images, labels or mask; or class names, which all parts share.
    """

    part: str
    kind: str


def _spellings() -> dict[str, Role]:
    """Return every known name, without case and separators."""
    found = dict.fromkeys(_CLASS_NAMES, Role("train", "class names"))
    found |= {word: Role("train", kind) for kind, words in _KINDS.items() for word in words if word}
    for (part, parts), (kind, kinds) in product(_PARTS.items(), _KINDS.items()):
        for a, b in product(parts, kinds):
            found |= {a + b: Role(part, kind), b + a: Role(part, kind)}
    return found


_ROLES = _spellings()


def part_of(name: str) -> str | None:
    """Return the part that a folder of this name holds, such as `test` or `Test_Images`, or None.

    A name of images alone, such as `images`, may be that of a class.
    """
    role = role_of(name)
    is_part = role is not None and role.kind == "images" and _plain(name) not in _KINDS["images"]
    return role.part if role is not None and is_part else None


def parts_within(name: str) -> set[str]:
    """Return the parts that words within a name are those of, such as test in `seg_test_2`."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    return {part for part, known in _PARTS.items() if not set(known).isdisjoint(words)}


class AbsentArraysError(DataError):
    """Arrays that are named as unused, and that a source does not have.

    Attributes:
        names: names of these arrays.
    """

    def __init__(self, source: str, names: Collection[str], arrays: Collection[str]) -> None:
        super().__init__(
            f"{source} has no array {', '.join(names)} to leave unused",
            why=f"found {_joined(arrays) or 'no arrays by name'}",
            fix="name arrays of the file in --unused",
        )
        self.names = names


class LeftOverArraysError(DataError):
    """Arrays that have no role in the data, or the role of another.

    Attributes:
        names: names of these arrays.
    """

    def __init__(self, what: str, *, why: str, fix: str, names: Collection[str]) -> None:
        super().__init__(what, why=why, fix=fix)
        self.names = names


def role_of(name: str) -> Role | None:
    """Return the role that a name has in any case and with any separators; None if it has none."""
    return _ROLES.get(_plain(name))


def _plain(name: str) -> str:
    return re.sub(r"[ _.-]", "", name.lower())


def assign_roles(
    source: str, arrays: Mapping[str, np.ndarray], unused: Collection[str]
) -> dict[Role, str]:
    """Assign the arrays of a source to the parts of the data.

    Args:
        source: the file, for errors.
        arrays: the arrays by name. A single one is the images, whatever its name.
        unused: names of arrays to leave out.

    Returns:
        The name of the array in each role.

    Raises:
        DataError: if an array has no role, or two have the same; or if there are no images, or
            labels or a mask without them.
    """
    _require_present(source, arrays, unused)
    names = [name for name in arrays if name not in unused]
    roles: dict[Role, str] = {}
    for name in names:
        role = role_of(name) or (Role("train", "images") if len(names) == 1 else None)
        if role is not None and role in roles:
            raise _twice(source, role, roles[role], name)
        if role is not None:
            roles[role] = name
    if Role("train", "images") not in roles:
        raise _no_images(source, {name: arrays[name] for name in names})
    left = [n for n in names if n not in roles.values() or _is_orphan(n, roles)]
    if left:
        raise _left_over(source, left, roles, arrays)
    return roles


def _is_orphan(name: str, roles: Mapping[Role, str]) -> bool:
    """Return whether the array belongs to images, or names to labels, that are not there."""
    role = next(role for role, owner in roles.items() if owner == name)
    if role.kind == "class names":
        return all(other.kind != "labels" for other in roles)
    return Role(role.part, "images") not in roles


def _require_present(
    source: str, arrays: Mapping[str, np.ndarray], unused: Collection[str]
) -> None:
    absent = sorted(set(unused) - set(arrays))
    if absent:
        raise AbsentArraysError(source, absent, arrays)


def _no_images(source: str, arrays: Mapping[str, np.ndarray]) -> DataError:
    return DataError(
        f"{source} has no images",
        why=f"found {_joined(sorted(arrays)) or 'no arrays'}; expected x_train, images, x or data",
        fix=_STACK if _is_list(arrays) else "rename the array of images or rows to x_train",
    )


def _is_list(arrays: Mapping[str, np.ndarray]) -> bool:
    """Return whether these are arrays of one shape that are counted by their names."""
    stems = {re.sub("[0-9]+$", "", name) for name in arrays}
    shapes = {array.shape for array in arrays.values()}
    return len(arrays) > 1 and len(stems) == len(shapes) == 1 and not stems & arrays.keys()


def _twice(source: str, role: Role, first: str, second: str) -> LeftOverArraysError:
    return LeftOverArraysError(
        f"{source} has two arrays for the {role.kind} of the {role.part} part",
        why=f"found {first} and {second}",
        fix=f"name the one to leave out, such as --unused {second}",
        names=[second],
    )


def _left_over(
    source: str, left: list[str], roles: Mapping[Role, str], arrays: Mapping[str, np.ndarray]
) -> LeftOverArraysError:
    images = roles[Role("train", "images")]
    rename = f"rename it, or leave it out with --unused {' '.join(left)}"
    return LeftOverArraysError(
        f"{source} has arrays that would not be used: {_joined(left)}",
        why=f"{images} is read as the images; known names are {KNOWN}",
        fix=_STACK if _is_list({name: arrays[name] for name in [images, *left]}) else rename,
        names=left,
    )


def _joined(names: Collection[str]) -> str:
    shown = list(names)[:9]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")
