import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elboroom.model.likelihoods import Bernoulli
from tests.support.oracles import assert_mean, assert_rejected

EVENT = (2, 3)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def case(k, rows, seed, dtype=torch.float64):
    g = generator(seed)
    logits = 3 * torch.randn(k, rows, *EVENT, generator=g, dtype=dtype)
    x = (torch.rand(rows, *EVENT, generator=g) < 0.5).to(dtype)
    mask = torch.rand(rows, *EVENT, generator=g) < 0.5
    return logits, x, mask


cases = st.builds(case, st.integers(1, 3), st.integers(1, 4), st.integers(0, 10**6))


@given(cases)
def test_log_prob_is_that_of_torch_distributions(case):
    logits, x, _ = case
    expected = torch.distributions.Bernoulli(logits=logits).log_prob(x).sum((-1, -2))
    torch.testing.assert_close(Bernoulli(logits).log_prob(x), expected)


@given(cases)
def test_a_masked_log_prob_is_the_sum_over_the_seen_pixels(case):
    logits, x, mask = case
    pixels = torch.distributions.Bernoulli(logits=logits).log_prob(x)
    expected = (pixels * mask).sum((-1, -2))
    torch.testing.assert_close(Bernoulli(logits).log_prob(x, mask), expected)


@given(cases)
def test_seen_and_unseen_parts_add_up_and_an_all_true_mask_changes_nothing(case):
    logits, x, mask = case
    p = Bernoulli(logits)
    torch.testing.assert_close(p.log_prob(x, mask) + p.log_prob(x, ~mask), p.log_prob(x))
    assert torch.equal(p.log_prob(x, torch.ones_like(mask)), p.log_prob(x))
    assert torch.equal(
        p.log_prob(x, torch.zeros_like(mask)), torch.zeros(logits.shape[:2]).double()
    )


@given(cases)
def test_the_table_holds_every_event_under_every_parameter(case):
    logits, x, mask = case
    p = Bernoulli(logits[:, 0])
    expected = torch.stack(
        [Bernoulli(row).log_prob(x, mask) for row in logits[:, :1].expand_as(logits)]
    )
    torch.testing.assert_close(p.log_prob_table(x, mask), expected)
    torch.testing.assert_close(
        p.log_prob_table(x), Bernoulli(logits[:, :1].expand_as(logits)).log_prob(x)
    )


def test_probabilities_of_all_events_sum_to_one():
    logits = case(1, 1, 3)[0][0, 0]
    events = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6)), dtype=torch.float64)
    log_prob = Bernoulli(logits.expand(64, *EVENT)).log_prob(events.view(64, *EVENT))
    torch.testing.assert_close(log_prob.exp().sum(), torch.tensor(1.0, dtype=torch.float64))


def test_extreme_logits_stay_finite():
    logits = torch.tensor([[[1e4, -1e4]]])
    x = torch.tensor([[1.0, 1.0]])
    assert Bernoulli(logits).log_prob(x).item() == -1e4


@pytest.mark.parametrize("table", [False, True])
def test_what_stands_in_an_unseen_pixel_reaches_neither_value_nor_gradient(table):
    logits, x, mask = case(1, 3, 5)
    logits = logits[0].requires_grad_()

    def value_and_gradient(x):
        p = Bernoulli(logits)
        value = p.log_prob_table(x, mask) if table else p.log_prob(x, mask)
        return value.detach(), torch.autograd.grad(value.sum(), logits)[0]

    clean = value_and_gradient(x)
    missing = value_and_gradient(x.masked_fill(~mask, torch.nan))
    assert torch.equal(clean[0], missing[0])
    assert torch.equal(clean[1], missing[1])


def test_gradients_agree_with_finite_differences():
    logits, x, mask = case(2, 2, 7)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda given: Bernoulli(given).log_prob(x, mask), logits)
    first = logits[:, 0].detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda given: Bernoulli(given).log_prob_table(x, mask), first)


def test_draws_are_binary_and_have_the_mean():
    logits = case(1, 2, 11, torch.float32)[0][0]
    draws = Bernoulli(logits.expand(20_000, *logits.shape)).sample(generator())
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    assert_mean(draws, Bernoulli(logits).mean)
    assert_rejected(lambda: assert_mean(draws, Bernoulli(-logits).mean))


@given(cases)
def test_the_score_is_the_gradient_by_the_logits(case):
    logits, x, mask = case
    logits.requires_grad_()
    for seen in (mask, None):
        log_prob = Bernoulli(logits).log_prob(x, seen)
        expected = torch.autograd.grad(log_prob.sum(), logits)[0]
        torch.testing.assert_close(Bernoulli(logits.detach()).score(x, seen), expected)


@given(cases)
def test_the_information_is_the_curvature_and_the_variance_of_the_score(case):
    logits, x, mask = case
    for seen in (mask, None):
        found = Bernoulli(logits).information(seen)
        given = logits.clone().requires_grad_()
        slope = torch.autograd.grad(
            Bernoulli(given).log_prob(x, seen).sum(), given, create_graph=True
        )[0]
        curvature = torch.autograd.grad(slope.sum(), given)[0]  # pixels are independent
        torch.testing.assert_close(found, -curvature)
        # E[score²] over x = 0, 1
        squares = [Bernoulli(logits).score(torch.full_like(x, v), seen).square() for v in (0, 1)]
        one = Bernoulli(logits).mean
        torch.testing.assert_close(found, (1 - one) * squares[0] + one * squares[1])


def test_unseen_pixels_have_no_score_and_no_information():
    logits, x, mask = case(2, 3, 13)
    p = Bernoulli(logits)
    score = p.score(x.masked_fill(~mask, torch.nan), mask)
    unseen = (~mask).expand_as(logits)
    assert score.isfinite().all()
    assert (score[unseen] == 0).all()
    assert (score[~unseen] != 0).all()
    assert (p.information(mask)[unseen] == 0).all()
    assert (p.information(mask)[~unseen] > 0).all()


def test_the_score_of_draws_has_no_mean():
    logits = case(1, 2, 17)[0][0]
    p = Bernoulli(logits.expand(20_000, *logits.shape))
    assert_mean(p.score(p.sample(generator())), 0.0)
    assert_rejected(lambda: assert_mean(Bernoulli(logits).score(p.sample(generator()) / 2), 0.0))
