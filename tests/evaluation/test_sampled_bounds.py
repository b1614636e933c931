"""Bounds of all rows, and of a random subset, against the exact log p(x)."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from elboroom.data import Part
from elboroom.device import World
from elboroom.evaluation.double_sampling import CHOSEN, DoubleSample
from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.row_batches import RowBatches
from elboroom.evaluation.sampled_bounds import SampledBounds, sample_all, sample_subset
from elboroom.model.vae import VAE
from tests.support.oracles import LinearGaussian, UnitNoise, assert_mean, assert_rejected

ROWS, FEW, MANY = 450, 10, 300
ORACLE = LinearGaussian(6, 2, 0, orthogonal=True)


class Wide(nn.Module):
    """The exact posterior mean, with twice the standard deviation."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mask = torch.ones_like(x, dtype=torch.bool)
        mean, precision = ORACLE.posterior(x, mask)
        log_std = -0.5 * precision.diagonal(dim1=1, dim2=2).log() + math.log(2)
        return mean, log_std.expand_as(mean)


@cache
def rows() -> Tensor:
    """Rows that are sorted by their likelihood, so that the first ones are unlike the rest."""
    x = ORACLE.data(ROWS, 1)
    return x[log_evidence(x).argsort()].float()


def log_evidence(x: Tensor) -> Tensor:
    return ORACLE.log_evidence(x.double(), torch.ones_like(x, dtype=torch.bool))


def batches(seed: int, stop: Any = lambda: False, **change: Any) -> RowBatches:
    model = VAE(Wide(), ORACLE.model.decoder, 2, UnitNoise)
    part = Part(change.pop("x", rows()), None)
    given = {"on_images": lambda images: None, "stop": stop} | change
    return RowBatches(model.fixed(), part, seed, torch.float32, **given)


def ignore(stage: str, images: int) -> None: ...


def twice(seed: int, error: float = 0.02, **change: Any) -> SampledBounds:
    return sample_subset(batches(seed, **change), MANY, FEW, error, ignore)


def doubled(found: SampledBounds) -> DoubleSample:
    values = found.per_image
    return DoubleSample(values["iwae"], values["iwae_subset"], values["stage"], values["iwae_few"])


def test_the_estimate_is_that_of_the_exact_likelihood():
    exact = log_evidence(rows()).mean().item()

    found = [doubled(twice(seed)) for seed in range(14)]

    def check(means: list[float]) -> None:
        # The bound with 300 samples is within a thousandth of log p(x).
        z = [(mean - exact) / s.added_error for s, mean in zip(found, means, strict=True)]
        assert_mean(torch.tensor(z), 0.0)
        assert 0.6 < torch.tensor(z).std() < 1.5

    check([each.estimate().mean for each in found])
    assert_rejected(lambda: check([each.few.mean().item() for each in found]))


def test_the_bound_with_few_samples_is_that_of_the_first_of_the_many():
    found = twice(0)
    work, total = batches(0), torch.zeros(ROWS)
    for number, some in enumerate(work.rows):
        again = work.exact(number, FEW)
        assert again is not None
        total[some] = again["iwae"].float()
    torch.testing.assert_close(found.per_image["iwae"].float(), total)


def test_the_near_bound_has_the_same_expectation_with_less_noise():
    found = twice(0, error=1e-9).per_image

    def check(near: Tensor) -> None:
        assert_mean(found["iwae"] - near, 0.0)

    check(found["iwae_few"])
    of_two = sample_subset(batches(0), MANY, 2, 1e-9, ignore).per_image
    assert_rejected(lambda: check(of_two["iwae_few"]))
    spread = {name: (found["iwae_subset"] - found[name]).std() for name in ("iwae", "iwae_few")}
    assert spread["iwae_few"] < 0.5 * spread["iwae"]


def test_without_a_second_group_the_near_bound_is_that_of_the_first():
    found = sample_subset(batches(0), 2 * FEW - 1, FEW, 1e-9, ignore).per_image
    assert torch.equal(found["iwae"], found["iwae_few"].to(found["iwae"]))


def test_the_change_is_that_of_nested_draws():
    """Cov[L_K, L_k] = Var[L_K], so that Var[L_K − L_k] is Var[L_k] − Var[L_K] and not their sum."""
    found = sample_subset(batches(0), MANY, 60, 1e-9, ignore).per_image
    exact = log_evidence(rows())

    def check(few: Tensor) -> None:
        noise = torch.stack([found["iwae_subset"] - exact, few - exact])
        slope = noise.cov()[0, 1] / noise[0].var()
        assert abs(slope - 1) < 0.5  # of a standard error of 0.1

    check(found["iwae"])
    assert_rejected(lambda: check(sample_all(batches(1), 60, ignore).per_image["iwae"]))


def test_a_subset_of_all_rows_is_the_bound_with_many_samples():
    found = doubled(twice(0, error=1e-9))
    estimate, expected = found.estimate(), Estimate.of(found.many)
    assert estimate.mean == pytest.approx(expected.mean)
    assert estimate.standard_error == pytest.approx(expected.standard_error)


