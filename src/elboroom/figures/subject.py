"""The subject of the figures: a model, its data and the history of its training."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from elboroom.config import FiguresConfig
from elboroom.data import Dataset, Part, noun
from elboroom.data.masks import load_mask, seen
from elboroom.errors import NotDrawableError
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.metrics import EpochMetrics


@dataclass(frozen=True)
class Subject:
    """The model, data and training history that the figures show.

    Attributes:
        model: on the CPU.
        load_data: loads the data, whose test part is shown, when a figure asks for them.
        event_shape: shape of one row.
        history: metrics of each epoch.
        config: options.
        held_out: name of the part that training was watched by.
        part_name: name of the part that is shown, for captions.
        likelihood: name of p(x | z), for captions; empty if it has none.
        in_unit_interval: True if all values of the data are known to lie in [0, 1].
    """

    model: VAE
    load_data: Callable[[], Dataset]
    event_shape: tuple[int, ...]
    history: list[EpochMetrics]
    config: FiguresConfig
    held_out: str = "test"
    part_name: str = "test"
    likelihood: str = ""
    in_unit_interval: bool = False

    @cached_property
    def data(self) -> Dataset:
        """The data, which are loaded at the first use."""
        return self.load_data()

    @property
    def part(self) -> Part:
        """The part of the data that is shown."""
        return self.data.test

    @property
    def noun(self) -> str:
        """The word for one row of the data: image or row."""
        return noun(self.event_shape)

    def words(self, count: int) -> str:
        """Return the words for some rows of the part that follow their number: test images."""
        part = "" if self.part_name == "all" else f"{self.part_name} "
        return f"{part}{self.noun}{'s' * (count != 1)}"

    @property
    def value_range(self) -> tuple[float, float] | None:
        """The values of black and white: 0 and 1 for values there; None stretches real values."""
        bounded = self.model.likelihood.density.bounded
        return (0.0, 1.0) if bounded or self.in_unit_interval else None

    def generator(self, name: str) -> torch.Generator:
        """Return the random stream of one figure; it does not depend on which others are drawn."""
        return stream(self.config.seed, name)

    def seen(self, x: Tensor) -> Tensor:
        """Return the mask of the config for `x` (B, *event), False where a pixel is missing."""
        return seen(x, load_mask(self.config.mask, self.event_shape))

    def describe(self, rows: Part, *, masked: bool = False) -> str:
        """Return words for some rows of the part, such as "test images, rows 3 and 18 of x_test".

        Args:
            rows: the rows.
            masked: True if the mask of the config hides some of them.
        """
        numbers = ", ".join(f"{number:,}" for number in rows.numbers)
        source = f" of {rows.origin}" if rows.origin else ""
        which = "row" if len(rows) == 1 else "rows"
        words = f"{self.words(len(rows))}, {which} {numbers}{source}"
        return f"{words}; seen: {self.config.mask}" if masked else words


def is_picture(event_shape: tuple[int, ...]) -> bool:
    """Return True for events (C, H, W) that are grey or have three colours."""
    return len(event_shape) == 3 and event_shape[0] in (1, 3)


def require_images(event_shape: tuple[int, ...], name: str) -> None:
    """Check that events can be drawn as pictures.

    Raises:
        NotDrawableError: if they cannot.
    """
    if not is_picture(event_shape):
        raise NotDrawableError(
            f"the {name} figure needs images",
            why=f"rows of shape {event_shape} are not images (C, H, W) with C = 1 or 3",
            fix="choose the figures that need none: --only latent curves",
        )
