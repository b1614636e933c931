"""Sampling importance resampling: draws of a proposal, weighted to represent the posterior."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from elboroom.errors import UsageError, require_positive
from elboroom.infer.diagnostics import importance_ess, pareto_k
from elboroom.infer.observed import Array
from elboroom.infer.posterior import Posterior, VariationalPosterior
from elboroom.infer.target import Target
from elboroom.model.arguments import checked
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE

PARTICLES = 1_000
"""The default number of particles of each row."""


@dataclass(frozen=True, repr=False)
class ParticlePosterior(Posterior):
    """K weighted draws of each row's posterior.

    Attributes:
        target: log p(x_seen, z).
        z: (K, B, D), draws of the proposal q.
        log_weights: (K, B), log w = log p(x_seen, z_k) − log q(z_k), in nats.
        generator: random generator of `sample`.

    Example:
        >>> found = infer.sir(model, x, mask, generator=generator, proposal=posterior, widen=1.85)
        >>> found.z.shape, found.weights.shape
        (torch.Size([1000, 3, 2]), torch.Size([1000, 3]))
        >>> torch.allclose(found.weights.sum(0), torch.ones(3))
        True
        >>> found.diagnostics["pareto_k"] < 0.7  # the weights are reliable
        tensor([True, True, True])
    """

    z: Tensor
    log_weights: Tensor
    generator: torch.Generator = field(repr=False)

    @property
    def particles(self) -> tuple[Tensor, Tensor]:
        """The draws z (K, B, D) and their log w (K, B) in nats."""
        return self.z, self.log_weights

    @property
    def weights(self) -> Tensor:
        """The self-normalised weights w_k / Σ_j w_j, (K, B)."""
        return torch.softmax(self.log_weights, 0)

    @property
    def log_evidence(self) -> Tensor:
        """An estimate of log p(x_seen) in nats, (B,): the IWAE bound, below it on average.

        Burda, Grosse & Salakhutdinov, *Importance Weighted Autoencoders* (2016), equation 8.
        """
        # log 1/K Σ_k w_k
        return torch.logsumexp(self.log_weights, 0) - math.log(len(self.z))

    @property
    def log_evidence_standard_error(self) -> Tensor:
        """The standard error of `log_evidence`, (B,), by the delta method.

        It is meaningful where `pareto_k` is below 0.7, and infinite for one particle.
        """
        if len(self.z) == 1:
            return torch.full_like(self.log_weights[0], math.inf)
        # SE(log w̄) ≈ SE(w̄) / w̄
        relative = len(self.z) * self.weights
        return relative.std(0) / math.sqrt(len(self.z))

    @property
    def mean(self) -> Tensor:
        """E[z | x_seen], (B, D)."""
        return torch.einsum("kb,kbd->bd", self.weights, self.z)

    @property
    def covariance(self) -> Tensor:
        """Cov[z | x_seen], (B, D, D)."""
        centred = self.z - self.mean
        return torch.einsum("kb,kbi,kbj->bij", self.weights, centred, centred)

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """The shape of the weights' tail, their effective sample size, and the evidence's error."""
        return {
            "pareto_k": pareto_k(self.log_weights),
            "ess": importance_ess(self.log_weights),
            "log_evidence_standard_error": self.log_evidence_standard_error,
        }

    @checked
    def sample(self, k: int) -> Tensor:
        """Draw k particles by their weights, with repetition, (k, B, D)."""
        require_positive(k=k)
        self.target.require_room(k, k=k)
        which = torch.multinomial(self.weights.T, k, True, generator=self.generator).T
        return self.z[which, torch.arange(self.z.shape[1], device=self.z.device)]


def widening_for_half_ess(q: Density) -> float:
    """Compute the widening that halves the effective sample size where q is the posterior itself.

    The factor is 1.85 for two latents and 1.09 for fifty.
    """
    # E_q[w²] / E_q[w]² = (s² / √(2s² − 1))^R = 2 for a Gaussian s times as wide as the posterior
    # in R directions
    a = 2 ** (2 / q.widened_directions)
    return math.sqrt(a + math.sqrt(a * (a - 1)))


@checked
@torch.no_grad()
def sir(
    model: VAE,
    x: Array,
    mask: Array | None = None,
    *,
    generator: torch.Generator,
    proposal: VariationalPosterior | None = None,
    particles: int = PARTICLES,
    widen: float = 1.0,
    prior_share: float = 0.0,
) -> ParticlePosterior:
    """Draw from a proposal, weight by w = p(x_seen, z)/q(z), and resample.

    Rubin, *Using the SIR algorithm to simulate posterior distributions* (1988). The weights correct
    a fit towards the posterior: expectations, and with them completions, become consistent in the
    number of particles, whatever the family of q. The evidence is the bound that Burda et al.
    (2016) train on and Naesseth et al. (2020) build their variational Markov chains from. The
    weights are self-normalised. The result holds (particles, B, D) draws.

    Args:
        model: the model, whose decoder is used; also its encoder if no proposal is given.
        x: (B, *event), numbers of any type.
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: random generator of the particles and of the result's draws.
        proposal: a fit to the same rows; None for the model's partial encoder, or without one the
            encoder's q(z | x).
        particles: K, the number of draws of each row.
        widen: factor on the proposal's standard deviations. The fit that maximises an ELBO is
            narrower than a skewed posterior, and the rare draws beyond it then have the largest
            weights. `widening_for_half_ess` makes nearly every row's `pareto_k` reliable.
        prior_share: share of the particles that come from the prior, 0 to 1. No weight exceeds
            p(x_seen | z) / share then, also where the proposal misses a mode: Hesterberg, *Weighted
            average importance sampling and defensive mixture distributions* (1995).

    Raises:
        UsageError: if data or mask do not fit the model, `particles` is not positive, the share is
            not between 0 and 1, the proposal belongs to other rows, or it cannot be widened.

    Example:
        >>> found = infer.sir(model, x, mask, generator=generator, proposal=posterior, widen=1.85)
        >>> found.diagnostics["pareto_k"] < 0.7  # the weights are reliable
        tensor([True, True, True])
        >>> exact = infer.grid(model, x, mask, generator=generator)
        >>> (found.log_evidence - exact.log_evidence).abs() < 0.5  # nats
        tensor([True, True, True])
    """
    require_positive(particles=particles)
    if not 0 <= prior_share <= 1:
        raise UsageError(
            f"the prior cannot give a share of {prior_share:g} of the particles",
            why="found a share outside of 0 to 1",
            fix="give prior_share=0.1, or 0 for none",
        )
    target = Target.of(model, x, mask)
    target.require_room(particles, particles=particles)
    q = model.amortised_posterior(*target.given.data) if proposal is None else proposal.q
    target.require_fitted(q, "proposal")
    z, log_q = _draw(_widened(q, widen), target, particles, prior_share, generator)
    # log w_k = log p(x_seen, z_k) − log q(z_k)
    return ParticlePosterior(target, z, target.log_joint(z) - log_q, generator)


def _draw(
    q: Density, target: Target, k: int, prior_share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw k values of q and of the prior, (k, B, D), with the log density of both, (k, B)."""
    from_prior = round(prior_share * k)
    if not from_prior:
        return q.draw(k, generator)
    prior = target.model.prior(len(target))
    z = torch.cat([q.sample(k - from_prior, generator), prior.sample(from_prior, generator)])
    # log [ (1 − s) q(z) + s p(z) ]
    share = torch.tensor(from_prior / k).to(z)
    return z, torch.logaddexp(q.log_prob(z) + (-share).log1p(), prior.log_prob(z) + share.log())


def _widened(q: Density, factor: float) -> Density:
    if factor == 1.0:
        return q
    wide = q.widened(factor) if factor > 0 else None
    if wide is not None:
        return wide
    raise UsageError(
        f"this proposal cannot be widened by {factor:g}",
        why="only Gaussians and their mixtures can be widened, and only by a positive factor",
        fix="leave widen at 1, or give another fit as the proposal",
    )
