"""Options of the commands that look at a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from tyro.conf import arg

from elboroom.config.checks import (
    require,
    require_choices,
    require_different,
    require_images,
    require_rows,
    require_seed,
)
from elboroom.config.kinds import METHODS, FitName, MethodName, listed
from elboroom.config.training import Precision

AnnealingSchedule = Literal["sigmoid", "linear"]


@dataclass(frozen=True)
class EvaluateConfig:
    """How a run is evaluated."""

    k: int = 5_000
    """Samples of z an image; the IWAE bound tightens with it. Two cores take 5,000 of 10,000 images
    in some minutes."""
    ais: int = 0
    """So many test images, the first ones, get annealed importance sampling too."""
    certify: int = 0
    """So many images are drawn from the model, whose log p(x) is bounded from both sides by
    bidirectional Monte Carlo: by how much annealing can fall short."""
    distributions: int = 1_000
    """Steps of annealing, for --ais and --certify."""
    chains: int = 16
    """Chains of annealing an image."""
    schedule: AnnealingSchedule = "sigmoid"
    """Of the inverse temperature; sigmoid dwells at both ends."""
    precision: Precision = "fp32"
    """Of the decoder's matrix products in the bounds, as in training. bf16 takes half the time or
    less, and what it moves the IWAE bound by is measured on the first images and told."""
    seed: int = 0
    """Fixes all samples."""

    def __post_init__(self) -> None:
        for name in ("k", "distributions", "chains"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("ais", "certify"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require_choices(self, schedule=AnnealingSchedule, precision=Precision)
        require_seed(self.seed)


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
        require(len(self.only) >= 1, "only", self.only, "one figure or more")
        require_seed(self.seed)


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
        require(self.draws >= 1, "draws", self.draws, "1 or more")
        require_rows(self.index)
        of_test = self.image is None or self.index is None
        require(of_test, "index", self.index, "left out beside --image")
        names = " ".join(self.method)
        require(1 <= len(self.method) <= _MOST_COMPARED, "method", names, "one to six methods")
        require_different(self.method)
        require_seed(self.seed)


@dataclass(frozen=True)
class InferConfig:
    """Whose posteriors are inferred, how, and what is kept of them."""

    out: Path
    """The .npz file to write; what is there already is never written over."""
    mask: str | None = None
    """What is seen; as in `elboroom complete`. None means everything."""
    method: Annotated[MethodName, arg(help=listed("Method of inference.", METHODS))] = "svi"
    index: tuple[int, ...] | None = None
    """Rows of the test part; None takes all of them."""
    images: int | None = None
    """The first so many rows of the test part instead; None takes all of them."""
    draws: int = 100
    """Draws of z kept of each image; of each of its chains, where the method walks."""
    seed: int = 0
    """Fixes the inference and the draws."""

    def __post_init__(self) -> None:
        require(self.out.suffix == ".npz", "out", self.out, "the path of an .npz file")
        require(self.draws >= 1, "draws", self.draws, "1 or more")
        require_rows(self.index)
        require_images(self.images)
        one_choice = self.images is None or self.index is None
        require(one_choice, "index", self.index, "left out beside --images")
        require_seed(self.seed)


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
    """Samples of z an image, of each fit; from three latents on, as many for the evidence."""
    seed: int = 0
    """Fixes the fits and the samples."""

    def __post_init__(self) -> None:
        require_images(self.images)
        require_different(self.method)
        require(self.k >= 100, "k", self.k, "100 or more")
        require_seed(self.seed)
