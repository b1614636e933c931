"""Options, their defaults and the presets: the one place where they are written.

This module imports nothing heavy, so that `elboroom --help` answers at once.
"""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro

from elboroom.errors import UsageError

Binarisation = Literal["threshold", "dynamic", "static", "none"]
Split = Literal["standard", "reference"]
Activation = Literal["tanh", "relu", "silu", "softplus"]
Schedule = Literal["constant", "cosine"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]


def _require(ok: bool, name: str, found: object, expected: str) -> None:
    if not ok:
        raise UsageError(
            f"--{name.replace('_', '-')} {found} cannot be used",
            why=f"{name} must be {expected}",
            fix="change that value; the --help of the command lists its options",
        )


def _require_seed(seed: int) -> None:
    _require(0 <= seed < 2**63, "seed", seed, "in [0, 2^63)")


def _require_rows(index: tuple[int, ...] | None) -> None:
    _require(index != (), "index", index, "one row or more")


def _require_images(images: int | None) -> None:
    _require(images is None or images >= 1, "images", images, "1 or more")


def _require_different(method: tuple[str, ...]) -> None:
    _require(len(set(method)) == len(method), "method", " ".join(method), "of different methods")


def _require_choices(config: object, **choices: Any) -> None:
    for name, literal in choices.items():
        options = get_args(literal)
        _require(getattr(config, name) in options, name, getattr(config, name), f"in {options}")


@dataclass(frozen=True)
class DataConfig:
    """Which images, made binary how, split how: the identity of the data."""

    source: Annotated[str, tyro.conf.arg(name="data")] = "mnist"
    """`mnist` (embedded), or the path of a .npy or .npz array of images."""
    binarisation: Binarisation = "threshold"
    """threshold: x > 0.5. dynamic: a fresh Bernoulli draw at every visit in training, the test set
    drawn once from a fixed seed. static: everything drawn once from a fixed seed. none: as is."""
    split: Split = "standard"
    """standard: the data's own train and test parts (a tenth held out where it has no test part).
    reference: the first 10,000 rows of train, tested on the next 10,000."""
    validation: int = 0
    """Images taken from the end of the training part to watch training by; 0 takes none."""

    def __post_init__(self) -> None:
        _require_choices(self, binarisation=Binarisation, split=Split)
        _require(self.validation >= 0, "validation", self.validation, "0 or more")

    def anywhere(self) -> "DataConfig":
        """The same data, named so that it is found from any working directory."""
        is_file = self.source != "mnist"
        return replace(self, source=str(Path(self.source).resolve())) if is_file else self


@dataclass(frozen=True)
class ModelConfig:
    """The networks: an MLP encoder, and an MLP decoder with the same layers in reverse."""

    latents: int = 2
    """Dimension D of the latent space."""
    hidden: tuple[int, ...] = (500,)
    """Widths of the encoder's hidden layers, from image to latent."""
    activation: Activation = "tanh"
    """Nonlinearity between layers."""

    def __post_init__(self) -> None:
        _require(self.latents >= 1, "latents", self.latents, "1 or more")
        _require(
            all(width >= 1 for width in self.hidden), "hidden", self.hidden, "widths of 1 or more"
        )
        _require_choices(self, activation=Activation)


@dataclass(frozen=True)
class TrainConfig:
    """How the ELBO is maximised, on what, and how often it is looked at."""

    epochs: int = 100
    """Visits of every training image."""
    batch_size: int = 200
    """Images a step."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    schedule: Schedule = "constant"
    """constant, or cosine: from the learning rate down to zero at the last step."""
    warmup: float = 0.0
    """Epochs over which the weight β of the KL rises from 0 to 1; 0 keeps β = 1."""
    seed: int = 0
    """Fixes the initial weights, the order of the data and every draw."""
    evaluate_every: int = 10
    """Epochs between two held-out ELBOs; the last epoch always has one."""
    device: Device = "auto"
    """auto takes CUDA where there is one, else the processor."""
    precision: Precision = "auto"
    """bf16: matrix products in bfloat16, weights and sums in float32. fp32: all in float32.
    auto takes bf16 where the hardware multiplies it natively."""
    threads: int | None = None
    """Processor threads; None leaves PyTorch's choice."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "evaluate_every"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        _require(0 < self.learning_rate < 1, "learning_rate", self.learning_rate, "in (0, 1)")
        _require(self.warmup >= 0, "warmup", self.warmup, "0 or more")
        _require_seed(self.seed)
        _require(self.threads is None or self.threads >= 1, "threads", self.threads, "1 or more")
        _require_choices(self, schedule=Schedule, device=Device, precision=Precision)


@dataclass(frozen=True)
class EvaluateConfig:
    """How a run is evaluated."""

    k: int = 20
    """Samples of z an image; the IWAE bound tightens with it."""
    seed: int = 0
    """Fixes those samples."""

    def __post_init__(self) -> None:
        _require(self.k >= 1, "k", self.k, "1 or more")
        _require_seed(self.seed)


FigureName = Literal[
    "samples",
    "latent",
    "interpolation",
    "contours",
    "posteriors",
    "completion",
    "manifold",
    "curves",
]


@dataclass(frozen=True)
class FiguresConfig:
    """Which figures are drawn, and of what."""

    only: tuple[FigureName, ...] = get_args(FigureName)
    """The figures to draw."""
    pairs: tuple[str, ...] = ("1-2", "3-8", "4-5")
    """Classes between which images are interpolated."""
    mask: str = "top"
    """What is seen in contours and completion; as in `elboroom complete`."""
    seed: int = 0
    """Fixes every draw."""

    def __post_init__(self) -> None:
        _require(len(self.only) >= 1, "only", self.only, "one figure or more")
        _require_seed(self.seed)


