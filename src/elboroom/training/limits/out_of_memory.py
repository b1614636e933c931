"""Running out of memory in training, reported as an error of the batch size."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from elboroom.config import WIDTHS, TrainConfig
from elboroom.errors import TrainingError

# Messages of CUDA, the processor's allocator and cuBLAS.
_MESSAGES = ("out of memory", "can't allocate memory", "ALLOC_FAILED")


@contextmanager
def memory_errors(config: TrainConfig, nouns: str) -> Iterator[None]:
    """Report running out of memory in this block as an error that suggests a smaller batch.

    Args:
        config: options with the batch size.
        nouns: the word for several rows of the data.

    Raises:
        TrainingError: if PyTorch or Python could not allocate memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        size = config.resolved_batch_size
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        advice = (
            f"--batch-size {size // 2} or less, or auto, which chooses a size that fits"
            if size > 1
            else f"a smaller {WIDTHS}"
        )
        raise TrainingError(
            f"memory ran out in training with batches of {size:,} {nouns}",
            why=why,
            fix=f"train a new run with {advice}, or resume this one on a machine with more memory",
        ) from error


def is_out_of_memory(error: Exception) -> bool:
    """Return whether PyTorch or Python could not allocate memory."""
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return known or any(message in str(error) for message in _MESSAGES)
