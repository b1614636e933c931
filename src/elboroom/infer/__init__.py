"""Posteriors of partly seen data; every method is called as `(model, x, mask, *, generator, …)`."""

from elboroom.infer.ais import AnnealedPosterior, ais
from elboroom.infer.chains.posterior import ChainPosterior
from elboroom.infer.completion import Completion, complete
from elboroom.infer.completion_score import CompletionScore, completion_score, predictive_score
from elboroom.infer.encoder import encoder
from elboroom.infer.exact_elbo import exact_elbo
from elboroom.infer.fitting.prior_draws import KeptDraws
from elboroom.infer.gibbs import metropolis_within_gibbs, pseudo_gibbs
from elboroom.infer.grid import GridPosterior, KeptTiles, grid
from elboroom.infer.hmc import HMCPosterior, hmc
from elboroom.infer.laplace import laplace
from elboroom.infer.partial_encoder import partial_encoder
from elboroom.infer.posterior import Posterior, VariationalPosterior
from elboroom.infer.sir import ParticlePosterior, sir
from elboroom.infer.svi import svi

__all__ = [
    "AnnealedPosterior",
    "ChainPosterior",
    "Completion",
    "CompletionScore",
    "GridPosterior",
    "HMCPosterior",
    "KeptDraws",
    "KeptTiles",
    "ParticlePosterior",
    "Posterior",
    "VariationalPosterior",
    "ais",
    "complete",
    "completion_score",
    "encoder",
    "exact_elbo",
    "grid",
    "hmc",
    "laplace",
    "metropolis_within_gibbs",
    "partial_encoder",
    "predictive_score",
    "pseudo_gibbs",
    "sir",
    "svi",
]
