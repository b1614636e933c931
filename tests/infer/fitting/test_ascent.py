"""The rule by which rows ascend and stop, on methods whose every step is known."""

from dataclasses import dataclass, field

import pytest
import torch

from elboroom.infer.fitting.ascent import Ascent, ascend, ascend_from_each, best
from elboroom.infer.fitting.expectation_nodes import antithetic, gauss_hermite
from elboroom.infer.target import Target
from tests.support.oracles import LinearGaussian

LIKE = torch.zeros(0, dtype=torch.float64)
TOLERANCE = 0.01


def target(rows):
    """A target whose x identifies rows: the goal of row b is b."""
    model = LinearGaussian(pixels=1, latents=1, seed=0).model
    return Target.of(model, torch.arange(float(rows)).double()[:, None], None)


@dataclass
class Hill:
    """log w = −½ (p − b)² of row b, ascended by p ← p + size · pull · (b − p)."""

    pull: float = 1.0
    noise: float = 0.0
    check: object = field(default_factory=lambda: gauss_hermite(3, 1, LIKE))
    sizes: list = field(default_factory=list)
    size: float = 1.0
    shrink: float = 0.75
    steps: int = 5

    def ascend_round(self, target, parameters, size):
        self.sizes.append(size.clone())
        (p,) = parameters
        return (p + size * self.pull * (target.x[:, 0] - p),)

    def log_weights(self, target, parameters, nodes):
        (p,) = parameters
        return -0.5 * (p - target.x[:, 0]).square() + 0 * nodes.eps


def ascend_hill(hill, start, max_steps=100):
    rows = target(len(start))
    return ascend(hill, rows, (start.double(),), tolerance=TOLERANCE, max_steps=max_steps)


def test_rows_end_where_a_further_round_gains_less_than_the_tolerance():
    hill = Hill(pull=0.5)
    start = torch.tensor([0.0, 5.0, -30.0])
    found = ascend_hill(hill, start)
    assert found.converged.all()
    (p,) = found.parameters
    goal = torch.arange(3.0).double()
    torch.testing.assert_close(found.elbo, -0.5 * (p - goal).square())
    # A round gains ¾ of what is missing: the last one less than the tolerance, those before more.
    rounds = [sum(len(s) > row for s in map(torch.atleast_1d, hill.sizes)) for row in range(3)]
    assert rounds[0] == max(rounds)
    missing = 0.5 * (start.double() - goal).square()
    expected = missing * 0.25 ** _rounds(missing)
    torch.testing.assert_close(-found.elbo, expected, atol=1e-12, rtol=0)


def _rounds(missing):
    """How many rounds are made until one gains less than the tolerance."""
    rounds = torch.ones_like(missing)
    while (going := 0.75 * missing * 0.25 ** (rounds - 1) >= TOLERANCE).any():
        rounds += going
    return rounds


def test_a_step_that_falls_is_undone_and_halved_until_it_ascends():
    hill = Hill(pull=5.0)  # |1 − 5 s| > 1 for s > 0.4: sizes 1 and ½ fall, ¼ ascends
    found = ascend_hill(hill, torch.tensor([10.0]))
    assert [s.item() for s in hill.sizes[:4]] == [1.0, 0.5, 0.25, 0.25]
    assert found.converged.all()
    assert -found.elbo.item() < TOLERANCE


def test_nothing_ends_lower_than_it_began():
    start = torch.tensor([3.0, 1.0, 2.5])
    found = ascend_hill(Hill(pull=-1.0), start)  # it always goes the wrong way
    assert torch.equal(found.parameters[0], start.double())
    torch.testing.assert_close(found.elbo, torch.tensor([-4.5, 0.0, -0.125]).double())


def test_a_round_that_ends_nowhere_is_undone():
    class Lost(Hill):
        def ascend_round(self, target, parameters, size):
            (moved,) = super().ascend_round(target, parameters, size)
            return (torch.where(size > 0.4, torch.nan, moved),)

    hill = Lost()
    found = ascend_hill(hill, torch.tensor([10.0, 1.0]))
    assert [s[0].item() for s in hill.sizes[:3]] == [1.0, 0.5, 0.25]
    assert found.elbo.isfinite().all()
    assert found.converged.all()
    assert found.elbo.min() > -TOLERANCE


def test_rows_that_have_not_stopped_are_not_converged():
    hill = Hill(pull=0.1)
    start = torch.tensor([0.0, 50.0, 2.0])
    found = ascend_hill(hill, start, max_steps=11)
    assert len(hill.sizes) == 3  # rounds of five
    assert found.converged.tolist() == [True, False, True]
    assert found.elbo[1] > -0.5 * 49**2


