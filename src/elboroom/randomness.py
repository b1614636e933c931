"""Random streams. Every draw is a function of the seed and of what it is for.

So nothing random needs to be saved with a run: step 1,234 of seed 0 draws the same noise whether or
not the run was interrupted before it.
"""

import zlib

import numpy as np
import torch


def stream(
    seed: int, purpose: str, index: int = 0, *, device: torch.device | None = None
) -> torch.Generator:
    """A generator on `device` (default: cpu) for the `index`-th use of `purpose` under `seed`."""
    key = np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), index])
    state = int(key.generate_state(1, np.uint64)[0])
    return torch.Generator(device or torch.device("cpu")).manual_seed(state)
