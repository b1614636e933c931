"""Double sampling: a cheap value of all rows, and its change in a random subset."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from elboroom.errors import IncomparableError
from elboroom.evaluation.double_sampling import (
    CHOSEN,
    PILOT,
    DoubleSample,
    common_stage,
    rows_needed,
)
from elboroom.evaluation.estimate import Estimate
from elboroom.randomness import stream
from tests.support.oracles import assert_mean, assert_rejected

ROWS, PILOT_ROWS = 1_500, 100
REPEATS = 400


def population(seed: int, rows: int = ROWS) -> tuple[Tensor, Tensor]:
    """Draw cheap values, and costly ones whose change is skewed and grows as they fall."""
    generator = stream(seed, "population")
    few = 2 * torch.randn(rows, generator=generator, dtype=torch.float64) - 90
    tail = -torch.rand(rows, generator=generator, dtype=torch.float64).log()
    return few, few + tail - 0.1 * (few + 90)


def drawn(seed: int, few: Tensor, many: Tensor, error: float, pilot: int = PILOT_ROWS) -> Tensor:
    """Draw the stages of a subset as an evaluation does, but for the size of its batches."""
    order = torch.randperm(len(few), generator=stream(seed, "order"))
    return staged(order, few, many, error, pilot)


def staged(order: Tensor, few: Tensor, many: Tensor, error: float, pilot: int) -> Tensor:
    """Return the stages of a subset of rows in an order: a pilot, and as many rows at least."""
    stage = torch.zeros(len(few), dtype=torch.uint8)
    first, rest = order[:pilot], order[pilot:]
    stage[first] = PILOT
    needed = rows_needed((many - few)[first], len(few), error)
    stage[rest[: max(pilot, needed)]] = CHOSEN
    return stage


def repeated(found: Callable[[int], float]) -> Tensor:
    return torch.tensor([found(seed) for seed in range(REPEATS)], dtype=torch.float64)


def test_the_mean_over_the_rows_is_estimated_without_bias():
    few, many = population(0)
    many = few + (many - few + 0.1 * (few + 90)).pow(1.5)  # a heavier tail
    mean, error = many.mean().item(), 0.1 * (many - few).std().item()

    def sample(seed: int) -> DoubleSample:
        return DoubleSample(few, many, drawn(seed, few, many, error, pilot=10))

    def equally_weighted(seed: int) -> float:
        return (few.mean() + sample(seed).change.mean()).item()

    assert_mean(repeated(lambda seed: sample(seed).estimate().mean), mean, errors=3)
    # A pilot of large changes asks for more rows, among which it would count less.
    assert_rejected(lambda: assert_mean(repeated(equally_weighted), mean, errors=3))


def test_a_subset_of_the_first_rows_of_a_sorted_part_is_biased():
    few, many = population(0)
    order = (many - few).argsort()

    def check(order: Tensor) -> None:
        found = DoubleSample(few, many, staged(order, few, many, 0.05, PILOT_ROWS))
        assert abs(found.estimate().mean - many.mean().item()) < 4.5 * found.added_error

    check(order[torch.randperm(ROWS, generator=stream(0, "order"))])
    assert_rejected(lambda: check(order))


def test_the_added_error_is_the_spread_over_subsets():
    few, many = population(0)

    def standardised(seed: int) -> float:
        found = DoubleSample(few, many, drawn(seed, few, many, 0.05))
        return (found.estimate().mean - many.mean().item()) / found.added_error

    z = repeated(standardised)
    assert 0.85 < z.std() < 1.15
    assert 0.92 < (z.abs() < 1.96).double().mean() < 0.98


def noisy(seed: int, few: Tensor, noise: float, error: float) -> DoubleSample:
    """Draw a subset of rows whose cheap value has noise of which the near value has less."""
    generator = stream(seed, "noise")
    cheap, near = (
        few + scale * torch.randn(len(few), generator=generator, dtype=torch.float64)
        for scale in (noise, 0.1 * noise)
    )
    _, many = population(0)
    stage, order = (
        torch.zeros(len(few), dtype=torch.uint8),
        torch.randperm(ROWS, generator=generator),
    )
    first = order[:PILOT_ROWS]
    needed = rows_needed((many - near)[first], ROWS, error, (near - cheap)[first])
    stage[first], stage[order[PILOT_ROWS:][:needed]] = PILOT, CHOSEN
    return DoubleSample(cheap, many, stage, near)


def test_noise_of_the_cheap_values_is_part_of_the_added_error():
    few, many = population(0)
    samples = [noisy(seed, few, noise=1.5, error=0.06) for seed in range(REPEATS)]

    def check(samples: list[DoubleSample]) -> None:
        apart = [found.estimate().mean - many.mean().item() for found in samples]
        z = torch.tensor([a / s.added_error for a, s in zip(apart, samples, strict=True)])
        assert_mean(z.double(), 0.0, errors=3)
        assert 0.85 < z.std() < 1.15

    check(samples)
    without = [DoubleSample(s.few, s.many, s.stage, s.few) for s in samples]
    assert_rejected(lambda: check([replace(s, near=s.few + 0.1) for s in samples]))
    assert torch.tensor([s.added_error for s in samples]).median() < 0.06
    assert all(n.added_error > s.added_error for n, s in zip(without, samples, strict=True))


def sampled(seed: int) -> DoubleSample:
    """Draw a population's rows, and a subset of them."""
    few, many = population(seed, 400)
    return DoubleSample(few, many, drawn(seed, few, many, 0.15, pilot=25))


