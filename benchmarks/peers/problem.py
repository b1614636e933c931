"""Input and output of each training script, as .npz files; only NumPy is needed.

Weights are (out, in) and biases (out,): `encoder_w0`, `encoder_b0`, … up to the layer that gives
the means of z, followed by the logarithms of its standard deviations; `decoder_w0`, … up to the
logits of the pixels. Every program starts from the same weights.
"""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 1e-3
"""Adam's step size."""

Layers = list[tuple[NDArray[np.float32], NDArray[np.float32]]]


@dataclass(frozen=True)
class Problem:
    """A training run.

    Attributes:
        x: (N, P), uint8, 0 or 1; N is a multiple of the batch size.
        encoder: initial weights and biases, one pair for each layer.
        decoder: the same.
        activation: the activation between layers, "softplus" or "tanh".
        batch: images in a step.
        epochs: visits of each image.
        particles: 1 for the ELBO; K > 1 for the bound of Burda et al. (2016) with K samples.
        seed: seed of the order of images and of all noise.
    """

    x: NDArray[np.uint8]
    encoder: Layers
    decoder: Layers
    activation: str
    batch: int
    epochs: int
    particles: int
    seed: int

    @property
    def latents(self) -> int:
        """The number of latents, D."""
        return self.decoder[0][0].shape[1]

    def write(self, path: Path) -> None:
        """Write the problem to one .npz file."""
        rest = {k: v for k, v in vars(self).items() if k not in ("encoder", "decoder")}
        np.savez(path, **rest, **_named(self.encoder, self.decoder))

    @classmethod
    def read(cls, path: str | Path) -> "Problem":
        """Read a file that `write` wrote."""
        arrays = dict(np.load(path))
        encoder, decoder = layers(arrays, "encoder"), layers(arrays, "decoder")
        counts = {k: int(arrays[k]) for k in ("batch", "epochs", "particles", "seed")}
        return cls(arrays["x"], encoder, decoder, str(arrays["activation"]), **counts)


@dataclass(frozen=True)
class Laps:
    """The times at which epochs began and ended, in seconds since 1970, alike in all processes."""

    began: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def begin(self) -> None:
        """Record that an epoch begins."""
        self.began.append(time.time())

    def end(self) -> None:
        """Record that the epoch has ended."""
        self.ended.append(time.time())


def write_result(path: str, laps: Laps, encoder: Layers, decoder: Layers) -> None:
    """Write the times, the largest resident memory of this program in KiB, and the weights."""
    np.savez(path, peak=_peak(), **asdict(laps), **_named(encoder, decoder))


def _peak() -> int:
    # getrusage would also count the memory of the process that started this one.
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1])


def layers(arrays: dict[str, Any], name: str) -> Layers:
    """Return the weights and biases of `name`, from the first layer to the last."""
    count = sum(key.startswith(f"{name}_w") for key in arrays)
    return [(arrays[f"{name}_w{i}"], arrays[f"{name}_b{i}"]) for i in range(count)]


def _named(encoder: Layers, decoder: Layers) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, of in (("encoder", encoder), ("decoder", decoder)):
        for i, (weight, bias) in enumerate(of):
            named |= {f"{name}_w{i}": weight, f"{name}_b{i}": bias}
    return named
