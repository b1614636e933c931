"""Options of training."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import arg

from elboroom.config.checks import require, require_choices, require_seed
from elboroom.config.kinds import (
    COMPILE,
    DEVICES,
    LEARNING_RATE_SCHEDULES,
    OPTIMISERS,
    PRECISIONS,
    Compile,
    Device,
    LearningRateSchedule,
    OptimiserName,
    Precision,
    listed,
)
from elboroom.config.options_table import Options
from elboroom.config.typed_tables import require_types
from elboroom.errors import UsageError


@dataclass(frozen=True)
class TrainConfig(Options):
    """Options of training: optimisation, evaluation, device and speed.

    Example:
        >>> config = TrainConfig(epochs=5, batch_size=50, learning_rate=0.01, evaluate_every=2)
        >>> fresh = VAE.from_config(networks, data.event_shape, generator=generator)
        >>> history = train(fresh, data, config).history
        >>> [epoch.held_out_elbo is not None for epoch in history]  # every second, and the last
        [False, True, False, True, True]
    """

    epochs: int | Literal["auto"] = 100
    """Passes over the training images. auto takes 3,000 steps, and 30 epochs at least; with
    conv fewer steps of more than 32 × 32 pixels, and 200 epochs at most."""
    minutes: float | None = None
    """Train for this time, at most --epochs; beside --minutes these are auto, which sets no limit,
    unless they are given. The learning rate and all else that follows the progress of the training
    ends with the time, also where the speed of the machine varies. None trains --epochs."""
    batch_size: int | Literal["auto"] = 200
    """Images in a step, in all processes together. auto takes the largest power of two, up to 512,
    whose step is estimated to need at most half of the free memory. The run's config keeps the
    number."""
    optimiser: Annotated[
        OptimiserName, arg(help=listed("Rule by which gradients move the weights.", OPTIMISERS))
    ] = "adam"
    learning_rate: float = 1e-3
    """Step size of the optimiser."""
    schedule: Annotated[
        LearningRateSchedule,
        arg(help=listed("Learning rate over the steps.", LEARNING_RATE_SCHEDULES)),
    ] = "constant"
    learning_rate_warmup: float = 0.0
    """Epochs over which the learning rate rises from 0; 0 starts at its full size. one-cycle has a
    rise of its own."""
    weight_decay: float = 0.0
    """Share of each matrix and kernel of the networks that a step of size 1 takes away, with
    --optimiser adamw; 0.01 is usual."""
    clip: float | None = None
    """Largest norm of a step's gradients, all weights together. Larger ones are scaled down to it.
    None scales none."""
    skip: float | None = None
    """Norm of the gradients, before --clip, above which a step changes nothing. Steps whose norm is
    not finite change nothing, either; inf skips these alone. Skipped steps are counted. None skips
    none."""
    ema: float = 0.0
    """Decay of a moving average of the weights, such as 0.999. Held-out ELBOs and everything that
    is done with the model take the average. It averages over fewer steps at first. 0 is none."""
    flip: bool = False
    """Mirror each training image left to right with probability ½ at every visit."""
    shift: int = 0
    """Shift each training image by up to this many pixels either way, at every visit; the pixels of
    its edges fill the gap."""
    rotate: float = 0.0
    """Turn each training image about its centre by up to this many degrees either way, at every
    visit; each pixel takes the nearest value."""
    zoom: float = 0.0
    """Let each training image grow or shrink about its centre by up to this share of its size, at
    every visit."""
    augment_until: float = 1.0
    """Share of the training after which --flip, --shift, --rotate and --zoom end, so that the rest
    learns the density of the data as they are."""
    hide: float = 0.0
    """Largest share of the seen values of a row that a step hides, from the bound too; that of each
    row is drawn anew at every visit, uniformly below it. The encoder learns of rows with gaps."""
    warmup: float | Literal["auto"] = 0.0
    """Epochs over which the weight of the KL rises from 0 to β; 0 starts at β. auto takes a quarter
    of the training."""
    seed: int = 0
    """Seed of the initial weights, the order of the data and every draw."""
    evaluate_every: int = 10
    """Epochs between two evaluations of the held-out ELBO; the end of training always has one."""
    patience: int | None = None
    """Stop after this many evaluations without a new best held-out ELBO, counted from the end of
    the warm-up, and of an --augment-until below 1. None trains all --epochs."""
    keep_best: bool = False
    """Finish with the weights of the largest held-out ELBO instead of the last ones."""
    device: Annotated[Device, arg(help=listed("Device to train on.", DEVICES))] = "auto"
    precision: Annotated[
        Precision, arg(help=listed("Precision of matrix products.", PRECISIONS))
    ] = "auto"
    compile: Annotated[Compile, arg(help=listed("Compilation of steps.", COMPILE))] = "auto"
    threads: int | Literal["auto"] = "auto"
    """Processor threads. auto takes as many as PyTorch does, but one while that is faster, for
    example while another process keeps a core. With a number a run repeats bit for bit."""

    def __post_init__(self) -> None:
        require_types(self)
        some_epochs = self.epochs == "auto" or self.epochs >= 1
        require(some_epochs, "epochs", self.epochs, "auto, or 1 or more")
        long = self.minutes is None or 0 < self.minutes < math.inf
        require(long, "minutes", self.minutes, "a positive number")
        require(self.evaluate_every >= 1, "evaluate_every", self.evaluate_every, "1 or more")
        patient = self.patience is None or self.patience >= 1
        require(patient, "patience", self.patience, "1 or more")
        some = self.batch_size == "auto" or self.batch_size >= 1
        require(some, "batch_size", self.batch_size, "auto, or 1 or more")
        require(0 < self.learning_rate < 1, "learning_rate", self.learning_rate, "in (0, 1)")
        warms = self.warmup == "auto" or 0 <= self.warmup < math.inf
        require(warms, "warmup", self.warmup, "auto, or a number, 0 or more")
        self._require_rise()
        self._require_weight_decay()
        self._require_limits_of_gradients()
        require(0 <= self.ema < 1, "ema", self.ema, "in [0, 1)")
        require(0 <= self.hide < 1, "hide", self.hide, "in [0, 1)")
        self._require_moves()
        require_seed(self.seed)
        enough = self.threads == "auto" or self.threads >= 1
        require(enough, "threads", self.threads, "auto, or 1 or more")
        require_choices(self, schedule=LearningRateSchedule, optimiser=OptimiserName)
        require_choices(self, device=Device, precision=Precision, compile=Compile)

    def _require_rise(self) -> None:
        """Check that the learning rate rises once."""
        rise, name = self.learning_rate_warmup, "learning_rate_warmup"
        require(0 <= rise < math.inf, name, rise, "a number, 0 or more")
        once = rise == 0 or self.schedule != "one-cycle"
        require(once, name, rise, "0 with --schedule one-cycle, which has a rise of its own")

    def _require_weight_decay(self) -> None:
        decay, decays = self.weight_decay, self.optimiser == "adamw"
        expected = "in (0, 1) with --optimiser adamw; 0.01 is usual"
        expected = expected if decays else f"0 with --optimiser {self.optimiser}: adamw has it"
        ok = 0 < decay < 1 if decays else decay == 0
        require(ok, "weight_decay", decay, expected)

    def _require_limits_of_gradients(self) -> None:
        """Check that there are gradients to clip, and steps to take."""
        clip, skip = self.clip, self.skip
        require(clip is None or 0 < clip < math.inf, "clip", clip, "a positive number")
        require(skip is None or skip > 0, "skip", skip, "above 0")
        below = clip is None or skip is None or clip < skip
        require(below, "clip", clip, f"below --skip {skip}, as steps above that are not taken")

    def _require_moves(self) -> None:
        """Check how far images move."""
        require(self.shift >= 0, "shift", self.shift, "0 or more")
        require(0 <= self.rotate <= 180, "rotate", self.rotate, "in [0, 180]")
        require(0 <= self.zoom < 1, "zoom", self.zoom, "in [0, 1)")
        until, name = self.augment_until, "augment_until"
        require(0 < until <= 1, name, until, "above 0, and at most 1")
        ends = until == 1 or self.augments
        require(ends, name, until, "1 without --flip, --shift, --rotate or --zoom, which it ends")

    @property
    def augments(self) -> bool:
        """True if training images are moved."""
        return self.flip or self.shift > 0 or self.rotate > 0 or self.zoom > 0

    @property
    def resolved_epochs(self) -> int:
        """The epochs as a number.

        Raises:
            UsageError: if they are still auto.
        """
        if self.epochs == "auto":
            raise UsageError(
                'found epochs="auto"; training expects a number',
                why="the number follows from the size of the data",
                fix="call elboroom.resolve(config, data) first, or set epochs to a number",
            )
        return self.epochs

    @property
    def resolved_warmup(self) -> float:
        """The warm-up of the KL as a number of epochs.

        Raises:
            UsageError: if it is still auto.
        """
        if self.warmup == "auto":
            raise UsageError(
                'found warmup="auto"; training expects a number',
                why="the number follows from the epochs of a run, and stays if it is extended",
                fix="call elboroom.resolve(config, data) first, or set warmup to a number",
            )
        return self.warmup

    @property
    def resolved_batch_size(self) -> int:
        """The batch size as a number.

        Raises:
            UsageError: if it is still auto.
        """
        if self.batch_size == "auto":
            raise UsageError(
                'found batch_size="auto"; training expects a number',
                why="the number is chosen before a run is made, so that a resumed run has the same",
                fix="call elboroom.resolve(config, data) first, or set batch_size to a number",
            )
        return self.batch_size