def test_the_subset_is_random_whatever_the_order_of_the_rows():
    chosen = [twice(seed, error=1.0).per_image["stage"] > 0 for seed in range(12)]
    places = torch.stack([c.nonzero()[:, 0].double().mean() for c in chosen])
    assert all(int(c.sum()) == 200 for c in chosen)
    assert_mean(places, (ROWS - 1) / 2)


def test_the_same_seed_gives_the_same_rows_and_draws():
    first, again, other = (twice(seed, error=1.0).per_image for seed in (0, 0, 1))
    assert all(torch.equal(first[n], again[n]) or first[n].isnan().any() for n in first)
    assert not torch.equal(first["stage"], other["stage"])
    assert not torch.equal(first["iwae"], other["iwae"])


@dataclass(frozen=True)
class Rank(World):
    """One of several processes, whose results are looked at before they are joined."""

    def spread(self, parts: Any) -> Any:
        return list(parts)


def test_processes_share_the_batches_and_draw_the_same(monkeypatch: pytest.MonkeyPatch):
    alone = sample_all(batches(0), FEW, ignore)
    found, seen = torch.full((ROWS,), math.nan), 0
    for rank in range(3):
        monkeypatch.setattr(
            "elboroom.evaluation.row_batches.world", lambda rank=rank: Rank(rank, 3)
        )
        share = sample_all(batches(0), FEW, ignore)
        found[share.rows], seen = share.per_image["iwae"].float(), seen + len(share.rows)
    assert seen == ROWS
    assert torch.equal(found, alone.per_image["iwae"].float())


def after(calls: int) -> Any:
    """Return a function that is False for some calls, then True."""
    left = iter(range(calls))
    return lambda: next(left, None) is None


def test_the_finished_batches_are_kept_when_it_is_stopped():
    """Each batch takes one group of samples here, and asks once before it."""
    whole = sample_all(batches(0), FEW, ignore)
    found = sample_all(batches(0, stop=after(2)), FEW, ignore)
    assert found.partial is not None
    assert (found.partial.images, found.partial.of, found.partial.k) == (200, ROWS, FEW)
    assert torch.equal(found.rows, torch.cat(batches(0).rows[:2]).sort().values)
    assert torch.equal(found.per_image["iwae"], whole.per_image["iwae"][found.rows])
    assert len(sample_all(batches(0, stop=after(0)), FEW, ignore).rows) == 0


def test_the_rows_of_a_partial_evaluation_are_a_random_sample_of_a_sorted_part():
    exact = log_evidence(rows())

    def check(estimate: Any) -> None:
        found = [sample_all(batches(seed, stop=after(2)), 50, ignore) for seed in range(20)]
        assert_mean(torch.tensor([estimate(each) for each in found]), exact.mean().item())

    check(lambda found: found.per_image["iwae"].mean().item())
    assert_rejected(lambda: check(lambda found: exact[: len(found.rows)].mean().item()))


def stopped(calls: int) -> SampledBounds:
    """Sample a subset of all rows: five batches ask once, then five ask twice."""
    return twice(0, error=1e-9, stop=after(calls))


def test_a_subset_that_is_stopped_early_says_what_is_finished():
    before, within, later, whole = stopped(4), stopped(6), stopped(9), stopped(15)
    assert before.partial is not None
    assert (before.k, before.partial.images, before.partial.k) == (FEW, 400, MANY)
    assert before.subset is None
    assert "nothing is known of K = 300 yet" in before.partial.describe("row", before.k)
    assert within.partial is not None
    assert (within.k, within.subset, within.partial.images) == (FEW, None, ROWS)
    assert later.partial is not None
    assert later.subset is not None
    assert (later.k, later.subset.images, later.partial.subset_of) == (MANY, 200, ROWS)
    assert later.partial.describe("row", MANY) == "stopped early: 200 of 450 rows of the subset"
    assert (whole.partial, whole.k) == (None, MANY)


def test_a_subset_that_is_stopped_early_is_still_unbiased():
    exact = log_evidence(rows()).mean().item()
    for calls in (7, 9):  # after the pilot, and after one batch more
        found = [doubled(twice(seed, error=1e-9, stop=after(calls))) for seed in range(8)]
        z = [(each.estimate().mean - exact) / each.added_error for each in found]
        assert_mean(torch.tensor(z), 0.0)
        assert (found[0].stage == CHOSEN).any() == (calls == 9)


def test_progress_counts_the_images_of_each_stage():
    stages, counts = [], []

    def begin(stage: str, images: int) -> None:
        stages.append((stage, images))
        counts.append(0.0)

    def advance(images: float) -> None:
        counts[-1] += images

    sample_subset(batches(0, on_images=advance), MANY, FEW, 1.0, begin)
    names = ["K = 10", "K = 300, pilot", "K = 300, subset"]
    assert stages == list(zip(names, [ROWS, 100, 100], strict=True))
    assert counts == pytest.approx([ROWS, 100, 100])
