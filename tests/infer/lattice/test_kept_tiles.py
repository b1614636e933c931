"""Tiles that are kept from one posterior to the next."""

import pytest
import torch

from elboroom.errors import UsageError
from elboroom.infer import grid
from elboroom.infer.grid import KeptTiles
from elboroom.infer.lattice import kept_tiles
from tests.support.grid_cases import generator, problem, small_vae


def assert_same(found, expected):
    torch.testing.assert_close(found.log_evidence, expected.log_evidence, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(found.mean, expected.mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.covariance, expected.covariance, atol=1e-4, rtol=1e-3)


def of_one_by_one(model, x, mask, kept):
    """Infer rows one after the other, each under its own mask, then each again."""
    for row in [*range(len(x)), *range(len(x))]:
        one = x[row : row + 1].masked_fill(~mask[row : row + 1], torch.nan)
        yield row, grid(model, one, mask[row : row + 1], generator=generator(), kept=kept)


@pytest.mark.parametrize("latents", [1, 2])
@pytest.mark.parametrize("case", ["binary", "numbers"])
def test_posteriors_from_kept_tiles_are_those_without(latents, case, monkeypatch):
    if case == "binary":
        model, x, mask = small_vae(4, latents, 6.0)
    else:
        exact, x, mask = problem(latents)
        model = exact.model
    every = grid(model, x, mask, generator=generator())
    for most in (1 << 27, 1):  # bytes: room for all, and for one tile
        monkeypatch.setattr(kept_tiles, "_MOST_BYTES", most)
        for row, found in of_one_by_one(model, x, mask, KeptTiles(model)):
            index = torch.tensor([row])
            one = grid(model, x[index], mask[index], generator=generator())
            assert_same(found, one)
            torch.testing.assert_close(
                found.log_evidence, every.log_evidence[index], atol=2e-3, rtol=0
            )


def test_what_was_decoded_is_not_decoded_again(monkeypatch):
    model, x, mask = small_vae(4, 2, 6.0)
    passes, decoded = list[int](), type(model).decoder_output
    monkeypatch.setattr(
        type(model), "decoder_output", lambda model, z: passes.append(len(z)) or decoded(model, z)
    )
    kept = KeptTiles(model)
    first = grid(model, x, mask, generator=generator(), kept=kept)
    assert passes
    passes.clear()
    assert_same(grid(model, x, mask, generator=generator(), kept=kept), first)
    assert passes == []
    grid(model, x, mask, generator=generator())
    assert passes


def test_tiles_of_other_weights_are_refused():
    model, x, mask = small_vae(4, 2, 6.0)
    kept = KeptTiles(model)
    next(model.decoder.parameters()).data.mul_(1.01)
    with pytest.raises(UsageError, match="not of this model"):
        grid(model, x, mask, generator=generator(), kept=kept)
