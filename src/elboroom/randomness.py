"""Random streams. Every draw is a function of the seed and of the purpose it serves.

A run therefore stores no random state: step 1,234 of seed 0 draws the same noise whether or not the
run was interrupted before it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b

import torch
from torch import Tensor


def stream(
    seed: int, purpose: str, index: int | str = 0, *, device: torch.device | None = None
) -> torch.Generator:
    """Return a generator on `device` (default: cpu) for the `index`-th use of `purpose`.

    PyTorch's CPU generator uses 32 bits of the seed, so among many streams a few may coincide.
    """
    return restart(torch.Generator(device or torch.device("cpu")), seed, purpose, index)


def restart(
    generator: torch.Generator, seed: int, purpose: str, index: int | str = 0
) -> torch.Generator:
    """Make `generator` draw what `stream` of the same key would draw."""
    key = blake2b(f"{seed}/{purpose}/{index}".encode(), digest_size=8).digest()
    return generator.manual_seed(int.from_bytes(key, "little"))


def fork(generator: torch.Generator) -> torch.Generator:
    """Return a child stream for code whose number of draws depends on the number of rows.

    `generator` itself moves by one draw, however many the child makes.
    """
    seed = int(torch.randint(1 << 62, (), generator=generator, device=generator.device))
    return torch.Generator(generator.device).manual_seed(seed)


class DrawnBefore(torch.Generator):
    """A generator whose normal and uniform values are drawn before the code that asks for them.

    Code with a graph of its own, which knows no generators, takes them as inputs. Until `give` is
    called it draws as any other generator does, and notes what is asked for.
    """

    def __init__(self, device: torch.device) -> None:
        self._asked = list[tuple[Callable[..., Tensor], tuple[int, ...], torch.dtype]]()
        self._given: Iterator[Tensor] | None = None

    def draw(self, generator: torch.Generator) -> list[Tensor]:
        """Draw from a generator what was asked for, in the same order."""
        return [
            kind(shape, generator=generator, dtype=dtype, device=generator.device)
            for kind, shape, dtype in self._asked
        ]

    def give(self, values: Sequence[Tensor]) -> None:
        """Hand these values out from now on."""
        self._given = iter(values)

    def next(self, kind: Callable[..., Tensor], shape: Sequence[int], like: Tensor) -> Tensor:
        """Return the next values, from those that were given or drawn anew."""
        if self._given is not None:
            return next(self._given)
        self._asked.append((kind, tuple(shape), like.dtype))
        return kind(shape, generator=self, dtype=like.dtype, device=like.device)


def _drawn(
    kind: Callable[..., Tensor], shape: Sequence[int], like: Tensor, generator: torch.Generator
) -> Tensor:
    if isinstance(generator, DrawnBefore):
        return generator.next(kind, shape, like)
    return kind(shape, generator=generator, dtype=like.dtype, device=like.device)


def normals(shape: Sequence[int], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal values of `shape`, with the type and device of `like`."""
    return _drawn(torch.randn, shape, like, generator)


def uniforms(shape: Sequence[int], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw values uniform in [0, 1) of `shape`, with the type and device of `like`."""
    return _drawn(torch.rand, shape, like, generator)


def coarse_uniforms(shape: Sequence[int], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw as `uniforms`; on a processor 2⁻¹⁶ (k + ½) with k = 0 … 2¹⁶ − 1, in half the time.

    A value lies below p with a probability that differs from p by 2⁻¹⁷ or less.
    """
    return _drawn(_coarse, shape, like, generator)


def _coarse(
    shape: Sequence[int],
    *,
    generator: torch.Generator,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    if device.type != "cpu":
        return torch.rand(shape, generator=generator, dtype=dtype, device=device)
    values = math.prod(shape)
    words = torch.empty(-(-values // 4), dtype=torch.int64)
    words.random_(-(2**63), None, generator=generator)  # all 64 bits
    k = words.view(torch.int16)[:values].view(shape).to(dtype)
    return k.add_(2**15 + 0.5).mul_(2**-16)
