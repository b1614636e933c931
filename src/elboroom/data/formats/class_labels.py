"""Labels that count known classes from 0, as `ClassLabel` of Hugging Face `datasets` does."""

from collections.abc import Iterable, Sequence

import numpy as np

from elboroom.data.labels import UNLABELLED


def positions(found: np.ndarray, classes: int) -> np.ndarray:
    """Return labels of known classes, with the number of classes where there is none.

    Args:
        found: (N,) numbers; −1 and NaN are no label.
        classes: the number of classes.

    Raises:
        ValueError: if there is no such class.
    """
    has_none = (found == -1) | (found != found)
    others = found[~has_none]
    if ((others < 0) | (others >= classes)).any():
        raise ValueError(f"it has labels {others.min()} to {others.max()} of {classes} classes")
    return np.where(has_none, classes, found)


def known(pieces: Sequence[np.ndarray], classes: Sequence[str] | None) -> np.ndarray | None:
    """Join the labels of a part; None if there are none, or no row has one."""
    if not pieces:
        return None
    found = np.concatenate(pieces)
    return None if classes is not None and (found == len(classes)).all() else found


def class_names(classes: Sequence[str], found: Iterable[np.ndarray]) -> np.ndarray:
    """Return the names of known classes, with one for rows without a label if there are any."""
    has_unlabelled = any((labels == len(classes)).any() for labels in found)
    return np.array([*classes, *([UNLABELLED] if has_unlabelled else [])])
