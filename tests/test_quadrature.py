import torch

from elboroom.infer import exact_elbo
from elboroom.posteriors import DiagonalGaussian
from oracles import LinearGaussian, random_masks


def test_the_elbo_of_a_gaussian_is_exact():
    for latents in (1, 2):
        exact = LinearGaussian(pixels=5, latents=latents, seed=latents)
        x, mask = exact.data(6, seed=1), random_masks(6, 5, seed=2)
        mean, log_std = torch.randn(
            2, 6, latents, generator=torch.Generator().manual_seed(3)
        ).double()
        q = DiagonalGaussian(mean, log_std)
        expected = exact.elbo(x, mask, mean, log_std)
        torch.testing.assert_close(exact_elbo(exact.model, x, mask, q), expected)
        assert (expected <= exact.log_evidence(x, mask)).all()
