from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from elboroom.errors import UsageError
from elboroom.infer import grid, laplace
from elboroom.infer.chains import mode_jumps
from elboroom.infer.chains.adaptation import StepSize
from elboroom.infer.chains.hamiltonian import State
from elboroom.infer.diagnostics import chain_ess
from elboroom.infer.hmc import hmc
from elboroom.infer.laplace import mixture_of_modes
from elboroom.infer.posterior import Posterior
from elboroom.infer.target import Target
from elboroom.model.vae import VAE
from tests.support.chain_cases import EVENT, generator, images, linear, small_vae
from tests.support.oracles import Constant, UnitNoise, assert_mean, assert_rejected


def moments(draws, mean):
    """What to average for the mean and the covariance: (T, C, B, D) → (T, C, B, D + D²)."""
    centred = draws - mean
    products = centred[..., :, None] * centred[..., None, :]
    return torch.cat([centred, products.flatten(-2)], -1)


def z_scores(draws, mean, covariance):
    """Of the mean and the covariance, in Monte-Carlo errors that know how chains correlate."""
    values = moments(draws.double(), mean)
    expected = torch.cat([torch.zeros_like(mean), covariance.flatten(-2)], -1)
    error = values.std((0, 1)) / chain_ess(values).sqrt()
    return (values.mean((0, 1)) - expected) / error


def assert_moments(draws, mean, covariance):
    z = z_scores(draws, mean, covariance)
    assert z.abs().max() < 4.5, f"{z.abs().max():.1f} standard errors away"


def assert_linear_moments(latents, warmup=80, **options):
    exact, x, mask = linear(latents)
    options |= {"chains": 24, "warmup": warmup, "draws": 125}
    found = hmc(exact.model, x, mask, generator=generator(), **options)
    mean, precision = exact.posterior(x, mask)
    assert_moments(found.draws, mean, precision.inverse())
    return found


@pytest.mark.parametrize(("latents", "mass"), [(1, "dense"), (3, "dense"), (3, "diagonal")])
def test_moments_are_those_of_the_linear_gaussian_model(latents, mass):
    found = assert_linear_moments(latents, mass=mass)
    assert (found.rhat < 1.02).all()
    assert (found.divergences == 0).all()
    assert (found.acceptance > 0.7).all()
    draws, mean, covariance = found.draws, found.mean, found.covariance
    assert_moments(draws, mean, covariance)
    assert_rejected(lambda: assert_moments(draws, mean, 0.8 * covariance))
    assert_rejected(lambda: assert_moments(draws, mean + 0.2, covariance))


def test_a_walk_without_metropolis_is_noticed(monkeypatch):
    coarse = property(lambda self: torch.full_like(self.log_step, 1.5))
    monkeypatch.setattr(StepSize, "average", coarse)
    assert_linear_moments(1, warmup=0)
    monkeypatch.setattr(State, "where", lambda self, chosen, other: self)
    assert_rejected(lambda: assert_linear_moments(1, warmup=0))


def test_single_precision_gives_the_same_moments():
    exact, x, mask = linear(2)
    mean, precision = exact.posterior(x, mask)
    options = {"chains": 16, "warmup": 80, "draws": 125}
    found = hmc(exact.model.float(), x.float(), mask, generator=generator(), **options)
    assert found.draws.dtype == torch.float32
    assert_moments(found.draws, mean, precision.inverse())


def test_moments_of_a_small_decoder_are_those_of_the_grid():
    model = small_vae(seed=3, spread=3)
    x, mask = images(6, seed=4)
    found = hmc(model, x, mask, generator=generator(), chains=16, warmup=100, draws=200)
    assert found.converged.all()
    exact = grid(model, x, mask, generator=generator())
    reference = moments(exact.sample(40_000).double(), exact.mean)
    values = moments(found.draws, exact.mean)
    error = values.var((0, 1)) / chain_ess(values) + reference.var(0) / len(reference)

    def check(values):
        assert ((values.mean((0, 1)) - reference.mean(0)).abs() < 4.5 * error.sqrt()).all()

    check(values)
    assert_rejected(lambda: check(0.8 * values))
    assert_rejected(lambda: check(values[:, :, torch.arange(6).roll(1)]))


def test_a_row_that_sees_nothing_gets_the_prior():
    model = small_vae(seed=3, spread=3)
    x, mask = images(2, seed=4)
    options = {"chains": 16, "warmup": 64, "draws": 125}
    draws = hmc(model, x, mask, generator=generator(), **options).draws[:, :, :1]
    zero, identity = torch.zeros(1, 2).double(), torch.eye(2).double()[None]
    assert_moments(draws, zero, identity)
    assert_rejected(lambda: assert_moments(draws, zero, 0.8 * identity))


