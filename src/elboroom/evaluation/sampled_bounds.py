"""The bounds of the rows of a part: with K samples of all rows, or of a random subset alone."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elboroom.evaluation.double_sampling import CHOSEN, OUTSIDE, PILOT, DoubleSample, rows_needed
from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.row_batches import IMAGES_AT_A_TIME, RowBatches
from elboroom.html_table import Shown, Summary

_OF_SUBSET = {
    "iwae": "iwae_subset",
    "iwae_few": "iwae_few",
    "ess": "ess_subset",
    "k_hat": "k_hat_subset",
}
"""The values of a subset, and the names that they have beside those of all rows."""
_SHARE = 0.25  # of the standard error over rows; in squares it adds 3 % to the whole error

OnStage = Callable[[str, int], None]


@dataclass(frozen=True)
class Subset(Shown):
    """A random subset of the rows, of which alone a bound has K samples.

    Attributes:
        k_all: number of samples of every row; in the subset they are the first of the K.
        images: n, the number of rows in the subset.
        pilot: number of those whose change by more samples decided n.
        asked_error: the standard error that the subset was allowed to add, in nats.
        error: the standard error that it adds, in nats; None if unknown.
        seconds: elapsed time of the subset.

    Example:
        >>> from elboroom import evaluate
        >>> found = evaluate(model, data, part="train", k=50, k_all=5, error=0.5, seed=0)
        >>> found.subset.k_all, found.subset.pilot, found.subset.images < len(data.train)
        (5, 100, True)
        >>> found.subset.error < 0.5  # nats, beside that of the images
        True
    """

    k_all: int
    images: int
    pilot: int
    asked_error: float | None
    error: float | None
    seconds: float

    def _summary(self) -> Summary:
        return Summary("", vars(self))

    def describe(self, k: int, noun: str) -> str:
        """Write how the bound with k samples was estimated, in one line."""
        added, asked = (
            "unknown" if e is None else f"{e:.3f}" for e in (self.error, self.asked_error)
        )
        return (
            f"IWAE bound: {self.k_all:,} samples for all {noun}s, {k:,} for {self.images:,} random "
            f"ones (pilot {self.pilot:,}), which adds ± {added} (asked: {asked}) and took "
            f"{self.seconds:.0f} s"
        )


@dataclass(frozen=True)
class Partial(Shown):
    """A record of an evaluation that was stopped early; the finished rows are a random sample.

    Attributes:
        images: number of finished rows.
        of: number of all rows.
        k: K, the number of samples that was asked for.
        subset: number of rows with K samples, if only a subset was to have them.
        subset_of: number of rows that the subset was to have; None if that was not known yet.

    Example:
        >>> from elboroom import evaluate
        >>> done = []
        >>> found = evaluate(
        ...     model, data, k=10, seed=0, on_images=done.append, stop=lambda: sum(done) >= 100
        ... )
        >>> found.partial.images, found.partial.of, found.rows.shape
        (100, 200, torch.Size([100]))
    """

    images: int
    of: int
    k: int
    subset: int = 0
    subset_of: int | None = None

    def _summary(self) -> Summary:
        return Summary("", vars(self))

    def describe(self, noun: str, k: int) -> str:
        """Write what was finished with k samples, in one line."""
        if self.subset_of is not None:
            return f"stopped early: {self.subset:,} of {self.subset_of:,} {noun}s of the subset"
        done = f"stopped early: {self.images:,} of {self.of:,} {noun}s"
        done += ", chosen at random" if self.images < self.of else ""
        return done if k == self.k else f"{done}; nothing is known of K = {self.k:,} yet"


@dataclass(frozen=True)
class SampledBounds:
    """The bounds that were sampled of the rows of a part.

    Attributes:
        rows: (r,) int64, the rows that are known, ascending; all unless it is `partial`.
        per_image: the values of each of them, (r,), as `Evaluation.per_image` has them.
        k: number of samples of the bound.
        subset: the subset that has as many, if not all rows have.
        partial: how much was finished, if sampling was stopped early.
    """

    rows: Tensor
    per_image: dict[str, Tensor]
    k: int
    subset: Subset | None = None
    partial: Partial | None = None


def sample_all(batches: RowBatches, k: int, on_stage: OnStage) -> SampledBounds:
    """Sample k latents of every row."""
    total = len(batches.part)
    rows, values = _sample(batches, range(len(batches.rows)), f"K = {k:,}", on_stage, k)
    partial = None if len(rows) == total else Partial(len(rows), total, k)
    return SampledBounds(rows, values, k, partial=partial)


def sample_subset(
    batches: RowBatches, k: int, k_all: int, error: float | None, on_stage: OnStage
) -> SampledBounds:
    """Sample `k_all` latents of every row, and k of a random subset.

    In the subset the first of the k samples are those `k_all`, and the others make further bounds
    with so many. The mean of these has the same expectation and less noise: the change from it to
    the bound with k samples varies less, and fewer rows are needed.

    Args:
        batches: the rows in random batches; the first is the pilot, the next ones are chosen.
        k: number of samples in the subset, above `k_all`.
        k_all: number of samples of every row.
        error: the standard error that the subset may add; None allows a quarter of that over rows.
        on_stage: called before each stage with its name and its number of images in this process.
    """
    total, every = len(batches.part), sample_all(batches, k_all, on_stage)
    if every.partial is not None:
        return replace(every, partial=replace(every.partial, k=k))
    few, groups, clock = every.per_image["iwae"], (k_all, k - k_all), time.perf_counter()
    asked = _SHARE * Estimate.of(few).standard_error if error is None else error
    pilot, values = _sample(batches, range(1), f"K = {k:,}, pilot", on_stage, *groups)
    if not len(pilot):
        return replace(every, partial=Partial(total, total, k))
    change, noise = values["iwae"] - values["iwae_few"], values["iwae_few"] - few[pilot]
    needed = rows_needed(change, total, asked, noise)
    numbers = range(1, min(len(batches.rows), 1 + math.ceil(needed / IMAGES_AT_A_TIME)))
    chosen, more = _sample(batches, numbers, f"K = {k:,}, subset", on_stage, *groups)
    known = _spread_out(values, pilot, more, chosen, total)
    many = known["iwae_subset"]
    added = DoubleSample(few, many, known["stage"], known["iwae_few"]).added_error
    subset = Subset(
        k_all,
        images=len(pilot) + len(chosen),
        pilot=len(pilot),
        asked_error=_or_none(asked),
        error=_or_none(added),
        seconds=round(time.perf_counter() - clock, 3),
    )
    planned = len(pilot) + batches.images(numbers)
    stopped = subset.images < planned
    partial = Partial(total, total, k, subset.images, planned) if stopped else None
    return SampledBounds(every.rows, every.per_image | known, k, subset, partial)


def _sample(
    batches: RowBatches, numbers: range, stage: str, on_stage: OnStage, *groups: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sample batches, after `on_stage` was told of those of this process."""
    on_stage(stage, batches.own_images(numbers))
    return batches.sample(numbers, *groups)


def _spread_out(
    values: dict[str, Tensor], pilot: Tensor, more: dict[str, Tensor], chosen: Tensor, total: int
) -> dict[str, Tensor]:
    """Return the values of a subset with one place for each row, NaN outside, and their stages."""
    stage = torch.full((total,), OUTSIDE, dtype=torch.uint8)
    stage[pilot], stage[chosen] = PILOT, CHOSEN
    found = {"stage": stage}
    for name, as_known in ((n, of) for n, of in _OF_SUBSET.items() if n in values):
        spread = torch.full((total,), math.nan, dtype=values[name].dtype)
        spread[pilot] = values[name]
        if more:
            spread[chosen] = more[name]
        found[as_known] = spread
    return found


def _or_none(number: float) -> float | None:
    return number if math.isfinite(number) else None
