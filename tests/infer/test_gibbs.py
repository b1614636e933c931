import pytest
import torch

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.infer import grid
from elboroom.infer.gibbs import metropolis_within_gibbs, pseudo_gibbs
from elboroom.model.vae import VAE
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected, random_masks

ROWS, PIXELS, CHAINS = 6, 5, 2_000
METHODS = [pseudo_gibbs, metropolis_within_gibbs]
methods = pytest.mark.parametrize("method", METHODS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Linear(torch.nn.Module):
    """The exact q(z | x) of a whole row where W is orthogonal; `shift` and `stretch` spoil it."""

    def __init__(self, exact, shift, stretch):
        super().__init__()
        self.exact, self.shift, self.stretch = exact, shift, stretch

    def forward(self, x):
        precision = 1 + self.exact.weight.square().sum(0)
        mean = (x - self.exact.bias) @ self.exact.weight / precision
        std = self.stretch * precision.rsqrt()
        return mean + self.shift * std, std.log().expand_as(mean)


def problem(shift=0.0, stretch=1.0):
    exact = LinearGaussian(PIXELS, latents=2, seed=80, orthogonal=True)
    exact.model.encoder = Linear(exact, shift, stretch)
    return exact, exact.data(ROWS, seed=81), random_masks(ROWS, PIXELS, seed=82)


def wrong():
    return problem(shift=0.4, stretch=1.3)


def check_moments(found, exact, x, mask):
    """Chains are independent, so they are what the errors are counted over."""
    mean, precision = exact.posterior(x, mask)
    assert_mean(found.draws.mean(0), mean)
    centred = found.draws - mean
    squares = torch.einsum("tcbi,tcbj->cbij", centred, centred) / len(centred)
    assert_mean(squares, torch.linalg.inv(precision))


@methods
def test_with_an_exact_encoder_both_settle_on_the_posterior(method):
    exact, x, mask = problem()
    found = method(exact.model, x, mask, generator=generator(), chains=CHAINS, sweeps=20)
    check_moments(found, exact, x, mask)


def test_with_an_exact_encoder_every_proposal_is_accepted():
    exact, x, mask = problem()
    found = metropolis_within_gibbs(exact.model, x, mask, generator=generator(), sweeps=20)
    assert torch.equal(found.diagnostics["acceptance"], torch.ones(ROWS).double())


def test_with_a_wrong_encoder_only_metropolis_settles_on_the_posterior():
    exact, x, mask = wrong()
    options = {"chains": CHAINS, "sweeps": 20, "burn_in": 100}
    right = metropolis_within_gibbs(exact.model, x, mask, generator=generator(), **options)
    check_moments(right, exact, x, mask)
    biased = pseudo_gibbs(exact.model, x, mask, generator=generator(), **options)
    assert_rejected(lambda: check_moments(biased, exact, x, mask))
    acceptance = right.diagnostics["acceptance"]
    assert ((acceptance > 0.3) & (acceptance < 0.95)).all()


def test_a_row_that_is_seen_whole_gets_the_encoder_from_pseudo_gibbs():
    exact, x, mask = wrong()
    assert mask[-1].all()
    found = pseudo_gibbs(exact.model, x, mask, generator=generator(), chains=CHAINS, sweeps=5)
    q = exact.model.posterior(x)
    assert_mean(found.draws.flatten(0, 1)[:, -1], q.mean[-1])


def test_a_row_that_sees_nothing_gets_the_prior():
    exact, x, mask = wrong()
    assert not mask[0].any()
    options = {"generator": generator(), "chains": CHAINS, "sweeps": 20}
    found = metropolis_within_gibbs(exact.model, x, mask, **options)
    assert_mean(found.draws[..., 0, :].mean(0), 0.0)
    assert_mean(found.draws[..., 0, :].square().mean(0), 1.0)


def test_posteriors_of_a_bernoulli_decoder_are_those_of_the_grid():
    event, g = (1, 3, 4), generator(83)
    model = VAE.from_config(ModelConfig(2, (12,)), event, generator=g)
    for p in model.decoder.parameters():
        p.data *= 3
    x = (torch.rand(ROWS, *event, generator=g) < 0.4).float()
    mask = torch.rand(ROWS, *event, generator=g) < 0.5
    mask[0], mask[-1] = False, True
    found = metropolis_within_gibbs(model, x, mask, generator=g, chains=500, sweeps=50)
    exact = grid(model, x, mask, generator=g).mean
    assert_mean(found.draws.mean(0), exact.float())
    biased = pseudo_gibbs(model, x, mask, generator=g, chains=500, sweeps=50)
    assert_rejected(lambda: assert_mean(biased.draws.mean(0), exact.float()))


@methods
def test_no_mask_is_a_mask_of_all_true(method):
    exact, x, mask = wrong()
    a = method(exact.model, x, generator=generator(), sweeps=5)
    b = method(exact.model, x, torch.ones_like(mask), generator=generator(), sweeps=5)
    assert torch.equal(a.draws, b.draws)


@methods
@pytest.mark.parametrize("chains", [4, 1_500])  # 1,500 chains of two rows are walked at a time
def test_a_row_does_not_depend_on_its_batch(method, chains):
    exact, x, mask = wrong()
    options = {"chains": chains, "sweeps": 5, "burn_in": 10}
    whole = method(exact.model, x, mask, generator=generator(), **options).draws
    order = torch.randperm(ROWS, generator=generator(1))
    permuted = method(exact.model, x[order], mask[order], generator=generator(), **options)
    torch.testing.assert_close(permuted.draws, whole[:, :, order])
    alone = method(exact.model, x[3:4], mask[3:4], generator=generator(), **options)
    torch.testing.assert_close(alone.draws, whole[:, :, 3:4])


@methods
def test_chains_differ_and_begin_apart(method):
    exact, x, mask = problem()
    found = method(exact.model, x, mask, generator=generator(), sweeps=5, burn_in=0)
    assert found.draws.shape == (5, 4, ROWS, 2)
    assert (found.draws.std(1) > 0).all()


@methods
def test_draws_are_those_of_the_chains(method):
    exact, x, mask = wrong()
    found = method(exact.model, x, mask, generator=generator(), sweeps=50)
    draws = found.sample(20_000)
    assert_mean(draws, found.mean)
    centred = draws - found.mean
    assert_mean(centred[..., :, None] * centred[..., None, :], found.covariance)
    stored = found.draws.flatten(0, 1)
    assert all(torch.isin(draws[:, row], stored[:, row]).all() for row in range(ROWS))


def test_diagnostics_are_of_rows_and_find_chains_that_have_not_mixed():
    exact, x, mask = wrong()
    mixed = metropolis_within_gibbs(exact.model, x, mask, generator=generator())
    assert set(mixed.diagnostics) == {"rhat", "ess", "acceptance"}
    assert all(values.shape == (ROWS,) for values in mixed.diagnostics.values())
    assert mixed.rhat.max() < 1.02
    assert mixed.ess.min() > 200
    # with a narrow q the walk is slow
    exact, x, mask = problem(stretch=0.1)
    slow = metropolis_within_gibbs(exact.model, x, mask, generator=generator(), sweeps=100)
    assert slow.rhat.max() > 1.1
    assert set(pseudo_gibbs(exact.model, x, mask, generator=generator()).diagnostics) == {
        "rhat",
        "ess",
    }


@methods
def test_nan_is_refused_where_it_is_seen_and_harmless_where_it_is_not(method):
    exact, x, mask = wrong()
    hidden = x.masked_fill(~mask, torch.nan)
    clean = method(exact.model, x, mask, generator=generator(), sweeps=3).draws
    missing = method(exact.model, hidden, mask, generator=generator(), sweeps=3).draws
    assert torch.equal(clean, missing)
    with pytest.raises(UsageError, match="a seen value is NaN"):
        method(exact.model, hidden, generator=generator())


@methods
def test_a_mask_that_does_not_fit_is_refused(method):
    exact, x, mask = wrong()
    with pytest.raises(UsageError, match=r"its type is torch\.float32"):
        method(exact.model, x, mask.float(), generator=generator())
    with pytest.raises(UsageError, match="does not broadcast"):
        method(exact.model, x, mask[:3], generator=generator())
