"""Options of the commands that read a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from elboroom.config.checks import (
    require,
    require_choices,
    require_different,
    require_images,
    require_rows,
    require_seed,
)
from elboroom.config.kinds import (
    ANNEALING_SCHEDULES,
    FIGURES,
    METHODS,
    PRECISIONS,
    AnnealingSchedule,
    FigureName,
    FitName,
    MethodName,
    Precision,
    listed,
)

COMPLETED_BY_DEFAULT = 8
"""Test images that `elboroom complete` takes."""
TAKEN_APART_BY_DEFAULT = 100
"""Test images that `elboroom gaps` takes."""
MOST_METHODS = 6
"""Methods that the figure of `elboroom complete` shows legibly."""


@dataclass(frozen=True)
class EvaluateConfig:
    """Options of an evaluation."""

    k: int = 5_000
    """Samples of z for each image; the IWAE bound tightens with k. With 5,000 samples 10,000 images
    take some minutes on two cores."""
    ais: int = 0
    """Number of test images, from the first on, that annealed importance sampling evaluates too."""
    certify: int = 0
    """Number of images drawn from the model whose log p(x) is bounded from both sides by
    bidirectional Monte Carlo, which shows how far annealing falls short."""
    distributions: int = 1_000
    """Annealing steps for --ais and --certify."""
    chains: int = 16
    """Annealing chains for each image."""
    schedule: Annotated[
        AnnealingSchedule,
        arg(help=listed("Inverse temperature over the steps.", ANNEALING_SCHEDULES)),
    ] = "sigmoid"
    precision: Annotated[
        Precision,
        arg(
            help=listed(
                "Precision of the decoder's matrix products. bf16 takes half the time or less; the "
                "shift of the IWAE bound is measured on the first images and reported.",
                PRECISIONS,
            )
        ),
    ] = "fp32"
    seed: int = 0
    """Seed of all samples."""

    def __post_init__(self) -> None:
        for name in ("k", "distributions", "chains"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("ais", "certify"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require_choices(self, schedule=AnnealingSchedule, precision=Precision)
        require_seed(self.seed)


@dataclass(frozen=True)
class FiguresConfig:
    """Options of the figures of a run."""

    only: Annotated[tuple[FigureName, ...], arg(help=listed("Figures to draw.", FIGURES))] = tuple(
        FIGURES
    )
    pairs: tuple[str, ...] | None = None
    """Pairs of classes between which images are interpolated, such as 1-2 or cat-dog. A name may
    have hyphens: a pair is split at the first one between two classes. None takes three pairs of
    the classes that are there."""
    mask: str = "top"
    """Observed pixels in contours and completion; as in `elboroom complete`."""
    seed: int = 0
    """Seed of every draw."""

    def __post_init__(self) -> None:
        require(len(self.only) >= 1, "only", self.only, "one figure or more")
        require_seed(self.seed)


@dataclass(frozen=True)
class CompleteConfig:
    """Options of a completion: images, observed pixels and methods."""

    mask: str
    """Observed pixels: top, bottom, left, right, a boolean .npy, or a .png that is white there."""
    method: Annotated[
        tuple[MethodName, ...],
        arg(
            help=f"Methods of inference, at most {MOST_METHODS}, shown side by side; "
            "`elboroom infer --help` lists them."
        ),
    ] = ("svi",)
    index: Annotated[
        tuple[int, ...] | None,
        arg(
            help=f"Rows of the test part to complete; None takes the first {COMPLETED_BY_DEFAULT}."
        ),
    ] = None
    image: Path | None = None
    """PNG to complete instead, of the size of the data; binarised at half its brightness."""
    draws: int = 3
    """Completions drawn for each image by each method."""
    seed: int = 0
    """Seed of the inference and the draws."""

    def __post_init__(self) -> None:
        require(self.draws >= 1, "draws", self.draws, "1 or more")
        require_rows(self.index)
        of_test = self.image is None or self.index is None
        require(of_test, "index", self.index, "omitted with --image")
        names, expected = " ".join(self.method), f"1 to {MOST_METHODS} methods"
        require(1 <= len(self.method) <= MOST_METHODS, "method", names, expected)
        require_different(self.method)
        require_seed(self.seed)


@dataclass(frozen=True)
class InferConfig:
    """Options of inference: images, observed pixels, method and output."""

    out: Path
    """The .npz file to write; an existing file is never overwritten."""
    mask: str | None = None
    """Observed pixels, as in `elboroom complete`; None observes all."""
    method: Annotated[MethodName, arg(help=listed("Method of inference.", METHODS))] = "svi"
    index: tuple[int, ...] | None = None
    """Rows of the test part; None takes all of them."""
    images: int | None = None
    """Number of rows of the test part to take, from the first on; None takes all of them."""
    draws: int = 100
    """Draws of z to keep for each image; with MCMC, for each of its chains."""
    seed: int = 0
    """Seed of the inference and the draws."""

    def __post_init__(self) -> None:
        require(self.out.suffix == ".npz", "out", self.out, "the path of an .npz file")
        require(self.draws >= 1, "draws", self.draws, "1 or more")
        require_rows(self.index)
        require_images(self.images)
        one_choice = self.images is None or self.index is None
        require(one_choice, "index", self.index, "omitted with --images")
        require_seed(self.seed)


@dataclass(frozen=True)
class GapsConfig:
    """Options of the inference gap: images, observed pixels and fits."""

    mask: str | None = None
    """Observed pixels, as in `elboroom complete`; None observes all."""
    images: Annotated[
        int | None,
        arg(
            help="Number of rows of the test part to take, from the first on; None takes "
            f"{TAKEN_APART_BY_DEFAULT}, or all of a smaller part."
        ),
    ] = None
    method: tuple[FitName, ...] = ("svi-full", "svi-mixture")
    """Fits of richer families to compare; `elboroom infer --help` lists them."""
    k: int = 1_000
    """Samples of z for each image and fit; with three latents or more also for log p(x)."""
    seed: int = 0
    """Seed of the fits and the samples."""

    def __post_init__(self) -> None:
        require_images(self.images)
        require_different(self.method)
        require(self.k >= 100, "k", self.k, "100 or more")
        require_seed(self.seed)
