"""Decoded tiles that are kept for other data."""

import math
from collections import OrderedDict
from threading import Lock

import torch
from torch import Tensor

from elboroom.infer.known_model import KnownModel
from elboroom.infer.lattice.decoded_tiles import SIDE, DecodedTiles
from elboroom.model.vae import VAE

_MOST_BYTES = 1 << 28  # of parameters; a likelihood may keep as much again

_Key = tuple[torch.device, float, tuple[int, ...]]


class KeptTiles:
    """The tiles that a model has decoded; those used least recently are forgotten.

    A tile depends on the model alone. The posterior of other data, or under another mask, needs few
    tiles that were not decoded before. Threads may share them.

    Args:
        model: the model; all values of its events are decoded.

    Example:
        >>> kept = infer.KeptTiles(model)
        >>> seen = [half_mask(half, data.event_shape) for half in ("top", "bottom")]
        >>> exact = [infer.grid(model, x, half, generator=generator, kept=kept) for half in seen]
        >>> [one.log_evidence.shape for one in exact]
        [torch.Size([3]), torch.Size([3])]
    """

    def __init__(self, model: VAE) -> None:
        self._source, self._model = KnownModel.of(model), model.fixed()
        self._kept, self._lock = OrderedDict[_Key, DecodedTiles](), Lock()
        bytes_of_one = 4 * (SIDE + 1) ** model.latents * math.prod(model.parameter_shape)
        self._most = max(1, _MOST_BYTES // bytes_of_one)

    def require_of(self, source: KnownModel) -> None:
        """Check that these are tiles of a model as it is now.

        Raises:
            UsageError: it has other weights.
        """
        self._source.require_kept(source, "tiles", KeptTiles)

    def decode(self, like: Tensor, spacing: float, tiles: Tensor) -> list[DecodedTiles]:
        """Return tiles (T, D) one by one, and decode in the type of `like` what is not kept."""
        keys = [(like.device, spacing, tuple(tile)) for tile in tiles.tolist()]
        with self._lock:
            missing = [place for place, key in enumerate(keys) if key not in self._kept]
            if missing:
                found = DecodedTiles.one_by_one(self._model, like, spacing, tiles[missing])
                self._kept.update(zip((keys[place] for place in missing), found, strict=True))
            wanted = [self._kept[key] for key in keys]
            self._forget(keys)
        return wanted

    def _forget(self, used: list[_Key]) -> None:
        """Forget tiles beyond the most that are kept, those that were just used last."""
        for key in used:
            self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
