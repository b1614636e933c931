"""Pyro's diagonal Gaussian of z given the first pixels of each image, for all images at once.

python pyro_svi.py PROBLEM.npz RESULT.npz SEEN STEPS PARTICLES

The decoder stays as it is. RESULT gets `mean` and `scale`, (B, D), and the `seconds` of all steps.
On this model the JIT is slower: its first step takes seconds, each later one several times as long.
"""

import sys
import time

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from problem import Problem
from pyro.infer import SVI, TraceMeanField_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.optim import ClippedAdam
from torch import Tensor
from torch_networks import network

FIRST_STEP, LAST_STEP = 0.05, 0.0005


def main(path: str, result: str, *counts: str) -> None:
    """Fit, and write what came of it."""
    problem = Problem.read(path)
    seen, steps, particles = map(int, counts)
    pyro.enable_validation(False)
    pyro.set_rng_seed(0)
    x = torch.from_numpy(problem.x[:, :seen]).float()
    *hidden, (weight, bias) = problem.decoder
    decoder = network([*hidden, (weight[:seen], bias[:seen])], problem.activation)
    decoder.requires_grad_(False)

    def model(x: Tensor) -> None:
        with pyro.plate("images", x.shape[0]):
            zero = x.new_zeros((x.shape[0], problem.latents))
            z = pyro.sample("z", dist.Normal(zero, zero + 1).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)

    guide = AutoNormal(model)
    guide(x)
    loss = TraceMeanField_ELBO(particles, max_plate_nesting=1, vectorize_particles=True)
    decay = (LAST_STEP / FIRST_STEP) ** (1 / steps)
    svi = SVI(model, guide, ClippedAdam({"lr": FIRST_STEP, "lrd": decay}), loss)
    clock = time.perf_counter()
    for _ in range(steps):
        svi.step(x)
    seconds = time.perf_counter() - clock
    mean, scale = (part.z.detach().numpy() for part in (guide.locs, guide.scales))
    np.savez(result, mean=mean, scale=scale, seconds=seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
