"""The protocol of a tracker, which may be one of your own."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Value = bool | int | float | str | None
Status = Literal["done", "interrupted", "failed"]


@runtime_checkable
class Tracker(Protocol):
    """The receiver of what a training finds.

    The first of several processes calls it, between epochs. If it raises an error, it is told
    nothing more: a warning names the error, and training goes on.
    """

    def start(self, config: Mapping[str, Value], name: str) -> int | None:
        """Begin, or go on where a training is resumed.

        Args:
            config: what config.toml holds, by names such as "train.epochs".
            name: name of the run folder.

        Returns:
            The step of the last epoch that the tracker has, 0 if it has none. Finished epochs after
            it are logged at once, and those until it never again. None asks for new epochs alone.
        """
        ...

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Record an epoch.

        Args:
            metrics: the numbers of its line in metrics.jsonl, but for the step.
            step: number of steps taken; it rises from call to call.
        """
        ...

    def figure(self, name: str, figure: "Figure", step: int) -> None:
        """Record a figure of the trained model.

        Args:
            name: its name, as of `elboroom figures`.
            figure: the figure, which others use after this call.
            step: number of steps taken.
        """
        ...

    def finish(self, status: Status) -> None:
        """End, at the end of training, at an interrupt that may be resumed, or after an error."""
        ...
