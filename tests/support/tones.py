"""Tones as a canvas shows them."""

import numpy as np
import torch
from torch import Tensor

from elboroom.explorer.number_array import NumberArray


def shown_tones(images: NumberArray, index: int) -> Tensor:
    """Return one of several pictures, (3, H, W) of uint8: grey has the same tone in each colour."""
    values = np.frombuffer(images.data, np.uint8).copy()
    picture = torch.from_numpy(values).view(images.shape)[index]
    return picture.expand(3, *picture.shape[1:])
