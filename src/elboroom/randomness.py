"""Random streams. Every draw is a function of the seed and of what it is for.

So nothing random needs to be saved with a run: step 1,234 of seed 0 draws the same noise whether or
not the run was interrupted before it.
"""

from hashlib import blake2b

import torch


def stream(
    seed: int, purpose: str, index: int = 0, *, device: torch.device | None = None
) -> torch.Generator:
    """A generator on `device` (default: cpu) for the `index`-th use of `purpose` under `seed`.

    PyTorch's processor generator takes 32 bits of seed, so that among many streams a few may agree.
    """
    return restart(torch.Generator(device or torch.device("cpu")), seed, purpose, index)


def restart(generator: torch.Generator, seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """Make `generator` draw what `stream` of the same key would."""
    key = blake2b(f"{seed}/{purpose}/{index}".encode(), digest_size=8).digest()
    return generator.manual_seed(int.from_bytes(key, "little"))


def fork(generator: torch.Generator) -> torch.Generator:
    """Another stream, for what may draw more where there are more rows.

    The draws that follow from `generator` do not shift with it.
    """
    seed = int(torch.randint(1 << 62, (), generator=generator, device=generator.device))
    return torch.Generator(generator.device).manual_seed(seed)