@pytest.mark.parametrize("mass", ["dense", "diagonal"])
def test_a_row_does_not_depend_on_its_batch(mass):
    model = small_vae(seed=3, spread=3)
    x, mask = images(5, seed=4)

    def draws(rows):
        options = {"warmup": 80, "draws": 10, "mass": mass}
        return hmc(model, x[rows], mask[rows], generator=generator(), **options).draws

    together, order = draws(torch.arange(5)), torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(draws(order), together[:, :, order])
    torch.testing.assert_close(draws(order[:2]), together[:, :, order[:2]])
    assert not torch.equal(together[:, :, 1], together[:, :, 2])


class Square(nn.Module):
    """z → w (z + shift)², which is the same for z + shift and its negative."""

    def __init__(self, weight: float, shift: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight).double())
        self.shift = shift

    def forward(self, z: Tensor) -> Tensor:
        return self.weight * (z + self.shift).square()


def two_modes(shift=0.0):
    """Modes at 1 − shift and −1 − shift, of standard deviation 0.05, with a wall between them."""
    encoder = Constant(torch.zeros(1).double(), torch.zeros(1).double())
    return VAE(encoder, Square(10.0, shift), 1, UnitNoise), torch.tensor([[10.0]]).double()


def test_modes_get_chains_in_proportion_to_their_mass():
    for shift in (0.0, 0.4):
        model, x = two_modes(shift)
        options = {"chains": 16, "warmup": 40, "draws": 20, "jumps": False}
        found = hmc(model, x, generator=generator(), **options)
        upper = (found.draws > -shift).double().mean()
        mass = torch.sigmoid(torch.tensor(2.0 * shift))  # of 1 − shift against −1 − shift
        assert (upper - mass).abs() <= 1.5 / 16
        assert not found.converged.any()
        assert found.rhat > 1.5


@dataclass(frozen=True)
class At(Posterior):
    """A start in one place, (B, D)."""

    z: Tensor

    @property
    def mean(self) -> Tensor:
        return self.z

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        return {}

    def sample(self, k: int) -> Tensor:
        return self.z.expand(k, -1, -1)


def test_chains_begin_at_their_start():
    model, x = two_modes()
    start = At(Target.of(model, x, None), torch.tensor([[-1.0]]).double())
    options = {"warmup": 40, "draws": 400, "jumps": False}
    found = hmc(model, x, generator=generator(), start=start, **options)
    assert (found.draws < 0).all()
    assert found.rhat < 1.02


def assert_jumps_find_the_masses():
    """Of modes at 1 − shift and −1 − shift, all chains beginning in the lower one."""
    model, x = two_modes(0.4)
    start = At(Target.of(model, x, None), torch.tensor([[-1.4]]).double())
    options = {"chains": 32, "warmup": 40, "draws": 250}
    found = hmc(model, x, generator=generator(), start=start, **options)
    assert found.converged.all()
    upper = (found.draws > -0.4).double()
    error = (upper.var() / chain_ess(upper)[0, 0]).sqrt()
    mass = torch.sigmoid(torch.tensor(0.8)).double()
    assert (upper.mean() - mass).abs() < 4.5 * error


def test_chains_jump_to_modes_that_none_begins_in(monkeypatch):
    assert_jumps_find_the_masses()

    def of_equal_masses(found):
        mixture = mixture_of_modes(found)
        finite = mixture.logits.isfinite()
        return replace(mixture, logits=torch.zeros_like(mixture.logits).where(finite, -torch.inf))

    monkeypatch.setattr("elboroom.infer.chains.mode_jumps.mixture_of_modes", of_equal_masses)
    assert_jumps_find_the_masses()  # whatever is proposed

    def forced(self, target, state, noise):
        return State.at(target, self.draw(state.z, noise))

    monkeypatch.setattr(mode_jumps.Jumps, "jump", forced)
    assert_rejected(assert_jumps_find_the_masses)


def test_the_posterior_of_another_method_is_a_start():
    exact, x, mask = linear(2)
    start = laplace(exact.model, x, mask, generator=generator())
    options = {"chains": 16, "warmup": 0, "draws": 125}
    found = hmc(exact.model, x, mask, generator=generator(), start=start, **options)
    mean, precision = exact.posterior(x, mask)
    assert_moments(found.draws, mean, precision.inverse())


def test_a_start_of_other_rows_is_refused():
    model, x = two_modes()
    start = At(Target.of(model, x, None), torch.ones(2, 1).double())
    with pytest.raises(UsageError, match=r"shape is \(4, 2, 1\); expected \(4, 1, 1\)"):
        hmc(model, x, generator=generator(), start=start)


