"""Memory: how much a decoder takes at a time, how much is free, and what if there is no more."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from elboroom.config import TrainConfig
from elboroom.errors import TrainingError

_SAID = ("out of memory", "can't allocate memory", "ALLOC_FAILED")  # by CUDA, processor, cuBLAS


@contextmanager
def memory_for(config: TrainConfig) -> Iterator[None]:
    """That memory runs out within is an error of the batch size.

    Raises:
        TrainingError: PyTorch or Python could not have what they asked for.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_of_memory(error):
            raise
        size = config.resolved_batch_size
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        advice = (
            f"--batch-size {size // 2} or less, or auto, which takes what fits"
            if size > 1
            else "a smaller --hidden"
        )
        raise TrainingError(
            f"memory ran out in training by batches of {size:,} images",
            why=why,
            fix=f"train a new run with {advice}; one that was begun goes on where there is more",
        ) from error


def _is_of_memory(error: Exception) -> bool:
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return known or any(said in str(error) for said in _SAID)
