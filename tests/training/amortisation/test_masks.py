import torch

from elboroom.training.amortisation.masks import random_masks, scattered_masks
from tests.support.oracles import assert_mean, assert_rejected

ROWS, EVENT = 8_000, (3, 4, 6)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def drawn(event: tuple[int, ...] = EVENT) -> torch.Tensor:
    return random_masks(ROWS, event, torch.zeros(1), generator())


def test_scattered_masks_show_every_number_of_places_equally_often():
    places = 4

    def check(masks: torch.Tensor) -> None:
        of_each = masks.sum(1)[:, None] == torch.arange(places + 1)
        assert_mean(of_each.double(), 1 / (places + 1))

    shape = (ROWS, places)
    check(scattered_masks(shape, torch.zeros(1), generator()))
    assert_rejected(lambda: check(torch.rand(shape, generator=generator()) < 0.5))


def test_scattered_masks_show_each_place_as_often():
    assert_mean(scattered_masks((ROWS, 5), torch.zeros(1), generator()).double(), 0.5)


def test_channels_of_pictures_are_seen_together():
    masks = drawn()
    assert masks.shape == (ROWS, *EVENT)
    assert masks.dtype == torch.bool
    assert (masks == masks[:, :1]).all()


def test_the_whole_the_empty_and_each_half_are_among_them():
    flat = drawn().flatten(1)
    top, left = torch.zeros(2, *EVENT, dtype=torch.bool)
    top[:, :2], left[..., :3] = True, True
    for wanted in (top, ~top, left, ~left):
        share = (flat == wanted.flatten()).all(1).double()
        assert 0.02 < share.mean() < 0.08
    for end in (flat.all(1), ~flat.any(1)):
        assert 1 / 16 < end.double().mean() < 0.15  # boxes and scattered places may be such, too


def test_masks_of_vectors():
    masks = drawn((7,))
    assert masks.shape == (ROWS, 7)
    assert len(masks.unique(dim=0)) == 2**7
