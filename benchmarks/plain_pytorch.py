"""The reference experiment as a plain PyTorch script would write it: eager, float32."""

import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN, LATENTS, BATCH = 500, 2, 200


def train(x: Tensor, epochs: int) -> float:
    """Train on x (N, 784) for some epochs; return the seconds."""
    encoder = nn.Sequential(nn.Linear(784, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 2 * LATENTS))
    decoder = nn.Sequential(nn.Linear(LATENTS, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 784))
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-3)
    clock = time.perf_counter()
    for _ in range(epochs):
        for index in torch.randperm(len(x)).split(BATCH):
            loss = _loss(encoder, decoder, x[index])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return time.perf_counter() - clock


def _loss(encoder: nn.Module, decoder: nn.Module, x: Tensor) -> Tensor:
    mean, log_variance = encoder(x).chunk(2, -1)
    z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
    nll = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()
    return (nll + kl) / len(x)
