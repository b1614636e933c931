"""The steps of a method of inference, which are told to its caller and shown."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from elboroom.device import shown_progress

OnStep = Callable[[int, int], None]
"""Called after each step of a method with its number and the total."""


@contextmanager
def told_steps(on_step: OnStep, progress: bool, name: str) -> Iterator[OnStep]:
    """Yield a function to call after each step with its number and the total.

    Args:
        on_step: called with the same.
        progress: show the progress as well.
        name: name of the method.
    """
    with shown_progress(progress, name) as show:

        def tell(step: int, total: int) -> None:
            show(step / total, f"move {step:,} of {total:,}")
            on_step(step, total)

        yield tell
