"""A check of another library's draws against a posterior that is known."""

from torch import Tensor

from elboroom.infer import GridPosterior
from elboroom.infer.diagnostics import chain_ess, split_rhat


def assert_posterior(draws: Tensor, exact: GridPosterior, *, errors: float = 4.5) -> None:
    """Check means and standard deviations of draws (T, C, B, D), by their own standard errors."""
    assert (split_rhat(draws) < 1.02).all()
    mean, variance = exact.mean, exact.covariance.diagonal(dim1=1, dim2=2)
    for found, expected in ((draws, mean), ((draws - mean).square(), variance)):
        error = (found.var((0, 1)) / chain_ess(found)).sqrt()
        z = (found.mean((0, 1)) - expected) / error
        assert z.abs().max() < errors, f"{z.abs().max():.1f} standard errors away"
