"""Arrays by name → Source, checked before they are used."""

from collections.abc import Collection, Mapping
from typing import cast

import numpy as np

from elboroom.config import DataConfig
from elboroom.data.formats.names import Role, assign_roles
from elboroom.data.formats.values import grey_level_note, white_value
from elboroom.data.groups import group_numbers
from elboroom.data.labels import NotClassesError, RawLabels, read_labels_of_parts
from elboroom.data.sharded_array import ShardedArray, stays_on_disk
from elboroom.data.source import Source, SourcePart, noun, to_bytes_or_floats
from elboroom.errors import DataError

_PARTS = ("train", "validation", "test")
_MOST_CHANNELS = 4


def source_of(name: str, arrays: Mapping[str, np.ndarray], config: DataConfig) -> Source:
    """Make a source of arrays by the roles that their names give them.

    A value is missing where it is NaN, or where the mask of its part is False.

    Args:
        name: the name that results give the data, also for errors.
        arrays: the images or rows of each part, and labels and masks if there are any; a single
            array is the images whatever its name, and may be a `ShardedArray`.
        config: its `binarisation` permits values outside [0, 1] or not; its `unused` names arrays
            to leave out; its `group_by` the array of the groups of the training rows.

    Raises:
        DataError: if an array is left over, does not fit the others, or has values that are not
            those of data.
    """
    group_by = {array for array in arrays if array == config.group_by}
    roles = assign_roles(name, arrays, {*config.unused, *group_by})
    stored = {part: _require_rows(name, roles, arrays, part) for part in _present(roles)}
    _require_one_shape(name, stored, roles)
    images, white = _in_units_of_white(name, stored, roles, arrays, config)
    labels, classes, notes = _labels(images, roles, arrays)
    used = roles if classes else {r: n for r, n in roles.items() if r.kind != "labels"}
    groups = {g: group_numbers(arrays[g], len(images["train"]), g) for g in group_by}
    parts = {
        part: SourcePart(
            _to_images(array),
            labels.get(part),
            groups=groups.get(config.group_by or "") if part == "train" else None,
            origin=roles[Role(part, "images")] if len(images) > 1 else "",
            stored=stored[part],
        )
        for part, array in images.items()
    }
    return Source(
        name=name,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        classes=classes,
        white=white,
        mapped=any(map(stays_on_disk, images.values())),
        uses=_uses(used, noun(parts["train"].images.shape[1:])),
        notes=(
            *_left_out(config.unused),
            *_axis_note(images["train"]),
            *grey_level_note(images["train"]),
            *notes,
        ),
    )


def _present(roles: Mapping[Role, str]) -> list[str]:
    return [part for part in _PARTS if Role(part, "images") in roles]


def _in_units_of_white(
    name: str,
    stored: Mapping[str, np.ndarray],
    roles: Mapping[Role, str],
    arrays: Mapping[str, np.ndarray],
    config: DataConfig,
) -> tuple[Mapping[str, np.ndarray], float]:
    """Return the images of each part and the value that stands for 1, after checking the values.

    Masked images are in units of 1 and NaN where they are not known.
    """
    masks = _masks(name, stored, roles, arrays)
    if masks:
        _require_in_memory(name, stored)
    known = {roles[Role(p, "images")]: _known(a, masks.get(p)) for p, a in stored.items()}
    white = white_value(name, known, config)
    if not masks:
        return stored, white
    return {part: _apply_mask(a, masks.get(part), white) for part, a in stored.items()}, 1.0


def _uses(roles: Mapping[Role, str], row: str) -> str:
    """Return which array was read as what, if there are several; `row` is the word for one."""
    words = {role: f"{row}s" if role.kind == "images" else role.kind for role in roles}
    parts = {role: "" if role.part == "train" else f"{role.part} " for role in roles}
    uses = [f"{array} as {parts[role]}{words[role]}" for role, array in roles.items()]
    return ", ".join(uses) if len(uses) > 1 else ""


def _left_out(unused: Collection[str]) -> list[str]:
    """Return a note on the arrays that the user leaves out."""
    return [f"left out {', '.join(unused)}"] if unused else []


def _require_rows(
    name: str, roles: Mapping[Role, str], arrays: Mapping[str, np.ndarray], part: str
) -> np.ndarray:
    """Return the images of a part, after checking that they are a stack of events."""
    array = arrays[roles[Role(part, "images")]]
    array = array if isinstance(array, ShardedArray) else np.asanyarray(array)
    if array.ndim not in (2, 3, 4) or 0 in array.shape:
        raise DataError(
            f"{name} is not an array of images or rows",
            why=f"found shape {array.shape}; expected (N, D), (N, H, W) or (N, C, H, W), not empty",
            fix=_stacked(array),
        )
    owner = roles.get(Role(part, "labels"))
    if owner is not None:
        _require_rows_first(name, array, arrays[owner])
    return array


def _stacked(array: np.ndarray) -> str:
    """Return how to make a stack of events of an array that is none."""
    if 0 in array.shape:
        return "give at least two rows of at least one value"
    if array.ndim == 1:
        return "give each number a row of its own by x[:, None], or all of them one by x[None]"
    if array.ndim == 0:
        return "stack the images along a first axis"
    return "make each event a vector by x.reshape(len(x), -1), or give images (C, H, W)"


def _require_rows_first(name: str, images: np.ndarray, labels: np.ndarray) -> None:
    """Check that the rows are not the last axis, as in arrays that MATLAB wrote."""
    rows = max(np.shape(labels), default=0)
    if rows != len(images) and rows == images.shape[-1]:
        raise DataError(
            f"the rows of {name} are its last axis",
            why=f"found shape {images.shape} and {rows:,} labels; expected the rows first",
            fix="move the last axis to the front: numpy.moveaxis(x, -1, 0)",
        )


