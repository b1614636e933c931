"""The rows and masks that a command names with --mask, --index and --images."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from elboroom.data import masks
from elboroom.data.dataset import Identity, Part
from elboroom.errors import UsageError
from elboroom.runs.run import Run


@dataclass(frozen=True)
class Selection:
    """Rows of a run's test part, and the mask under which they are observed.

    Attributes:
        identity: the data of the run.
        test: the test part.
        index: rows of the test part.
        mask: (*event), True where a pixel is observed.
        mask_name: the mask as the command names it; None if everything is observed.
    """

    identity: Identity
    test: Part
    index: list[int]
    mask: Tensor
    mask_name: str | None

    @classmethod
    def from_options(
        cls,
        run: Run,
        *,
        mask: str | None,
        index: tuple[int, ...] | None = None,
        images: int | None = None,
        default_images: int | None = None,
    ) -> "Selection":
        """Load the rows and the mask that the options name.

        Args:
            run: the run whose test part is used.
            mask: name of the mask; None to observe everything.
            index: rows of the test part.
            images: number of rows from the first on, if `index` is None.
            default_images: the largest number of rows if both are None; None for all.

        Raises:
            DataError: if the mask cannot be read or does not fit the data.
            UsageError: if a row is not in the test part.
        """
        loaded = load_mask_of(run, mask)
        test = run.load_data().test
        rows = _rows(test, index, images, default_images)
        return cls(run.identity, test, rows, loaded, mask)

    def __len__(self) -> int:
        return len(self.index)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield x and its mask of observed values, both (B, *event), with B at most `size`."""
        for start in range(0, len(self), size):
            x = self.test.rows(self.index[start : start + size]).x
            yield x, masks.seen(x, self.mask)

    def describe(self, *, step: int, seed: int) -> dict[str, Any]:
        """Return the data, mask, seed and checkpoint that a stored result states."""
        return {
            "step": step,
            "identity": asdict(self.identity),
            "part": "test",
            "images": len(self),
            "mask": self.mask_name,
            "seed": seed,
            "unit": "nats per image",
        }


def load_mask_of(run: Run, name: str | None) -> Tensor:
    """Load a mask of the run's event shape; None observes everything."""
    if name is None:
        return torch.ones(run.event_shape, dtype=torch.bool)
    return masks.load_mask(name, run.event_shape)


def _rows(
    test: Part, index: tuple[int, ...] | None, images: int | None, default: int | None
) -> list[int]:
    if index is not None:
        _require_in_test_part(index, test)
        return list(index)
    if images is None:
        return list(range(len(test) if default is None else min(default, len(test))))
    if images > len(test):
        raise _not_in_test_part(f"--images {images} is more than the test part has", test)
    return list(range(images))


def _require_in_test_part(index: tuple[int, ...], test: Part) -> None:
    outside = [i for i in index if not 0 <= i < len(test)]
    if outside:
        raise _not_in_test_part(f"--index {outside[0]} is not a row of the test part", test)


def _not_in_test_part(what: str, test: Part) -> UsageError:
    why = f"the test part has rows 0 to {len(test) - 1:,}"
    return UsageError(what, why=why, fix="name rows within it")
