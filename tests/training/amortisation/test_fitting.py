import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
import torch
from torch.distributions import MultivariateNormal

from elboroom.config import TrainConfig
from elboroom.errors import TrainingError, UsageError
from elboroom.evaluation import sbc_ranks, uniformity
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.sir import sir
from elboroom.infer.target import Target
from elboroom.model.fingerprint import fingerprint
from elboroom.model.posteriors import CholeskyGaussian, Density, DiagonalGaussian
from elboroom.training.amortisation import Look, amortise, fitting
from elboroom.training.amortisation.masks import random_masks
from elboroom.training.amortisation.pairs import Pairs, PairSource
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected
from tests.support.partial_cases import LATENTS, NETWORKS, OPTIONS, PIXELS, new_problem
from tests.support.partial_cases import trained_problem as trained

ROWS = 2_000
QUICK = replace(OPTIONS, steps=4, batch_size=8, data_share=0.5)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of the oracle, some but not all of each seen."""
    x = LinearGaussian(PIXELS, LATENTS, seed=80).data(ROWS, seed=2)
    mask = random_masks(4 * ROWS, (PIXELS,), x, generator(3))
    between = mask.any(1) & ~mask.all(1)
    return x, mask[between][:ROWS]


@torch.no_grad()
def excess(r: Density, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """KL(p(z | x_seen) ‖ r) of each row, in closed form."""
    exact, _ = trained()
    mean, precision = exact.posterior(x, mask)
    truth = MultivariateNormal(mean, precision_matrix=precision)
    found = MultivariateNormal(r.mean, r.covariance)
    return torch.distributions.kl_divergence(truth, found)


def assert_close(r: Density, x: torch.Tensor, mask: torch.Tensor) -> None:
    assert excess(r, x, mask).mean() < 0.03


def test_it_approaches_the_exact_posterior_under_every_mask():
    exact, fit = trained()
    x, mask = rows()
    r = exact.model.amortised_posterior(x, mask)
    assert_close(r, x, mask)
    for first in range(3):
        one = torch.zeros(ROWS, PIXELS, dtype=torch.bool)
        one[:, first] = True
        for seen in (one, ~one):
            assert_close(exact.model.amortised_posterior(x, seen), x, seen)
    shown, seen = x.masked_fill(~mask, 0.0), torch.ones_like(mask)
    assert_rejected(lambda: assert_close(fit.partial.between(exact.model, shown, seen), x, mask))
    assert_rejected(lambda: assert_close(exact.model.posterior(x, mask), x, mask))


def test_latents_of_other_rows_are_noticed(monkeypatch: pytest.MonkeyPatch):
    drawn = PairSource.draw

    def planted(source: PairSource, count: int, noise: torch.Generator) -> Pairs:
        found = drawn(source, count, noise)
        return replace(found, z=found.z.roll(1, 0))

    monkeypatch.setattr(PairSource, "draw", planted)
    exact, data = new_problem()
    amortise(exact.model, data, replace(OPTIONS, steps=100), NETWORKS)
    x, mask = rows()
    assert_rejected(lambda: assert_close(exact.model.amortised_posterior(x, mask), x, mask))


def test_the_held_out_loss_is_that_of_the_exact_posterior_but_for_the_fit():
    exact, fit = trained()
    assert fit.best.loss == min(look.loss for look in fit.looks)
    gain = fit.drawn["encoder"] - fit.drawn["partial encoder"]
    assert gain.mean() > 4 * gain.std() / len(gain) ** 0.5
    assert not fit.stopped
    assert fit.looks[-1].step == OPTIONS.steps
    assert exact.model.partial_encoder is fit.partial


def test_the_mean_weight_of_its_particles_is_the_evidence():
    exact, _ = trained()
    x, mask = (part[:300] for part in rows())

    def check(evidence: torch.Tensor) -> None:
        found = sir(exact.model, x, mask, generator=generator(), particles=200)
        assert (found.diagnostics["pareto_k"] < 0.7).double().mean() > 0.9
        # E w = p(x_seen)
        assert_mean((found.log_weights - evidence).exp().mean(0), 1.0)

    truth = exact.log_evidence(x, mask)
    check(truth)
    assert_rejected(lambda: check(truth + 0.05))


def test_ranks_of_weighted_draws_are_uniform():
    exact, _ = trained()
    model = exact.model
    mask = torch.tensor([True, False, True])

    def ranks(narrow: bool) -> torch.Tensor:
        def method(model, x, mask):
            target = Target.of(model, x, mask)
            q = model.amortised_posterior(*target.given.data)
            if narrow:
                q = CholeskyGaussian(q.location, q.log_std - 0.4, q.lower)
                return VariationalPosterior.of(target, q, generator(5))
            return sir(model, x, mask, generator=generator(5), particles=400)

        return sbc_ranks(model, method, rows=ROWS, draws=19, generator=generator(), mask=mask)

    def check(found: torch.Tensor) -> None:
        assert uniformity(found, 19, bins=10).min() > 1e-3

    check(ranks(narrow=False))
    assert_rejected(lambda: check(ranks(narrow=True)))


def test_the_model_does_not_change():
    exact, data = new_problem()
    before = copy.deepcopy(exact.model)
    amortise(exact.model, data, QUICK, NETWORKS)
    assert fingerprint(exact.model) == fingerprint(before)
    for found, kept in zip(exact.model.parameters(), before.parameters(), strict=True):
        assert torch.equal(found, kept)
        assert found.requires_grad
        assert found.grad is None


def test_the_same_seed_gives_the_same_weights():
    def weights(seed: int) -> str:
        exact, data = new_problem()
        return fingerprint(
            amortise(exact.model, data, replace(QUICK, seed=seed), NETWORKS).partial.module
        )

    assert weights(0) == weights(0) != weights(1)


def test_it_stops_after_a_step_and_keeps_the_best():
    exact, data = new_problem()
    steps, seen = [], list[Look]()

    def stop() -> bool:
        steps.append(1)
        return len(steps) == 3

    fit = amortise(
        exact.model, data, QUICK, NETWORKS, stop=stop, on_look=lambda look, _: seen.append(look)
    )
    assert fit.stopped
    assert fit.looks[-1].step == 3
    assert seen == fit.looks


def test_training_further_keeps_what_was_better():
    exact, data = new_problem()
    before = copy.deepcopy(trained()[1].partial)
    worse = replace(QUICK, learning_rate=0.9, data_share=0.0)
    fit = amortise(exact.model, data, worse, NETWORKS, partial=before)
    assert fit.best.step == 0
    assert fingerprint(fit.partial.module) == fingerprint(trained()[1].partial.module)


def test_a_diagonal_family():
    exact, data = new_problem()
    fit = amortise(exact.model, data, replace(QUICK, family="diagonal"), NETWORKS)
    x, mask = rows()
    assert type(fit.partial.between(exact.model, x, mask)) is DiagonalGaussian


def rates_by_a_clock(monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int], float]) -> list:
    """Train for a minute of a clock that shows a time at each reading; return the step sizes."""
    readings, rates = count(), list[float]()
    monkeypatch.setattr(fitting.time, "perf_counter", lambda: seconds(next(readings)))
    rate_at = fitting.learning_rate

    def noted(config: TrainConfig, progress: float) -> float:
        rates.append(rate_at(config, progress))
        return rates[-1]

    monkeypatch.setattr(fitting, "learning_rate", noted)
    exact, data = new_problem()
    fit = amortise(exact.model, data, replace(QUICK, steps=None, minutes=1.0), NETWORKS)
    assert (fit.looks[-1].step, fit.looks[-1].progress, fit.stopped) == (len(rates), 1.0, False)
    return rates


def test_the_learning_rate_follows_the_clock(monkeypatch: pytest.MonkeyPatch):
    """A machine that slows down in the middle takes fewer steps, and ends at the same rate."""
    even = rates_by_a_clock(monkeypatch, lambda reading: 3.0 * reading)
    assert len(even) == 19
    monkeypatch.undo()
    slowed = rates_by_a_clock(monkeypatch, lambda reading: 3.0 * reading + max(0, reading - 10) * 6)
    assert slowed[:10] == even[:10]
    assert slowed[10:] == even[12::3]


def test_at_least_one_step_is_taken():
    exact, data = new_problem()
    fit = amortise(exact.model, data, replace(QUICK, steps=None, minutes=1e-9), NETWORKS)
    assert [(look.step, look.progress) for look in fit.looks] == [(1, 1.0)]


def test_a_loss_that_is_not_finite_is_refused(monkeypatch: pytest.MonkeyPatch):
    exact, data = new_problem()
    drawn = PairSource.draw

    def planted(source: PairSource, count: int, noise: torch.Generator) -> Pairs:
        found = drawn(source, count, noise)
        return replace(found, z=found.z * torch.inf)

    monkeypatch.setattr(PairSource, "draw", planted)
    with pytest.raises(TrainingError, match="is not finite"):
        amortise(exact.model, data, QUICK, NETWORKS)


def test_other_options_are_refused():
    exact, data = new_problem()
    with pytest.raises(UsageError, match="AmortiseConfig"):
        amortise(exact.model, data, NETWORKS, NETWORKS)  # type: ignore[arg-type]
