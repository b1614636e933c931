"""elboroom's own diagonal Gaussian of z given the first pixels of each image.

python -m benchmarks.runners.elboroom_svi PROBLEM.npz RESULT.npz SEEN SEED
"""

import sys
import time

import numpy as np
import torch

from benchmarks.peers.problem import Problem
from benchmarks.runners.elboroom_training import EVENT, model_of
from elboroom import infer
from elboroom.model.posteriors import DiagonalGaussian
from elboroom.randomness import stream


def main(path: str, result: str, seen: str, seed: str) -> None:
    """Fit, and write `mean` and `scale`, (B, D), and the `seconds` of the one call."""
    problem = Problem.read(path)
    model = model_of(problem.encoder, problem.decoder, problem.activation)
    x = torch.from_numpy(problem.x).float().unflatten(1, EVENT)
    mask = (torch.arange(x[0].numel()) < int(seen)).view(EVENT)
    clock = time.perf_counter()
    q = infer.svi(model.eval(), x, mask, generator=stream(int(seed), "svi")).q
    seconds = time.perf_counter() - clock
    assert isinstance(q, DiagonalGaussian)
    np.savez(result, mean=q.mean.numpy(), scale=q.log_std.exp().numpy(), seconds=seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
