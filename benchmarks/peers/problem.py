"""What each training script is given and gives back, as .npz files; nothing but NumPy is needed.

Weights are (out, in) and biases (out,): `encoder_w0`, `encoder_b0`, … up to the layer that gives
the means of z and behind them the logarithms of its standard deviations; `decoder_w0`, … up to the
logits of the pixels. Everybody starts at the same weights.
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
        encoder: the weights and biases to start from, a pair a layer.
        decoder: the same.
        activation: between layers, "softplus" or "tanh".
        batch: images a step.
        epochs: visits of each image.
        particles: 1 for the ELBO; more for the bound of Burda et al. (2016) with so many samples.
        seed: of the order and of all noise.
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
        """D."""
        return self.decoder[0][0].shape[1]

    def write(self, path: Path) -> None:
        """As one .npz file."""
        rest = {k: v for k, v in vars(self).items() if k not in ("encoder", "decoder")}
        np.savez(path, **rest, **_named(self.encoder, self.decoder))

    @classmethod
    def read(cls, path: str | Path) -> "Problem":
        """What `write` wrote."""
        arrays = dict(np.load(path))
        encoder, decoder = layers(arrays, "encoder"), layers(arrays, "decoder")
        counts = {k: int(arrays[k]) for k in ("batch", "epochs", "particles", "seed")}
        return cls(arrays["x"], encoder, decoder, str(arrays["activation"]), **counts)


@dataclass(frozen=True)
class Laps:
    """When epochs began and ended, in seconds since 1970, so that processes can be compared."""

    began: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def begin(self) -> None:
        """An epoch begins."""
        self.began.append(time.time())

    def end(self) -> None:
        """It has ended."""
        self.ended.append(time.time())


def write_result(path: str, laps: Laps, encoder: Layers, decoder: Layers) -> None:
    """Write the times, the largest resident memory of this program in KiB, and the weights."""
    np.savez(path, peak=_peak(), **asdict(laps), **_named(encoder, decoder))


def _peak() -> int:
    # getrusage would count what the program that started this one held, too
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1])


def layers(arrays: dict[str, Any], name: str) -> Layers:
    """The weights and biases of `name`, from the first layer to the last."""
    count = sum(key.startswith(f"{name}_w") for key in arrays)
    return [(arrays[f"{name}_w{i}"], arrays[f"{name}_b{i}"]) for i in range(count)]


def _named(encoder: Layers, decoder: Layers) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, of in (("encoder", encoder), ("decoder", decoder)):
        for i, (weight, bias) in enumerate(of):
            named |= {f"{name}_w{i}": weight, f"{name}_b{i}": bias}
    return named
