"""Options of the commands that read a run."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from elboroom.config.checks import (
    require,
    require_choices,
    require_different,
    require_images,
    require_rows,
    require_seed,
)
from elboroom.config.data import (
    MNIST,
    BackgroundOption,
    BrokenOption,
    ColourOption,
    CropOption,
    DataConfig,
    SizeOption,
)
from elboroom.config.kinds import (
    ANNEALING_SCHEDULES,
    EXPORT_TARGETS,
    FIGURES,
    METHODS,
    PARTIAL_FAMILIES,
    PARTS,
    PRECISIONS,
    AnnealingSchedule,
    ExportTarget,
    FigureName,
    FitName,
    MethodName,
    PartialFamilyName,
    PartName,
    Precision,
    listed,
)
from elboroom.config.options_table import Options

COMPLETED_BY_DEFAULT = 8
"""Rows that `elboroom complete` takes."""
TAKEN_APART_BY_DEFAULT = 100
"""Rows that `elboroom gaps` takes."""
MOST_METHODS = 6
"""Methods that the figure of `elboroom complete` shows legibly."""


@dataclass(frozen=True, kw_only=True)
class RowsConfig(Options):
    """Options of the rows that a command looks at: of which data, and of which part."""

    data: str | None = None
    """Look at all rows of this file or folder instead, which must have the shape and the kind of
    values of the run's data. The run's own data, moved or renamed, is recognised by its SHA-256 and
    keeps its parts. None reads the data where the run found it."""
    part: Annotated[
        PartName | None,
        arg(help=listed("Part of the data; None takes test, or all rows of other data.", PARTS)),
    ] = None

    def __post_init__(self) -> None:
        if self.part is not None:
            require_choices(self, part=PartName)


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(RowsConfig):
    """Options of an evaluation."""

    k: int = 5_000
    """Samples of z for each row; the IWAE bound tightens with k. Only a random subset of the rows
    has as many, unless --error is 0 or there are at most 200 rows."""
    k_all: int = 100
    """Samples of z for every row; the bound with --k follows from its change in the subset."""
    error: float | None = None
    """Standard error, in nats for each row, that the subset may add to the mean bound; a pilot of
    100 rows decides its size. 0 takes --k samples for all rows, some minutes on two cores for
    10,000 images. None allows a quarter of the standard error over rows, which raises it by 3 %;
    with --out it is 0, so that the file has the bound of each row."""
    ais: int = 0
    """Number of rows, from the first on, that annealed importance sampling evaluates too."""
    certify: int = 0
    """Number of rows drawn from the model whose log p(x) is bounded from both sides by
    bidirectional Monte Carlo, which shows how far annealing falls short."""
    distributions: int = 1_000
    """Annealing steps for --ais and --certify."""
    chains: int = 16
    """Annealing chains for each row."""
    schedule: Annotated[
        AnnealingSchedule,
        arg(help=listed("Inverse temperature over the steps.", ANNEALING_SCHEDULES)),
    ] = "sigmoid"
    precision: Annotated[
        Precision,
        arg(
            help=listed(
                "Precision of the decoder's matrix products. bf16 takes half the time or less; the "
                "shift of the IWAE bound is measured on the first rows and reported.",
                PRECISIONS,
            )
        ),
    ] = "fp32"
    out: Path | None = None
    """Also write the evaluation to this .npz: the values of each row, with its row in the source
    and its file, and the printed JSON as `summary`. Only an evaluation of the run's own test part
    is stored in RUN/evaluation.json; any other is printed, and kept by --out alone."""
    seed: int = 0
    """Seed of all samples."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_suffix(self.out, ".npz")
        expected = "a number, 0 or more"
        require(0 <= (self.error or 0) < math.inf, "error", self.error, expected)
        for name in ("k", "k_all", "distributions", "chains"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("ais", "certify"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require_choices(self, schedule=AnnealingSchedule, precision=Precision)
        require_seed(self.seed)

    @property
    def resolved_error(self) -> float | None:
        """The error that the subset may add, which by default is 0 for --out."""
        return 0.0 if self.error is None and self.out is not None else self.error


@dataclass(frozen=True, kw_only=True)
class FiguresConfig(RowsConfig):
    """Options of the figures of a run."""

    only: Annotated[tuple[FigureName, ...], arg(help=listed("Figures to draw.", FIGURES))] = tuple(
        FIGURES
    )
    pairs: tuple[str, ...] | None = None
    """Pairs of classes between which images are interpolated, such as 1-2 or cat-dog. A name may
    have hyphens: a pair is split at the first one between two classes. None takes three pairs of
    the classes that are there."""
    mask: str = "top"
    """Observed values in contours and completion; as in `elboroom complete`."""
    seed: int = 0
    """Seed of every draw."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.only) >= 1, "only", self.only, "one figure or more")
        require_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class CompleteConfig(RowsConfig):
    """Options of a completion: rows, observed values and methods."""

    mask: str | None = None
    """Observed values: top, bottom, left, right, a boolean .npy, or a .png that is white there.
    None observes all that is there: only values that are missing in the data are filled in."""
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
            help="Rows to complete, counted within the part; None takes the first "
            f"{COMPLETED_BY_DEFAULT}, and with --out all."
        ),
    ] = None
    image: Path | None = None
    """Picture to complete instead, JPEG, PNG, WebP, TIFF, BMP or GIF. It is resized as the run's
    pictures were; without --size it must have the size of the data. It is made 0/1 only if the
    run's data were, and in the same way; grey levels are divided by 255. A note tells what is
    changed."""
    out: Path | None = None
    """Fill in all rows of the part, and write them to this .npz (means, draws, standard deviations,
    rows and files) or .npy (means alone), in the scale, the type and the shape of the source. Seen
    values are those of the source, bit for bit. Nothing is drawn or scored."""
    draws: int = 3
    """Completions drawn for each row by each method."""
    seed: int = 0
    """Seed of the inference and the draws."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.draws >= 1, "draws", self.draws, "1 or more")
        require_rows(self.index)
        if self.image is not None:
            for name in ("index", "out", "data", "part"):
                found = getattr(self, name)
                require(found is None, name, found, "omitted with --image")
        names = " ".join(self.method)
        most = MOST_METHODS if self.out is None else 1
        expected = f"1 to {MOST_METHODS} methods, and one method with --out"
        require(1 <= len(self.method) <= most, "method", names, expected)
        require_different(self.method)
        _require_suffix(self.out, ".npz", ".npy")
        require_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class InferConfig(RowsConfig):
    """Options of inference: rows, observed values, method and output."""

    out: Path
    """The .npz file to write; an existing file is never overwritten."""
    mask: str | None = None
    """Observed values, as in `elboroom complete`; None observes all."""
    method: Annotated[MethodName, arg(help=listed("Method of inference.", METHODS))] = "svi"
    index: tuple[int, ...] | None = None
    """Rows to infer, counted within the part; None takes all of them."""
    images: int | None = None
    """Number of rows of the part to take, from the first on; None takes all of them."""
    draws: int = 100
    """Draws of z to keep for each row; with MCMC, for each of its chains."""
    seed: int = 0
    """Seed of the inference and the draws."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_suffix(self.out, ".npz")
        require(self.draws >= 1, "draws", self.draws, "1 or more")
        require_rows(self.index)
        require_images(self.images)
        one_choice = self.images is None or self.index is None
        require(one_choice, "index", self.index, "omitted with --images")
        require_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class GapsConfig(RowsConfig):
    """Options of the inference gap: rows, observed values and fits."""

    mask: str | None = None
    """Observed values, as in `elboroom complete`; None observes all."""
    images: Annotated[
        int | None,
        arg(
            help="Number of rows of the part to take, from the first on; None takes "
            f"{TAKEN_APART_BY_DEFAULT}, or all of a smaller part."
        ),
    ] = None
    method: Annotated[
        tuple[FitName, ...] | None,
        arg(
            help="Fits of richer families to compare; `elboroom infer --help` lists them. None "
            "takes svi-full and svi-mixture, or with more than 300 latents laplace."
        ),
    ] = None
    k: int = 1_000
    """Samples of z for each row and fit; with three latents or more also for log p(x)."""
    seed: int = 0
    """Seed of the fits and the samples."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_images(self.images)
        require_different(self.method or ())
        require(self.k >= 100, "k", self.k, "100 or more")
        require_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class ExploreConfig(Options):
    """Options of the explorer's page."""

    port: int = 8642
    """Port of the page on this machine; 0 takes a free one."""
    browser: bool = True
    """Open the page in the browser."""
    data: str | None = None
    """Where the data of the first run are now, if they were moved or renamed."""

    def __post_init__(self) -> None:
        require(0 <= self.port < 1 << 16, "port", self.port, "0 to 65535")


@dataclass(frozen=True, kw_only=True)
class ExportConfig(Options):
    """Options of an export."""

    to: Annotated[ExportTarget, arg(help=listed("What to write.", EXPORT_TARGETS))]
    out: Path
    """The new folder; an earlier export is replaced, and nothing else."""
    data: str | None = None
    """Where the run's data are now, if they were moved or renamed; only web needs them."""

    def __post_init__(self) -> None:
        require_choices(self, to=ExportTarget)
        require(
            self.data is None or self.to == "web",
            "data",
            self.data,
            f"left out for {self.to}, which needs no data",
        )


@dataclass(frozen=True, kw_only=True)
class AmortiseConfig(Options):
    """Options of the training of a partial encoder."""

    family: Annotated[
        PartialFamilyName, arg(help=listed("Family of r(z | seen).", PARTIAL_FAMILIES))
    ] = "auto"
    data_share: float = 0.5
    """Share of the pairs (z, x) that are rows of the data with z of the encoder's q. The others are
    drawn from the model; with 0 all are, and the target is exactly the model's p(z | seen)."""
    data_draws: int | Literal["auto"] = "auto"
    """Draws of the encoder's q for each row of the data, of which one is taken by its weight
    p(x, z)/q(z | x). With 1 it is a draw of q; with many it is nearly one of p(z | x). auto: 8, and
    1 for a ladder, which gained nothing by more."""
    minutes: float = 3.0
    """Time of the training; the learning rate follows the clock."""
    steps: int | None = None
    """Steps of the training in place of --minutes, for results that do not depend on the clock."""
    batch_size: int = 256
    """Pairs for each step."""
    learning_rate: float | Literal["auto"] = "auto"
    """Largest step size of Adam, which rises to it over the first tenth of the steps, and falls.
    auto: 0.001, and 0.01 for a ladder."""
    data: str | None = None
    """Where the run's data are now, if they were moved or renamed."""
    seed: int = 0
    """Seed of the pairs, the masks and the initial weights."""

    def __post_init__(self) -> None:
        require_choices(self, family=PartialFamilyName)
        require(0 <= self.data_share <= 1, "data_share", self.data_share, "in [0, 1]")
        require(0 < self.minutes < math.inf, "minutes", self.minutes, "a positive number")
        rate = self.learning_rate
        require(rate == "auto" or 0 < rate < 1, "learning_rate", rate, "in (0, 1), or auto")
        steps = self.steps is None or self.steps >= 1
        require(steps, "steps", self.steps, "1 or more")
        require(self.batch_size >= 2, "batch_size", self.batch_size, "2 or more")
        draws = self.data_draws
        require(draws == "auto" or draws >= 1, "data_draws", draws, "1 or more, or auto")
        require_seed(self.seed)

    def draws_for(self, *, is_ladder: bool) -> int:
        """Return `data_draws` for a model."""
        default = 1 if is_ladder else 8
        return default if self.data_draws == "auto" else self.data_draws

    def rate_for(self, *, is_ladder: bool) -> float:
        """Return `learning_rate` for a model."""
        default = 1e-2 if is_ladder else 1e-3
        return default if self.learning_rate == "auto" else self.learning_rate


@dataclass(frozen=True, kw_only=True)
class PackConfig(Options):
    """Options of packing: the pictures, the file, and the way from one to the other."""

    source: Annotated[Positional[str], arg(metavar="SOURCE")]
    """The pictures: a folder, an archive or a table of them, as --data of `elboroom train` is."""
    out: Annotated[Positional[Path], arg(metavar="OUT")]
    """The .npy to write, or with --shard-rows the folder; what exists is never overwritten."""
    shard_rows: int | None = None
    """Write a folder of numbered .npy files with so many rows each, the last one with fewer, in
    place of one .npy. Several processes then read their shares of it."""
    size: SizeOption = DataConfig.size
    crop: CropOption = DataConfig.crop
    colour: ColourOption = DataConfig.colour
    background: BackgroundOption = DataConfig.background
    broken: BrokenOption = DataConfig.broken
    unused: tuple[str, ...] = ()
    """Columns of a table that are left out; any other without a use is an error."""

    def __post_init__(self) -> None:
        if self.shard_rows is None:
            expected = "the path of an .npy file, or of a folder with --shard-rows"
            require(self.out.suffix == ".npy", "out", self.out, expected)
        else:
            require(self.shard_rows >= 1, "shard_rows", self.shard_rows, "1 or more")
            is_folder = self.out.suffix != ".npy"
            require(is_folder, "out", self.out, "a folder with --shard-rows, not a .npy")
        require(self.source != MNIST, "source", MNIST, "the path of pictures")
        _ = self.data

    @property
    def data(self) -> DataConfig:
        """The same pictures as data to train on."""
        return DataConfig(
            self.source,
            size=self.size,
            crop=self.crop,
            colour=self.colour,
            background=self.background,
            broken=self.broken,
            unused=self.unused,
        )


@dataclass(frozen=True, kw_only=True)
class ImputeConfig(Options):
    """Options of an imputation: the table, its columns, the models, and what is written."""

    table: Annotated[Positional[Path], arg(metavar="TABLE")]
    """The table: CSV, TSV, Parquet, Arrow or Excel, with the names of columns in its first row."""
    out: Path
    """The table that is written, with every gap filled. Beside it stand OUT.uncertainty, with the
    standard deviation or the probability of each filled entry, and the report, OUT.html."""
    run: Path | None = None
    """Fill in by the models of this folder: that of an earlier `elboroom impute`, or a run that was
    trained on a table. None trains new ones on TABLE."""
    columns: str | None = None
    """A .toml file that says the types of columns, such as `age.type = "count"`; others are found
    by rules, and printed."""
    unused: tuple[str, ...] = ()
    """Columns that are left out of the models."""
    draws: int = 0
    """Multiple imputations: also write OUT.draws, so many filled tables in long form, with .imp and
    .id as R's mice has them and the table with its gaps as .imp 0."""
    method: Annotated[
        MethodName | None,
        arg(
            help="Method of inference, as `elboroom infer --help` lists them. None draws from each "
            "model's own q(z | x), and weights the draws towards the posterior."
        ),
    ] = None
    effort: float = 1.0
    """Factor on the steps of training; 0.3 is for a quick look."""
    models: Path | None = None
    """New folder of the trained models; by default runs/impute-DATE-TIME."""
    seed: int = 0
    """Seed of the training and the draws."""

    def __post_init__(self) -> None:
        require(self.draws >= 0, "draws", self.draws, "0 or more")
        require(0 < self.effort < math.inf, "effort", self.effort, "a positive number")
        if self.run is not None:
            for name in ("columns", "models"):
                found = getattr(self, name)
                require(found is None, name, found, "omitted with --run, whose models have it")
            named = " ".join(self.unused)
            require(not named, "unused", named, "omitted with --run, whose models have columns")
            require(self.effort == 1, "effort", self.effort, "omitted with --run: none is trained")
        require_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(Options):
    """Options of scores: the table and the file that is written."""

    table: Annotated[Positional[Path], arg(metavar="TABLE")]
    """A table with the columns that the run was trained on, in any order."""
    out: Path | None = None
    """Also write the scores to this table: the row, log p(row) in nats, its standard error and k̂,
    and the surprise of each entry, −log p(entry | the others of its row)."""
    shown: int = 10
    """Rows of the smallest log p that are printed."""
    draws: int = 1_000
    """Draws of z for each row."""
    seed: int = 0
    """Seed of the draws."""

    def __post_init__(self) -> None:
        require(self.shown >= 0, "shown", self.shown, "0 or more")
        require(self.draws >= 2, "draws", self.draws, "2 or more")
        require_seed(self.seed)


def _require_suffix(out: Path | None, *suffixes: str) -> None:
    """Check that a file to write, if there is one, ends in one of the suffixes."""
    expected = f"the path of an {' or '.join(suffixes)} file"
    require(out is None or out.suffix in suffixes, "out", out, expected)