def test_divergences_are_counted():
    model, x = two_modes()
    model.decoder.weight.data *= 10
    start = At(
        Target.of(model, x, None), torch.tensor([[0.01]]).double()
    )  # flat here, a precipice a step away
    options = {"warmup": 0, "draws": 20, "jumps": False}
    found = hmc(model, 10 * x, generator=generator(), start=start, **options)
    assert found.divergences > 0
    assert found.acceptance < 0.5
    diverging, rate = found.stats["diverging"], found.stats["acceptance_rate"]
    assert torch.equal(diverging.sum((0, 1)), found.divergences)
    assert (rate[diverging] == 0).all()


def test_sample_takes_stored_draws_of_each_row_on_its_own():
    exact, x, mask = linear(2)
    x[1], mask[1] = x[0], mask[0]  # with the same noise, the same walk
    found = hmc(exact.model, x, mask, generator=generator(), warmup=40, draws=100)
    draws, stored = found.sample(20_000), found.draws.flatten(0, 1)
    assert (draws[:50, None] == stored).all(-1).any(1).all()
    assert_mean(draws, found.mean)
    assert_rejected(lambda: assert_mean(draws, found.mean.roll(1, 0)))
    assert torch.equal(stored[:, 0], stored[:, 1])
    assert (draws[:, 0] == draws[:, 1]).all(-1).double().mean() < 0.02


def test_diagnostics_have_a_value_of_each_row():
    exact, x, mask = linear(2)
    found = hmc(exact.model, x, mask, generator=generator(), warmup=40, draws=40)
    names = {"rhat", "ess", "divergences", "acceptance", "step_size"}
    assert set(found.diagnostics) == names
    assert all(value.shape == (6,) for value in found.diagnostics.values())


@pytest.mark.parametrize("draws", [1, 3])
def test_draws_too_few_for_rhat_say_so(draws):
    exact, x, mask = linear(2)
    found = hmc(exact.model, x, mask, generator=generator(), warmup=8, draws=draws)
    assert set(found.diagnostics) == {"divergences", "acceptance", "step_size"}
    for name in ("rhat", "ess", "converged"):
        with pytest.raises(UsageError, match=f"found draws = {draws}"):
            getattr(found, name)
    assert found.mean.isfinite().all()


def test_rows_with_noise_of_their_own_differ_where_their_data_are_equal():
    exact, x, mask = linear(2)
    x[1], mask[1] = x[0], mask[0]
    options = {"warmup": 40, "draws": 200, "independent_rows": True}
    found = hmc(exact.model, x, mask, generator=generator(), **options)
    assert not (found.draws[:, :, 0] == found.draws[:, :, 1]).any()
    mean, precision = exact.posterior(x, mask)
    assert_moments(found.draws, mean, precision.inverse())


def test_more_draws_converge_and_few_do_not():
    exact, x, mask = linear(2)
    found = hmc(exact.model, x, mask, generator=generator(), chains=8, warmup=80, draws=300)
    assert found.converged.all()
    assert not replace(found, draws=found.draws[:40]).converged.any()


def test_the_same_generator_gives_the_same_draws_and_every_move_is_reported():
    exact, x, mask = linear(2)
    reported = []

    def draws(seed, **options):
        return hmc(
            exact.model, x, mask, generator=generator(seed), warmup=9, draws=4, **options
        ).draws

    first = draws(1, on_step=lambda step, total: reported.append((step, total)))
    assert reported == [(step, 13) for step in range(1, 14)]
    assert torch.equal(first, draws(1))
    assert not torch.equal(first, draws(2))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(2, *EVENT), "its type is torch.float32"),
        (torch.ones(3, *EVENT, dtype=torch.bool), "does not broadcast"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(mask, message):
    with pytest.raises(UsageError, match=message):
        hmc(small_vae(1, 1), torch.ones(2, *EVENT), mask, generator=generator())


def test_nan_is_refused_where_it_is_seen_and_harmless_where_it_is_not():
    model, (x, _) = small_vae(1, 1), images(2, seed=1)
    x[0, 0, 0, 0] = torch.nan
    with pytest.raises(UsageError, match="NaN"):
        hmc(model, x, generator=generator())
    options = {"warmup": 8, "draws": 4}
    clean = hmc(model, x.nan_to_num(), ~x.isnan(), generator=generator(), **options)
    missing = hmc(model, x, ~x.isnan(), generator=generator(), **options)
    assert torch.equal(clean.draws, missing.draws)


def test_the_decoder_stays_frozen_and_no_gradient_is_kept():
    exact, x, mask = linear(2)
    before = [p.clone() for p in exact.model.parameters()]
    found = hmc(exact.model, x, mask, generator=generator(), warmup=8, draws=4)
    assert all(torch.equal(a, b) for a, b in zip(before, exact.model.parameters(), strict=True))
    assert all(p.grad is None for p in exact.model.parameters())
    assert not found.draws.requires_grad
