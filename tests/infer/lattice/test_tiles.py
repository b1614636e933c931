from functools import partial

import pytest
import torch

from elboroom.infer.lattice import tiles
from elboroom.infer.lattice.decoded_tiles import DecodedTiles
from elboroom.infer.lattice.scored import ScoredLattice
from elboroom.infer.lattice.tiles import Tiles
from elboroom.infer.target import Target
from elboroom.model.linear_algebra import product_grid
from tests.support.grid_cases import small_vae
from tests.support.prior_cases import mixture


@pytest.mark.parametrize("latents", [1, 2])
@pytest.mark.parametrize("narrow", [False, True])
def test_tiles_that_are_scored_together_score_as_alone(latents, narrow, monkeypatch):
    model, x, mask = small_vae(4, latents, 6.0)
    if narrow:
        model.prior = mixture(3, latents).float()
    target, rows = Target.of(model, x, mask), torch.arange(len(x))
    decode = partial(DecodedTiles.together, target.model)
    every = Tiles.every(1 / 2, rows, product_grid(torch.arange(-2, 2), latents))
    some = every.split(
        ScoredLattice.of(target, every, decode).kept
    )  # of which rows keep unlike ones
    for found in (every, some):
        together = tiles.score(target, found, decode)
        with monkeypatch.context() as alone:
            alone.setattr(tiles, "_VALUES", 0)
            expected = tiles.score(target, found, decode)
        for name, values in vars(expected).items():
            torch.testing.assert_close(getattr(together, name), values, atol=1e-4, rtol=1e-5)


def test_few_rows_share_a_pass_through_the_decoder(monkeypatch):
    model, x, mask = small_vae(4, 2, 6.0, rows=1)
    target, passes = Target.of(model, x, mask), list[int]()
    decoded = type(target.model).decoder_output
    monkeypatch.setattr(
        type(target.model),
        "decoder_output",
        lambda model, z: passes.append(len(z)) or decoded(model, z),
    )
    square = product_grid(torch.arange(-2, 2), 2)
    every = Tiles.every(1 / 4, torch.arange(1), square)
    tiles.score(target, every, partial(DecodedTiles.together, target.model))
    assert passes == [len(square) * 17**2]
