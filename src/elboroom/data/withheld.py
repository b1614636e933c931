"""Entries that are withheld from training on purpose, to watch it and to test it by them."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elboroom.config import DataConfig
from elboroom.data.binarisation import Binarisation
from elboroom.data.part import Part
from elboroom.data.source import Source
from elboroom.errors import UsageError

WATCHED_BY = "log p(withheld | seen)"
"""The name of the score of withheld entries."""
_SEED = 20041213  # of the draw, which depends on the known entries alone


@dataclass(frozen=True)
class WithheldEntries:
    """Known entries of a table that training does not see, in two halves.

    Attributes:
        validation: (N, *event), True for an entry that watches training.
        test: (N, *event), True for an entry that nothing sees before the test.
    """

    validation: Tensor
    test: Tensor

    @classmethod
    def draw(cls, known: Tensor, share: float) -> "WithheldEntries":
        """Withhold a share of the known entries (N, *event), at random; each row keeps one."""
        generator = torch.Generator().manual_seed(_SEED)
        order = torch.rand(known.shape, generator=generator).masked_fill(~known, 2.0).flatten(1)
        # The entry of a row that comes last is never withheld.
        last = order.masked_fill(order > 1, -1.0).argmax(1, keepdim=True)
        order = order.scatter(1, last, 2.0).view(known.shape)
        return cls(order < share / 2, (order >= share / 2) & (order < share))

    def parts(self, x: Tensor, whole: Part) -> tuple[Part, Part, Part]:
        """Return the parts for training, validation and testing, each with every row of x.

        Validation sees what training does, and scores its entries; testing sees both.
        """
        seen = replace(whole, images=x.masked_fill(self.validation | self.test, torch.nan))
        watched = x.masked_fill(self.test, torch.nan)
        return (
            seen,
            replace(whole, images=watched, withheld=self.validation),
            replace(whole, images=x, withheld=self.test),
        )


def withhold(whole: Part, share: float) -> tuple[Part, Part, Part]:
    """Divide the known entries of a part, in place of its rows.

    Args:
        whole: every row, in memory.
        share: of the known entries, half for validation and half for testing.
    """
    x = whole.x
    plain = replace(whole, binarisation=Binarisation(missing=True))
    return WithheldEntries.draw(~x.isnan(), share).parts(x, plain)


def require_one_table(source: Source, config: DataConfig) -> None:
    """Check that entries can be withheld from a source: it is one array, in memory and real.

    Raises:
        UsageError: if it is not.
    """
    found = None
    if len(source.parts) > 1:
        found = "data with held-out parts of their own"
    elif source.mapped:
        found = "data that stay on disk"
    elif config.binarisation != "none":
        found = f"--binarisation {config.binarisation}"
    elif config.validation not in (0, "auto") or config.group_by is not None:
        found = "--validation or --group-by, which choose rows"
    if found is not None:
        raise UsageError(
            f"found {found} with --withhold; expected one table whose values stay as they are",
            why="entries are withheld from every row, in place of rows",
            fix="leave --withhold out, or give one table in memory",
        )
