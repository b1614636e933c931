"""Refusals of methods that make no sense in spaces of many latents, or outside of them."""

from elboroom.errors import UsageError
from elboroom.infer.target import Target
from elboroom.model.posteriors import MOST_DENSE


def require_matrices(target: Target, what: str, *, holds: str, fix: str) -> None:
    """Check that matrices of D × D are in use: D is at most 300, or the prior far from N(0, I).

    Args:
        target: log p(x_seen, z).
        what: words for the method or option.
        holds: what it would hold or compute, for the reason.
        fix: the alternative.

    Raises:
        UsageError: they are not.
    """
    if target.is_large:
        raise too_many_latents(target.latents, what, holds=holds, fix=fix)


def too_many_latents(latents: int, what: str, *, holds: str, fix: str) -> UsageError:
    """Return the refusal of a method for this many latents."""
    return UsageError(
        f"{what} does not suit {latents:,} latents",
        why=f"it would {holds}; expected at most {MOST_DENSE} latents",
        fix=fix,
    )


def require_standard_prior(target: Target, what: str, *, fix: str) -> None:
    """Check that the prior is N(0, I), beside a few latents at most.

    A curvature of low rank is added to its precision.

    Raises:
        UsageError: it is another.
    """
    prior = target.model.prior
    if not target.is_nearly_standard:
        raise UsageError(
            f"{what} does not suit a {type(prior).__name__}",
            why="the precision of the posterior is of low rank beside that of N(0, I) alone",
            fix=fix,
        )
