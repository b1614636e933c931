"""The observed pixels: one check of data and mask for every inference method."""

import torch
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.model.networks import decoder_network
from elboroom.model.networks.layers import require_eval_mode
from elboroom.model.vae import VAE


def check_data_and_mask(x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Check data (B, *event) and its mask, and broadcast the mask to the data's shape.

    Raises:
        UsageError: if `x` has no rows, `mask` is not boolean or does not broadcast to `x`, or a
            seen value is not finite.
    """
    if not len(x):
        raise UsageError(
            "there are no rows to infer",
            why=f"x has shape {tuple(x.shape)}; expected (B, *event) with B ≥ 1",
            fix="give at least one row, (1, *event)",
        )
    if mask is None:
        seen = x
    elif mask.dtype != torch.bool:
        raise _bad_mask(f"its type is {mask.dtype}; expected torch.bool")
    else:
        try:
            mask = mask.expand(x.shape)
        except RuntimeError as error:
            shapes = f"its shape {tuple(mask.shape)} does not broadcast to {tuple(x.shape)}"
            raise _bad_mask(shapes) from error
        seen = x[mask]
    if not torch.isfinite(seen).all():
        raise UsageError(
            "a seen value is NaN or infinite",
            why="densities are defined for finite values",
            fix="set the mask to False where a value is missing",
        )
    return x, mask


def restrict_to_observed(
    model: VAE, x: Tensor, mask: Tensor | None
) -> tuple[VAE, Tensor, Tensor | None]:
    """Restrict model, data and mask to the pixels that some row sees, as vectors (B, P).

    A pixel that no row sees adds nothing to any density, so it need not be decoded. If nothing is
    seen at all, one unseen pixel is kept, because empty tensors would need special cases later.

    Raises:
        UsageError: if a row depends on the others in its batch, which is possible in training mode.
    """
    require_eval_mode(model)
    if mask is None:
        return model.fixed(), x, mask
    flat = mask.flatten(1)
    needed = flat.any(0)
    needed[0] |= ~needed.any()
    pixels = needed.nonzero()[:, 0]
    decoder = decoder_network(model.decoder).restricted_to(pixels)
    likelihood = model.likelihood.restricted_to(pixels, tuple(x.shape[1:]))
    if decoder is None or likelihood is None:
        return model.fixed(), x, mask
    small = model.fixed(decoder, likelihood, (len(pixels),))
    seen = flat[:, pixels]
    return small, x.flatten(1)[:, pixels], None if seen.all() else seen


def _bad_mask(why: str) -> UsageError:
    return UsageError(
        "this mask does not fit the data",
        why=why,
        fix="give a boolean mask shaped like x, True where a pixel is seen",
    )
