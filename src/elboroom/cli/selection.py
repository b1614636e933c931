"""The rows and masks that a command names with --data, --part, --mask, --index and --images."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elboroom.config.commands import RowsConfig
from elboroom.data import masks
from elboroom.errors import UsageError
from elboroom.runs.chosen_part import ChosenPart, row_arrays
from elboroom.runs.run import Run


@dataclass(frozen=True)
class Selection:
    """Rows of a part of the data, and the mask under which they are observed.

    Attributes:
        chosen: the part.
        index: rows of the part.
        mask: (*event), True where a pixel is observed.
        mask_name: the mask as the command names it; None if everything is observed.
    """

    chosen: ChosenPart
    index: list[int]
    mask: Tensor
    mask_name: str | None

    @classmethod
    def from_options(
        cls,
        run: Run,
        options: RowsConfig,
        *,
        mask: str | None,
        index: tuple[int, ...] | None = None,
        images: int | None = None,
        default_images: int | None = None,
    ) -> "Selection":
        """Load the rows and the mask that the options name.

        Args:
            run: the run whose model looks at the rows.
            options: options of the data and of their part.
            mask: name of the mask; None to observe everything.
            index: rows of the part.
            images: number of rows from the first on, if `index` is None.
            default_images: the largest number of rows if both are None; None for all.

        Raises:
            DataError: if the mask or the data cannot be read or do not fit the run.
            UsageError: if the data have no such part, or a row is not in the part.
        """
        loaded = load_mask_of(run, mask)
        chosen = run.choose_part(options.part, options.data)
        return cls(chosen, _rows(chosen, index, images, default_images), loaded, mask)

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, number: int, size: int) -> tuple[Tensor, Tensor]:
        """Return x and its mask of observed values, both (B, *event), of a batch of `size` rows."""
        start = number * size
        x = self.chosen.rows.rows(self.index[start : start + size]).x
        return x, masks.seen(x, self.mask)

    @property
    def rows(self) -> ChosenPart:
        """The rows as a part of their own, in memory."""
        return replace(self.chosen, rows=self.chosen.rows.rows(self.index))

    def names(self) -> dict[str, Any]:
        """Return what names the rows in a file of results: by the part, and by the source."""
        return {"index": np.array(self.index)} | row_arrays(self.chosen.rows, self.index)

    def title(self, model: str) -> str:
        """Name the data, the rows, the mask and the model, in one line."""
        part = self.chosen.rows
        of = len(self.chosen)
        nouns = part.noun if len(self) == 1 else self.nouns
        rows = self.chosen.identity.title(len(self), self.chosen.name, nouns, of)
        every = "all but missing values" if part.missing else "all"
        return f"{rows}, {self.mask_name or every} seen, {model}"

    @property
    def nouns(self) -> str:
        """The word for several rows."""
        return self.chosen.rows.nouns

    @property
    def rows_title(self) -> str:
        """Words for the number of the rows and their part, such as "20 test rows"."""
        part = "" if self.chosen.name == "all" else f"{self.chosen.name} "
        nouns = self.chosen.rows.noun if len(self) == 1 else self.nouns
        return f"{len(self):,} {part}{nouns}"

    def describe(self, *, step: int, seed: int) -> dict[str, Any]:
        """Return the data, mask, seed and checkpoint that a stored result states."""
        return {
            "step": step,
            "identity": self.chosen.identity.to_dict(),
            "part": self.chosen.name,
            "images": len(self),
            "mask": self.mask_name,
            "seed": seed,
            "unit": f"nats per {self.chosen.rows.noun}",
        }


def load_mask_of(run: Run, name: str | None) -> Tensor:
    """Load a mask of the run's event shape; None observes everything."""
    if name is None:
        return torch.ones(run.event_shape, dtype=torch.bool)
    return masks.load_mask(name, run.event_shape)


def require_unseen(selection: Selection) -> None:
    """Check that there is something to complete: a mask, or missing values."""
    if selection.mask.all() and not selection.chosen.rows.missing:
        raise UsageError(
            "there is nothing to complete",
            why=f"no value of {selection.chosen.identity.source} is missing, and no mask hides any",
            fix="name a --mask, such as top, or a boolean .npy with False where to fill in",
        )


def require_rows_in(chosen: ChosenPart, option: str, images: int) -> None:
    """Check that a part has at least `images` rows, the number that `option` asks for."""
    if images > len(chosen):
        raise _not_in_part(f"{option} {images} is more than {_named(chosen)} has", chosen)


def _rows(
    chosen: ChosenPart, index: tuple[int, ...] | None, images: int | None, default: int | None
) -> list[int]:
    count = len(chosen)
    if index is not None:
        _require_in_part(index, chosen)
        return list(index)
    if images is None:
        return list(range(count if default is None else min(default, count)))
    require_rows_in(chosen, "--images", images)
    return list(range(images))


def _require_in_part(index: tuple[int, ...], chosen: ChosenPart) -> None:
    outside = [i for i in index if not 0 <= i < len(chosen)]
    if outside:
        raise _not_in_part(f"--index {outside[0]} is not a row of {_named(chosen)}", chosen)


def _not_in_part(what: str, chosen: ChosenPart) -> UsageError:
    why = f"{_named(chosen)} has rows 0 to {len(chosen) - 1:,}"
    return UsageError(what, why=why, fix="name rows within it, or another --part")


def _named(chosen: ChosenPart) -> str:
    return (
        f"the whole of {chosen.identity.source}"
        if chosen.name == "all"
        else (f"the {chosen.name} part")
    )
