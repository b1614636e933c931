"""Options of training."""

from dataclasses import dataclass
from typing import Literal

from elboroom.config.checks import require, require_choices, require_seed
from elboroom.errors import UsageError

LearningRateSchedule = Literal["constant", "cosine", "one-cycle"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]
Compile = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class TrainConfig:
    """How the ELBO is maximised, on what, and how often it is looked at."""

    epochs: int = 100
    """Visits of every training image."""
    batch_size: int | Literal["auto"] = 200
    """Images a step. auto takes the largest power of two, up to 512, whose step needs no more than
    half of the free memory: an estimate, made before the run is, whose config keeps the number."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    schedule: LearningRateSchedule = "constant"
    """constant. cosine: from the learning rate down to zero at the last step. one-cycle: up from
    zero over the first tenth of the steps, then down again as cosine; it bears a higher rate."""
    warmup: float = 0.0
    """Epochs over which the weight β of the KL rises from 0 to 1; 0 keeps β = 1."""
    seed: int = 0
    """Fixes the initial weights, the order of the data and every draw."""
    evaluate_every: int = 10
    """Epochs between two held-out ELBOs; the last epoch always has one."""
    patience: int | None = None
    """Training ends after so many evaluations without a new best held-out ELBO, the warm-up aside.
    None trains --epochs."""
    device: Device = "auto"
    """auto takes CUDA where there is one, else the processor."""
    precision: Precision = "auto"
    """bf16: matrix products in bfloat16, weights and sums in float32. fp32: all in float32.
    auto takes bf16 where the hardware multiplies it natively."""
    compile: Compile = "auto"
    """on: the networks are compiled by PyTorch before the first step. auto compiles where there is
    a compiler and the epochs decode enough to earn the wait back, the same from run to run."""
    threads: int | Literal["auto"] = "auto"
    """Processor threads. auto takes all that PyTorch would, but one while that is faster, as where
    another process keeps a core. A number makes a run repeat itself bit for bit."""

    def __post_init__(self) -> None:
        for name in ("epochs", "evaluate_every"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        patient = self.patience is None or self.patience >= 1
        require(patient, "patience", self.patience, "1 or more")
        some = self.batch_size == "auto" or self.batch_size >= 1
        require(some, "batch_size", self.batch_size, "auto, or 1 or more")
        require(0 < self.learning_rate < 1, "learning_rate", self.learning_rate, "in (0, 1)")
        require(self.warmup >= 0, "warmup", self.warmup, "0 or more")
        require_seed(self.seed)
        enough = self.threads == "auto" or self.threads >= 1
        require(enough, "threads", self.threads, "auto, or 1 or more")
        require_choices(self, schedule=LearningRateSchedule, device=Device)
        require_choices(self, precision=Precision, compile=Compile)

    @property
    def resolved_batch_size(self) -> int:
        """The batch size, which is a number once training begins.

        Raises:
            UsageError: it is still auto.
        """
        if self.batch_size == "auto":
            raise UsageError(
                "batches of auto images cannot be trained on",
                why="the number is chosen before a run is made, so that a resumed run has the same",
                fix="give batch_size a number, such as elboroom.resolve finds",
            )
        return self.batch_size
