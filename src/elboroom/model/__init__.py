"""p(x, z) = p(z) p(x | z) and q(z | x): networks, likelihoods, priors, posteriors, the VAE."""

from elboroom.model.vae import VAE

__all__ = ["VAE"]