def _require_one_shape(
    name: str, images: Mapping[str, np.ndarray], roles: Mapping[Role, str]
) -> None:
    if len({array.shape[1:] for array in images.values()}) > 1:
        found = [f"{roles[Role(p, 'images')]} has {a.shape[1:]}" for p, a in images.items()]
        raise DataError(
            f"the parts of {name} differ in shape",
            why=", ".join(found),
            fix="save all of them with one shape",
        )


def _as_events(array: np.ndarray) -> np.ndarray:
    """Return (N, *event): vectors (D,) stay, images become (C, H, W) with the channels first."""
    if isinstance(array, ShardedArray):
        return cast("np.ndarray", array.changed(_as_events))
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[-1] <= _MOST_CHANNELS < array.shape[1]:
        array = np.moveaxis(array, -1, 1)
    return array


def _axis_note(array: np.ndarray) -> list[str]:
    """Return how axes were read that another reader might take otherwise."""
    is_square = array.ndim > 2 and array.shape[0] == array.shape[1]
    if is_square and _MOST_CHANNELS < array.shape[-1] != array.shape[0]:
        return [
            f"read as {len(array):,} images; if they are the last axis, as MATLAB has them, move "
            "it to the front by numpy.moveaxis(x, -1, 0)"
        ]
    if array.ndim == 3:
        return _signal_note(*array.shape)
    events = _as_events(array)
    if array.ndim != 4 or (events.shape[1] <= _MOST_CHANNELS < min(events.shape[2:])):
        return []
    channels, height, width = events.shape[1:]
    many = "channel" if channels == 1 else "channels"
    if events.shape != array.shape:
        return [f"read as {channels} {many}, which come last, of {height} × {width}"]
    return [
        f"read as {channels} {many} of {height} × {width}; if the channels come last, move them to "
        "the front by numpy.moveaxis(x, -1, 1)"
    ]


def _signal_note(rows: int, height: int, width: int) -> list[str]:
    """Return how (N, H, W) was read if an axis is as short as that of channels."""
    if not 1 < min(height, width) <= _MOST_CHANNELS < max(height, width):
        return []
    read = f"read as {rows:,} grey images of {height} × {width}"
    if height < width:
        return [f"{read}; give signals of {height} channels as x[:, :, None]"]
    return [
        f"{read}; give one colour picture as x[None], signals of {width} channels as "
        "numpy.moveaxis(x, -1, 1)[:, :, None]"
    ]


def _to_images(array: np.ndarray) -> np.ndarray:
    """Return events (N, *event), as uint8 or float32 unless they are mapped."""
    events = _as_events(array)
    return events if stays_on_disk(array) else to_bytes_or_floats(events)


def _masks(
    name: str,
    images: Mapping[str, np.ndarray],
    roles: Mapping[Role, str],
    arrays: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the mask of each part that has one."""
    owners = {p: roles[Role(p, "mask")] for p in images if Role(p, "mask") in roles}
    for part, owner in owners.items():
        _require_mask(name, owner, arrays[owner], images[part])
    return {part: arrays[owner] for part, owner in owners.items()}


def _require_in_memory(name: str, images: Mapping[str, np.ndarray]) -> None:
    """Check that no images that have a mask stay on disk: both are made one array of floats."""
    if any(map(stays_on_disk, images.values())):
        raise DataError(
            f"{name} does not fit into --memory",
            why="images that have a mask beside them cannot stay on disk",
            fix="write NaN into the images where a value is missing, or allow more --memory",
        )


def _require_mask(name: str, owner: str, mask: np.ndarray, images: np.ndarray) -> None:
    if mask.dtype != bool or mask.shape != images.shape:
        raise DataError(
            f"{owner} in {name} does not fit its images",
            why=f"found {mask.dtype} {mask.shape}; expected booleans of shape {images.shape}",
            fix=f"save {owner}.astype(bool), True where a value is known"
            if mask.shape == images.shape
            else "save a mask shaped like the images, True where a value is known",
        )
    if not mask.any():
        raise DataError(
            f"{owner} in {name} leaves no value",
            why="found False everywhere; expected True where a value is known",
            fix=f"save ~{owner} if it is True where a value is missing",
        )


def _known(images: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Return the values that a mask keeps: bytes in a row, others in place among NaN."""
    if mask is None:
        return images
    is_in_place = images.dtype.kind in "if"
    return np.where(mask, images, np.float32(np.nan)) if is_in_place else images[mask]


def _apply_mask(images: np.ndarray, mask: np.ndarray | None, white: float) -> np.ndarray:
    """Return values in units of `white` as floats, NaN where the mask is False."""
    brightness = images / np.float32(white)
    return brightness if mask is None else np.where(mask, brightness, np.float32(np.nan))


def _labels(
    images: Mapping[str, np.ndarray],
    roles: Mapping[Role, str],
    arrays: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], tuple[str, ...] | None, list[str]]:
    """Return the labels of each part, the classes, and a note if they cannot be used."""
    owners = {p: roles[Role(p, "labels")] for p in images if Role(p, "labels") in roles}
    if not owners:
        return {}, None, []
    raw = [RawLabels(arrays[owner], len(images[part]), owner) for part, owner in owners.items()]
    names = arrays.get(roles.get(Role("train", "class names"), ""))
    try:
        positions, classes = read_labels_of_parts(raw, names)
    except NotClassesError as error:
        return {}, None, [f"{error.what}, and are left out: {error.why}"]
    return dict(zip(owners, positions, strict=True)), classes, []
