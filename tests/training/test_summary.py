"""The line that describes a recipe."""

import math
from typing import Any

import pytest

from elboroom.config import TrainConfig
from elboroom.training.summary import summary


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, []),
        ({"optimiser": "adamax"}, ["training: by adamax"]),
        (
            {"optimiser": "adamw", "weight_decay": 0.01, "learning_rate_warmup": 2.5},
            ["training: by adamw with weight decay 0.01, learning rate rises over 2.5 epochs"],
        ),
        (
            {"clip": 200.0, "skip": math.inf},
            ["training: gradients clipped to norm 200, steps skipped whose norm is not finite"],
        ),
        ({"warmup": 1}, ["training: the weight of the KL rises over 1 epoch"]),
        ({"shift": 2}, ["training: images shifted by up to 2 pixels"]),
        ({"flip": True}, ["training: images flipped at random"]),
        (
            {"flip": True, "rotate": 7.5, "augment_until": 0.8},
            [
                "training: images flipped at random and turned by up to 7.5° for the first 0.8 of "
                "the training"
            ],
        ),
        (
            {"shift": 1, "rotate": 10.0, "zoom": 0.1},
            [
                "training: images shifted by up to 1 pixel, turned by up to 10° and zoomed by up "
                "to 0.1"
            ],
        ),
    ],
)
def test_a_line_names_what_is_more_than_adam(options: dict[str, Any], said: list[str]):
    assert summary(TrainConfig(**options)) == said
