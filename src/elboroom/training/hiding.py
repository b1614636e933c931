"""Seen values that training hides, drawn anew at every visit."""

import torch
from torch import Tensor

from elboroom.randomness import uniforms


def hide(x: Tensor, mask: Tensor | None, share: float, generator: torch.Generator) -> Tensor | None:
    """Return the mask of a batch in which some seen values of each row count as unseen.

    The bound is then one on log p of the rest of the row. Its model is that of whole rows, since
    unseen values integrate out, and the encoder meets rows of which little is seen, as in
    Ivanov, Figurnov & Vetrov, *Variational Autoencoder with Arbitrary Conditioning* (2019).

    Args:
        x: (B, *event).
        mask: True where a value is seen, like `x`; None if all are.
        share: the largest share that is hidden; that of a row is uniform below it. 0 hides none.
        generator: random generator of the shares and of the values.
    """
    if not share:
        return mask
    shares = share * uniforms((len(x), *[1] * (x.ndim - 1)), x, generator)
    kept = uniforms(x.shape, x, generator) >= shares
    return kept if mask is None else mask & kept