FitName = Literal["svi-full", "svi-low-rank", "svi-mixture", "svi-flow", "laplace"]
"""Methods whose answer is a density q of more than the encoder's family."""
MethodName = Literal[
    "encoder",
    "svi",
    FitName,
    "sir",
    "hmc",
    "pseudo-gibbs",
    "metropolis-within-gibbs",
    "grid",
]
_MOST_COMPARED = 6


@dataclass(frozen=True)
class CompleteConfig:
    """Which images are completed, from what part of them, by which methods."""

    mask: str
    """What is seen: top, bottom, left, right, a boolean .npy, or a .png whose white is seen."""
    method: tuple[MethodName, ...] = ("svi",)
    """Up to six methods of inference, shown side by side; as in `elboroom infer`."""
    index: tuple[int, ...] | None = None
    """Rows of the test part to complete; None takes the first eight."""
    image: Path | None = None
    """A PNG of the size of the data to complete instead, made binary at half its brightness."""
    draws: int = 3
    """Completions drawn of each image, by each method."""
    seed: int = 0
    """Fixes the inference and the draws."""

    def __post_init__(self) -> None:
        _require(self.draws >= 1, "draws", self.draws, "1 or more")
        _require_rows(self.index)
        of_test = self.image is None or self.index is None
        _require(of_test, "index", self.index, "left out beside --image")
        names = " ".join(self.method)
        _require(1 <= len(self.method) <= _MOST_COMPARED, "method", names, "one to six methods")
        _require_different(self.method)
        _require_seed(self.seed)


@dataclass(frozen=True)
class InferConfig:
    """Whose posteriors are inferred, how, and what is kept of them."""

    out: Path
    """The .npz file to write; what is there already is never written over."""
    mask: str | None = None
    """What is seen; as in `elboroom complete`. None means everything."""
    method: MethodName = "svi"
    """How the posteriors are found.
    encoder: its q as it stands.
    svi: a diagonal Gaussian fitted to each image.
    svi-full, svi-low-rank: a Gaussian with correlations, all or few.
    svi-mixture, svi-flow: several Gaussians, or a normalising flow.
    laplace: a Gaussian at the mode, refined.
    sir: particles of Gaussians at the modes, weighted by the truth.
    hmc: Hamiltonian Monte Carlo.
    pseudo-gibbs: the encoder and the decoder take turns.
    metropolis-within-gibbs: the same, corrected.
    grid: exact, for one or two latents."""
    index: tuple[int, ...] | None = None
    """Rows of the test part; None takes all of them."""
    images: int | None = None
    """The first so many rows of the test part instead; None takes all of them."""
    draws: int = 100
    """Draws of z kept of each image; of each of its chains, where the method walks."""
    seed: int = 0
    """Fixes the inference and the draws."""

    def __post_init__(self) -> None:
        _require(self.out.suffix == ".npz", "out", self.out, "the path of an .npz file")
        _require(self.draws >= 1, "draws", self.draws, "1 or more")
        _require_rows(self.index)
        _require_images(self.images)
        one_choice = self.images is None or self.index is None
        _require(one_choice, "index", self.index, "left out beside --images")
        _require_seed(self.seed)


@dataclass(frozen=True)
class GapsConfig:
    """Of which images the inference gap is taken apart, and by which fits."""

    mask: str | None = None
    """What is seen; as in `elboroom complete`. None means everything."""
    images: int | None = None
    """The first so many rows of the test part; None takes the first hundred."""
    method: tuple[FitName, ...] = ("svi-full", "svi-mixture")
    """Fits beyond the encoder's family, whose bounds are compared; as in `elboroom infer`."""
    k: int = 1_000
    """Samples of z an image, of each fit; from three latents on they give the evidence too."""
    seed: int = 0
    """Fixes the fits and the samples."""

    def __post_init__(self) -> None:
        _require_images(self.images)
        _require_different(self.method)
        _require(self.k >= 100, "k", self.k, "100 or more")
        _require_seed(self.seed)


@dataclass(frozen=True)
class Config:
    """Everything that a run is made from."""

    data: DataConfig = field(default_factory=DataConfig)
    """Data."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Model."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Training."""

    @classmethod
    def from_dict(cls, tables: dict[str, dict[str, Any]]) -> "Config":
        """Read back what `dataclasses.asdict` wrote; an unknown option is a `UsageError`."""
        parts = {f.name: _part(f.default_factory, tables.get(f.name, {})) for f in fields(cls)}  # type: ignore[arg-type]
        return cls(**parts)


def _part(kind: type[Any], table: dict[str, Any]) -> Any:
    known = {f.name for f in fields(kind)}
    if set(table) - known:
        raise UsageError(
            f"unknown option {', '.join(sorted(set(table) - known))} in a config",
            why=f"{kind.__name__} has {', '.join(sorted(known))}",
            fix="remove it, or read the run with the version of elboroom that wrote it",
        )
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in table.items()})


PRESETS: dict[str, Config] = {
    # Kingma & Welling (2013) in two dimensions, on 10,000 digits: the reference experiment.
    "reference": Config(data=DataConfig(split="reference")),
    # The two-layer network of Burda et al. (2015), section 5, with one stochastic layer.
    "mnist": Config(
        data=DataConfig(binarisation="dynamic"),
        model=ModelConfig(latents=50, hidden=(200, 200)),
        train=TrainConfig(epochs=50, batch_size=100),
    ),
}
