"""The metrics of epochs, and the History of a training."""

from collections.abc import Sequence
from dataclasses import dataclass

from elboroom.html_table import Shown, Summary, Table

_HEADINGS = "epoch", "ELBO", "reconstruction", "KL", "held-out ELBO", "images per second"


@dataclass(frozen=True)
class EpochMetrics(Shown):
    """The metrics of an epoch; bound, ELBO and its terms are means in nats per image.

    The bound is the one that was maximised, with the weight β that the epoch ended with. A training
    by time may end within its last epoch, whose means are over the images until then.

    Example:
        >>> last = state.history[-1]
        >>> last.epoch, last.step, last.beta, last.skipped
        (5, 180, 1.0, 0)
        >>> abs(last.reconstruction - last.kl - last.elbo) < 0.01  # nats per image
        True
    """

    epoch: int
    step: int
    elbo: float
    reconstruction: float
    kl: float
    bound: float
    beta: float
    learning_rate: float
    held_out_elbo: float | None
    images_per_second: float
    skipped: int = 0
    """Steps that changed nothing; the means are over the images of the others."""
    progress: float | None = None
    """Share of the training that had passed, 1 at its end; None if an older version wrote it."""

    @property
    def terms(self) -> str:
        """ELBO, reconstruction and KL in nats, and what else is unusual, in a line."""
        beta = "" if self.beta == 1 else f"  β {self.beta:.2f}"
        steps = "step" if self.skipped == 1 else "steps"
        skipped = f"  {self.skipped:,} {steps} skipped" if self.skipped else ""
        return (
            f"ELBO {self.elbo:.2f}  reconstruction {self.reconstruction:.2f}  "
            f"KL {self.kl:.2f}{beta}{skipped}"
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """The metrics as a row of a table shows them."""
        held_out = "" if self.held_out_elbo is None else f"{self.held_out_elbo:.2f}"
        terms = (self.elbo, self.reconstruction, self.kl)
        numbers = (f"{value:.2f}" for value in terms)
        return f"{self.epoch:,}", *numbers, held_out, f"{self.images_per_second:,.0f}"

    def _summary(self) -> Summary:
        named: dict[str, object] = dict(zip(_HEADINGS[1:], self.cells[1:], strict=True))
        return Summary(f"epoch {self.epoch:,}, step {self.step:,}", named)


class History(list[EpochMetrics]):
    """The metrics of the finished epochs, which a notebook shows as a table."""

    def table(self) -> Table:
        """Lay out a row for each epoch."""
        return Table.of_last(_HEADINGS, [metrics.cells for metrics in self])

    def _repr_html_(self) -> str:
        return Summary(f"{len(self):,} epochs", {}, [self.table()] if self else []).html("History")


def describe(history: Sequence[EpochMetrics], watched_by: str) -> str:
    """Describe the last epoch, and the last held-out ELBO, in a line; empty before an epoch.

    Args:
        history: metrics of the finished epochs.
        watched_by: name of the held-out ELBO.
    """
    if not history:
        return ""
    found = (m.held_out_elbo for m in reversed(history) if m.held_out_elbo is not None)
    held_out = next((f"  {watched_by} {elbo:.2f}" for elbo in found), "")
    return f"epoch {history[-1].epoch}  {history[-1].terms}{held_out}"
