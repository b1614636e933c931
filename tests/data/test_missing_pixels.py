"""Pixels that nobody knows, from the array to the result."""

from pathlib import Path

import numpy as np
import pytest
import torch

from elboroom import VAE, DataConfig, ModelConfig, TrainConfig, evaluate, load_data, train
from elboroom.config import ObjectiveConfig
from elboroom.data import masks
from elboroom.randomness import stream

ROWS = 60


@pytest.fixture(params=["threshold", "dynamic", "static"])
def torn(request, tmp_path):
    """Data of which a third is missing, and the same with zeros in its gaps, and the mask."""
    dice = np.random.default_rng(0)
    images, mask = dice.random((ROWS, 6)), dice.random((ROWS, 6)) < 0.7

    def data(content: np.ndarray, name: str, **more: np.ndarray):
        path = Path(tmp_path / name)
        np.savez(path, x_train=content, x_test=content[:20], **more)
        return load_data(DataConfig(source=str(path), binarisation=request.param))

    gaps = data(np.where(mask, images, np.nan), "gaps.npz")
    masks = {"mask": mask, "mask_test": mask[:20]}
    return gaps, data(images, "masked.npz", **masks), data(images, "whole.npz"), mask


def batch(data, noise=0):
    return data.train.batch(torch.arange(ROWS), stream(0, "step", noise))


def test_nan_and_masks_are_the_same_gaps_and_the_rest_is_as_without_them(torn):
    gaps, masked, whole, mask = torn
    x = batch(gaps)
    assert torch.equal(x.isnan(), ~torch.from_numpy(mask))
    assert torch.equal(gaps.train.seen(x), torch.from_numpy(mask))
    assert torch.equal(x.nan_to_num(-1), batch(masked).nan_to_num(-1))
    assert torch.equal(x[~x.isnan()], batch(whole)[torch.from_numpy(mask)])
    assert torch.equal(gaps.test.x.isnan(), ~torch.from_numpy(mask[:20]))
    assert whole.train.seen(batch(whole)) is None


def test_seen_by_a_mask_is_what_it_observes_and_is_not_missing(torn):
    gaps, _, whole, known = torn
    event_mask = torch.tensor([True, False, True, True, False, True])
    for mask in (event_mask, event_mask.expand(ROWS, 6).logical_xor(torch.eye(ROWS, 6) > 0)):
        in_gaps, in_whole = (d.train.seen(batch(d), mask) for d in (gaps, whole))
        assert torch.equal(in_gaps, mask & torch.from_numpy(known))
        assert torch.equal(in_whole, mask.expand(ROWS, 6))
        assert torch.equal(in_gaps, masks.seen(batch(gaps), mask))


@pytest.mark.parametrize("objective", [ObjectiveConfig(), ObjectiveConfig("iwae", k=3)])
def test_training_and_evaluation_do_not_look_into_gaps(torn, objective):
    def result(data):
        model = VAE.from_config(
            ModelConfig(2, (5,)), data.event_shape, generator=stream(0, "weights")
        )
        config = TrainConfig(epochs=2, batch_size=16, evaluate_every=1, precision="fp32")
        state = train(model, data, config, objective=objective)
        found = evaluate(model, data, k=4, seed=0)
        return [m.bound for m in state.history], state.history[-1].held_out_elbo, found.per_image

    gaps, masked, whole, _ = torn
    bounds, held_out, per_image = result(gaps)
    again = result(masked)
    assert bounds == again[0]
    assert held_out == again[1]
    assert torch.equal(per_image["iwae"], again[2]["iwae"])
    assert per_image["iwae"].isfinite().all()
    assert bounds != result(whole)[0]
