from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch.distributions import MultivariateNormal

from elboroom import infer
from elboroom.errors import UsageError
from elboroom.evaluation.bidirectional import Certificate, certify
from elboroom.infer.chains.annealing import Annealing
from elboroom.infer.chains.annealing_path import Path, PathPoint
from elboroom.model.posteriors import Gaussian
from tests.support.fit_cases import EVENT, generator, small_vae
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected

PIXELS, LATENTS = 5, 2
MASKS = [
    None,
    torch.zeros(PIXELS, dtype=torch.bool),
    torch.tensor([True, False, True, True, False]),
]


@pytest.fixture(autouse=True)
def short_tuning(monkeypatch):
    """Weights are unbiased with any steps."""
    monkeypatch.setattr("elboroom.infer.chains.annealing.TUNING", 32)


def prior(model, x, mask):
    return model.prior(len(x))


def linear():
    return LinearGaussian(pixels=PIXELS, latents=LATENTS, seed=90)


def beside(model, x, mask):
    """A Gaussian beside each row's posterior, not so wide that 1/w would have no variance."""
    seen = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.expand(x.shape)
    mean, precision = linear().posterior(x, seen)
    scale = torch.linalg.cholesky(torch.linalg.inv(precision))
    return Gaussian(mean + 0.7 * scale.sum(-1), 1.15 * scale)


def log_evidence(exact, x, mask):
    """log p(x_seen) of rows with one mask, (B,)."""
    seen = torch.ones(PIXELS, dtype=torch.bool) if mask is None else mask
    if not seen.any():
        return x.new_zeros(len(x))
    weight = exact.weight[seen]
    covariance = weight @ weight.T + torch.eye(len(weight), dtype=x.dtype)
    return MultivariateNormal(exact.bias[seen], covariance).log_prob(x[:, seen])


def certified(mask=None, start=beside, rows=3_000, distributions=4, chains=1):
    exact = linear()
    counts = {"rows": rows, "distributions": distributions, "chains": chains}
    found = certify(exact.model, generator=generator(), mask=mask, start=start, **counts)
    return found, log_evidence(exact, found.x, mask)


def assert_unbiased(**options):
    """One chain of a row: E[w] = p(x_seen) forwards, E[1/w] = 1/p(x_seen) backwards."""
    found, truth = certified(**options)
    assert_mean((found.lower - truth).exp(), 1.0)
    assert_mean((truth - found.upper).exp(), 1.0)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("distributions", [1, 2, 4])
def test_both_directions_are_unbiased(mask, distributions):
    assert_unbiased(mask=mask, distributions=distributions)


def assert_bracket(found, truth):
    for below in (truth - found.lower, found.upper - truth):
        assert below.mean() > 4.5 * below.std() / len(below) ** 0.5


@pytest.mark.parametrize("start", [prior, beside])
def test_the_truth_lies_between_on_average(start):
    found, truth = certified(start=start, chains=2)
    assert_bracket(found, truth)
    swapped = Certificate(found.upper, found.lower, found.x, found.z)
    assert_rejected(lambda: assert_bracket(swapped, truth))
    estimates = found.estimates
    assert set(estimates) == {"lower", "upper", "gap"}
    gap = estimates["gap"]
    torch.testing.assert_close(gap.mean, (found.upper - found.lower).mean().item())
    assert gap.mean > 4.5 * gap.standard_error


def test_the_gap_closes_with_distributions_and_with_chains():
    means = [
        certified(start=prior, rows=600, distributions=n, chains=c)[0].gap.mean()
        for n, c in ((4, 1), (16, 1), (64, 1), (64, 8))
    ]
    assert all(after < 0.7 * before for before, after in pairwise(means))


def begin_at_the_mean(monkeypatch):
    """Backwards from the middle of the posterior in place of a draw."""

    def middle(self, z):
        x = self.target.x
        mean, _ = linear().posterior(x, torch.ones_like(x, dtype=torch.bool))
        return u(self, mean.expand_as(z))

    u = Path.u
    monkeypatch.setattr(Path, "u", middle)


def keep_the_order(monkeypatch):
    """Backwards through the moves as they come forwards."""
    moves = Annealing._moves.fget

    @dataclass
    class InOrder:
        values: torch.Tensor

        def __iter__(self):
            return iter(self.values)

        def flip(self, axis):
            return self.values

    kept = property(lambda self: tuple(InOrder(part) for part in moves(self)))
    monkeypatch.setattr(Annealing, "_moves", kept)


def always_accept(monkeypatch):
    monkeypatch.setattr(PathPoint, "where", lambda self, chosen, other: self)


@pytest.mark.parametrize(
    ("bug", "distributions"), [(begin_at_the_mean, 1), (keep_the_order, 4), (always_accept, 2)]
)
def test_a_planted_bug_is_noticed(monkeypatch, bug, distributions):
    bug(monkeypatch)
    assert_rejected(lambda: assert_unbiased(distributions=distributions))


def test_the_bounds_of_a_small_decoder_bracket_the_grid():
    model = small_vae(3)
    mask = torch.rand(EVENT, generator=generator(5)) < 0.6
    counts = {"rows": 300, "distributions": 4, "chains": 1}
    found = certify(model, generator=generator(), mask=mask, **counts)
    truth = infer.grid(model, found.x, mask, generator=generator()).log_evidence

    def check(truth):
        assert_mean((found.lower - truth).exp(), 1.0)
        assert_mean((truth - found.upper).exp(), 1.0)

    check(truth)
    assert_rejected(lambda: check(truth + 0.2))


def test_the_start_is_the_laplace_gaussian_unless_another_is_given():
    exact = linear()
    counts = {"rows": 20, "distributions": 2, "chains": 2}
    found = certify(exact.model, generator=generator(), **counts)
    truth = log_evidence(exact, found.x, None)
    # the posterior itself here, up to the noise of its fit
    torch.testing.assert_close(found.lower, truth, atol=0.2, rtol=0)
    torch.testing.assert_close(found.upper, truth, atol=0.2, rtol=0)
    fit = partial(infer.laplace, generator=generator(1))
    again = certify(exact.model, generator=generator(), start=fit, **counts)
    torch.testing.assert_close(again.x, found.x)
    torch.testing.assert_close(again.lower, truth, atol=0.2, rtol=0)


def test_errors_of_rows_are_independent():
    found, truth = certified(mask=MASKS[1], rows=4)
    assert found.x.shape == (4, PIXELS)
    assert found.z.shape == (4, LATENTS)
    assert (found.lower - truth).unique().numel() == 4


def test_single_precision_works_too():
    model = linear().model.float()
    found = certify(model, rows=10, generator=generator(), distributions=3, chains=2)
    assert found.lower.dtype == found.upper.dtype == torch.float32


@pytest.mark.parametrize("count", ["rows", "distributions", "chains"])
def test_counts_below_one_are_refused(count):
    counts = {"rows": 2, "distributions": 2, "chains": 2} | {count: 0}
    with pytest.raises(UsageError, match=f"{count} is 0"):
        certify(linear().model, generator=generator(), **counts)


def test_masks_and_starts_that_do_not_fit_are_refused():
    model, options = linear().model, {"rows": 3, "generator": generator(), "distributions": 1}
    with pytest.raises(UsageError, match="does not broadcast"):
        certify(model, mask=torch.ones(4, dtype=torch.bool), **options)
    with pytest.raises(UsageError, match=r"its type is torch\.float32"):
        certify(model, mask=torch.ones(PIXELS), **options)
    with pytest.raises(UsageError, match="this start does not fit"):
        certify(model, start=lambda model, x, mask: model.prior(2), **options)
