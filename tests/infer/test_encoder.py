import pytest
import torch

from elboroom.errors import UsageError
from elboroom.infer.encoder import encoder
from tests.support.oracles import LinearGaussian, assert_rejected, random_masks


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def problem(rows=7):
    exact = LinearGaussian(pixels=6, latents=2, seed=70)
    exact.model.encoder = Peeking()
    return exact, exact.data(rows, seed=71), random_masks(rows, 6, seed=72)


class Peeking(torch.nn.Module):
    """An encoder that says something else of every image."""

    def forward(self, x):
        return 0.1 * x[:, :2], 0.1 * x[:, 2:4] - 1


def test_it_is_the_encoder_given_zeros_for_unseen_pixels():
    exact, x, mask = problem()
    found = encoder(exact.model, x, mask, generator=generator())
    mean, log_std = exact.model.encoder(x * mask)
    assert torch.equal(found.mean, mean)
    assert torch.equal(found.q.log_std, log_std)


def test_the_elbo_is_that_of_q_within_its_error():
    exact, x, mask = problem()
    found = encoder(exact.model, x, mask, generator=generator())
    expected = exact.elbo(x, mask, found.q.mean, found.q.log_std)

    def check(elbo):
        assert ((elbo - expected).abs() < 4.5 * found.elbo_standard_error).all()

    check(found.elbo)
    assert_rejected(lambda: check(found.elbo + 5 * found.elbo_standard_error.max()))


def test_no_mask_is_a_mask_of_all_true():
    exact, x, mask = problem()
    a = encoder(exact.model, x, generator=generator())
    b = encoder(exact.model, x, torch.ones_like(mask), generator=generator())
    assert torch.equal(a.mean, b.mean)
    assert torch.equal(a.elbo, b.elbo)


def test_a_row_does_not_depend_on_its_batch():
    exact, x, mask = problem()
    whole = encoder(exact.model, x, mask, generator=generator()).q
    order = torch.randperm(len(x), generator=generator(1))
    permuted = encoder(exact.model, x[order], mask[order], generator=generator()).q
    torch.testing.assert_close(permuted.mean, whole.mean[order])
    torch.testing.assert_close(permuted.log_std, whole.log_std[order])


def test_nothing_of_it_carries_gradients():
    exact, x, mask = problem()
    found = encoder(exact.model, x, mask, generator=generator())
    assert not found.q.mean.requires_grad
    assert not found.elbo.requires_grad


def test_nan_is_refused_where_it_is_seen_and_harmless_where_it_is_not():
    exact, x, mask = problem()
    hidden = x.masked_fill(~mask, torch.nan)
    clean = encoder(exact.model, x, mask, generator=generator())
    assert torch.equal(encoder(exact.model, hidden, mask, generator=generator()).elbo, clean.elbo)
    with pytest.raises(UsageError, match="a seen value is NaN"):
        encoder(exact.model, hidden, generator=generator())


def test_a_mask_that_does_not_fit_is_refused():
    exact, x, mask = problem()
    with pytest.raises(UsageError, match=r"its type is torch\.float32"):
        encoder(exact.model, x, mask.float(), generator=generator())
    with pytest.raises(UsageError, match="does not broadcast"):
        encoder(exact.model, x, mask[:3], generator=generator())
