"""Ladders: networks of a decoder that draws latents level by level, from coarse to fine."""

from elboroom.model.networks.ladder.kind import Ladder
from elboroom.model.networks.ladder.networks import LadderDecoder, LadderEncoder

__all__ = ["Ladder", "LadderDecoder", "LadderEncoder"]
