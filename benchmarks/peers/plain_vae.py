"""A VAE as a plain PyTorch script trains it: eager, float32, the data in memory.

python plain_vae.py PROBLEM.npz RESULT.npz
"""

import math
import sys

import torch
import torch.nn.functional as F
from problem import RATE, Laps, Problem, write_result
from torch import Tensor, nn
from torch_networks import layers_of, network


def main(path: str, result: str) -> None:
    """Train, and write what came of it."""
    problem = Problem.read(path)
    torch.manual_seed(problem.seed)
    x = torch.from_numpy(problem.x).float()
    encoder = network(problem.encoder, problem.activation)
    decoder = network(problem.decoder, problem.activation)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], RATE)
    laps = Laps()
    for _ in range(problem.epochs):
        laps.begin()
        for index in torch.randperm(len(x)).split(problem.batch):
            loss = -_bound(encoder, decoder, x[index], problem.particles).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        laps.end()
    write_result(result, laps, layers_of(encoder), layers_of(decoder))


def _bound(encoder: nn.Module, decoder: nn.Module, x: Tensor, particles: int) -> Tensor:
    """Compute the ELBO with its KL in closed form, or log 1/K Σ_k w_k of K particles, (B,)."""
    mean, log_std = encoder(x).chunk(2, -1)
    eps = torch.randn(particles, *mean.shape)
    z = mean + log_std.exp() * eps
    expected = x.expand(particles, *x.shape)
    nll = F.binary_cross_entropy_with_logits(decoder(z), expected, reduction="none").sum(-1)
    if particles == 1:
        kl = 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1)
        return -nll[0] - kl
    # log p(z) − log q(z | x)
    log_ratio = (0.5 * (eps**2 - z**2) + log_std).sum(-1)
    return torch.logsumexp(log_ratio - nll, 0) - math.log(particles)


if __name__ == "__main__":
    main(*sys.argv[1:])