def test_rows_that_have_stopped_are_left_alone():
    hill = Hill(pull=0.5)
    ascend_hill(hill, torch.tensor([0.0, 1.0, 100.0]))
    assert [len(s) for s in hill.sizes[:2]] == [3, 1]


@dataclass
class Slope(Hill):
    """ELBO p, raised by the step size; of each gain the standard error is `noise` times it."""

    check: object = field(
        default_factory=lambda: antithetic(64, 1, LIKE, torch.Generator().manual_seed(0))
    )

    def ascend_round(self, target, parameters, size):
        self.sizes.append(size.clone())
        return (parameters[0] + size,)

    def log_weights(self, target, parameters, nodes):
        pairs = len(nodes.eps) // 2
        # ±1 by turns, whose mean over n pairs has the standard error 1 / √(n − 1)
        turns = torch.ones(pairs).double()
        turns[::2] = -1
        error = self.noise * (pairs - 1) ** 0.5 * turns.repeat(2)
        return parameters[0] * (1 + error[:, None])


@pytest.mark.parametrize(
    ("noise", "sizes"), [(0.45, [1.0, 1.0, 1.0, 1.0]), (0.55, [1.0, 0.75, 0.5625, 0.421875])]
)
def test_a_gain_that_noise_explains_shrinks_the_step_and_is_kept(noise, sizes):
    slope = Slope(noise=noise)
    found = ascend_hill(slope, torch.zeros(1), max_steps=20)
    assert [s.item() for s in slope.sizes] == sizes
    assert found.parameters[0].item() == pytest.approx(sum(sizes))
    assert not found.converged.any()


def test_noise_keeps_a_row_going_where_its_gain_alone_would_not():
    def rounds(noise):
        slope = Slope(noise=noise, size=0.009, shrink=0.5)
        assert ascend_hill(slope, torch.zeros(1)).converged.all()
        return len(slope.sizes)

    # 0.009 is less than the tolerance; with twice a standard error of 0.6 · 0.009 it is not.
    assert rounds(0.01) == 1
    assert rounds(0.6) == 2


def test_rows_do_not_depend_on_their_batch():
    start = torch.tensor([4.0, 1.0, -20.0, 3.3])
    together = ascend_hill(Hill(pull=1.7), start)
    for row in range(4):
        alone = ascend(
            Hill(pull=1.7),
            target(4).rows(torch.tensor([row])),
            (start[row : row + 1].double(),),
            tolerance=TOLERANCE,
            max_steps=100,
        )
        assert torch.equal(alone.parameters[0][0], together.parameters[0][row])
        torch.testing.assert_close(alone.elbo[0], together.elbo[row])


def test_the_start_is_not_written_to():
    start = torch.tensor([4.0, 9.0]).double()
    ascend_hill(Hill(), start)
    assert start.tolist() == [4.0, 9.0]


@pytest.fixture
def two_starts():
    p = torch.tensor([[5.0, 6.0], [7.0, 1.5]]).double()
    elbo = torch.tensor([[0.0, 0.0], [-torch.inf, 0.0]]).double()
    return Ascent((p,), elbo, torch.zeros(2, 2, dtype=torch.bool))


def test_each_start_ascends_by_itself_but_negligible_ones_stay(two_starts):
    limits = {"tolerance": TOLERANCE, "max_steps": 100}
    found = ascend_from_each(Hill(), target(2), two_starts, **limits)
    torch.testing.assert_close(found.parameters[0], torch.tensor([[0.0, 1.0], [7.0, 1.0]]).double())
    torch.testing.assert_close(
        found.elbo, torch.tensor([[0.0, 0.0], [-torch.inf, 0.0]]).double(), atol=1e-12, rtol=0
    )
    assert found.converged.all()
    assert two_starts.parameters[0].tolist() == [[5.0, 6.0], [7.0, 1.5]]


def test_the_best_of_each_row_is_kept():
    p = torch.arange(6.0).view(3, 2)
    elbo = torch.tensor([[1.0, -torch.inf], [3.0, -2.0], [2.0, -1.0]])
    converged = torch.tensor([[True, True], [False, False], [True, True]])
    found = best(Ascent((p, p[..., None]), elbo, converged))
    assert found.parameters[0].tolist() == [2.0, 5.0]
    assert found.parameters[1].tolist() == [[2.0], [5.0]]
    assert found.elbo.tolist() == [3.0, -1.0]
    assert found.converged.tolist() == [False, True]
