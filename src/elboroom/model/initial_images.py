"""Images that a model starts at: the mean training image, and some training images."""

import torch
from torch import Tensor

from elboroom.errors import UsageError


def require_images(
    images: Tensor | None, shape: tuple[int, ...], what: str, missing: float | Tensor = 0.5
) -> Tensor:
    """Check that there are images of `shape`, and replace a missing pixel, NaN, by `missing`.

    Raises:
        UsageError: there are none, or they have another shape; `what` names their use.
    """
    if images is None or images.shape != shape:
        found = None if images is None else tuple(images.shape)
        raise UsageError(
            f"the {what} cannot start at training rows",
            why=f"expected a tensor of shape {tuple(shape)}, found {found}",
            fix="give VAE.from_config the statistics and the rows (images=…) that the config needs",
        )
    return torch.where(images.isnan(), missing, images)