def test_the_standard_error_is_about_the_population_and_has_both_sources():
    samples = [sampled(seed) for seed in range(REPEATS)]
    apart = torch.tensor([found.estimate().mean + 90 - 1 for found in samples])

    def check(error: Callable[[DoubleSample], float]) -> None:
        errors = torch.tensor([error(found) for found in samples])
        assert 0.925 < (apart.abs() < 1.96 * errors).double().mean() < 0.975

    def of_rows_alone(found: DoubleSample) -> float:
        return Estimate.of(found.few).standard_error

    check(lambda found: found.estimate().standard_error)
    assert_rejected(lambda: check(lambda found: found.added_error))
    assert_rejected(lambda: check(of_rows_alone))


def test_with_all_rows_in_the_subset_the_estimate_is_that_of_the_costly_values():
    few, many = population(0, 300)
    stage = drawn(0, few, many, 1e-9)
    assert int((stage > 0).sum()) == 300
    found, expected = DoubleSample(few, many, stage), Estimate.of(many)
    assert found.added_error == 0
    assert found.estimate().mean == pytest.approx(expected.mean, rel=1e-12)
    assert found.estimate().standard_error == pytest.approx(expected.standard_error, rel=1e-12)


def test_the_estimate_by_hand():
    few = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, 8.0])
    many = torch.tensor([1.0, 3.0, math.nan, 4.0, math.nan, 9.0])
    stage = torch.tensor([PILOT, PILOT, 0, CHOSEN, 0, CHOSEN], dtype=torch.uint8)
    found = DoubleSample(few, many, stage)
    # 3 + (1 + 2) / 6 + 4 / 6 · 1, whose two chosen rows stand for four
    assert found.estimate().mean == pytest.approx(3 + 0.5 + 4 / 6)
    assert found.change.tolist() == [1, 2, 1, 1]
    assert found.added_error == 0  # both chosen rows change alike
    pilot_alone = DoubleSample(few, many, torch.where(stage == PILOT, stage, 0))
    assert pilot_alone.estimate().mean == pytest.approx(3 + 1.5)
    assert pilot_alone.added_error == pytest.approx(math.sqrt(0.5 * (1 / 2 - 1 / 6)))


def exact_error(few: Tensor, many: Tensor, stage: Tensor) -> float:
    """Return the standard deviation of the estimate over the rows chosen after a given pilot."""
    rest, chosen = int((stage != PILOT).sum()), int((stage == CHOSEN).sum())
    spread = (many - few)[stage != PILOT].std().item()
    return rest / len(few) * spread * math.sqrt(1 / chosen - 1 / rest)


def test_the_error_that_is_asked_for_is_met(monkeypatch: pytest.MonkeyPatch):
    few, many = population(0)

    def check() -> None:
        for error in (0.05, 0.03):
            met = [exact_error(few, many, drawn(s, few, many, error)) <= error for s in range(200)]
            assert sum(met) > 0.85 * len(met)

    check()
    monkeypatch.setattr("elboroom.evaluation.double_sampling._CAUTION", 0.0)
    assert_rejected(check)


def test_the_number_of_rows_has_a_least_and_a_most():
    change = torch.arange(50.0)
    assert rows_needed(change, 2_000, 1e-6) == 1_950
    assert rows_needed(change, 2_000, 1e6) == 1
    assert rows_needed(torch.ones(50), 2_000, 0.1) == 1
    assert rows_needed(torch.full((50,), math.nan), 2_000, 0.1) == 1
    assert rows_needed(change, 2_000, math.nan) == 1
    assert rows_needed(change, 2_000, 0.1, torch.full((50,), -math.inf)) == 1
    assert rows_needed(change, 2_000, 0.1, torch.full((50,), math.nan)) == 1
    assert rows_needed(change, 2_000, 0.0) == 1_950
    assert rows_needed(change, 50, 0.1) == 0


def test_values_that_are_not_finite_are_counted():
    few, many = population(0, 200)
    stage = drawn(0, few, many, 1.0)
    many[stage.argmax()] = -math.inf
    assert "1 of 400 values are not finite" in str(DoubleSample(few, many, stage).estimate())


def test_the_common_subset_is_the_smaller_one_of_two_that_are_nested():
    few, many = population(0)
    small, large = (drawn(0, few, many, error) for error in (0.2, 0.05))
    assert torch.equal(common_stage(small, large), small)  # type: ignore[arg-type]
    assert torch.equal(common_stage(large, small), small)  # type: ignore[arg-type]
    assert torch.equal(common_stage(None, small), small)  # type: ignore[arg-type]
    assert common_stage(None, None) is None
    with pytest.raises(IncomparableError, match="different seeds"):
        common_stage(small, drawn(1, few, many, 0.05))
