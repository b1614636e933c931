import pytest
import torch

from elboroom import VAE, ModelConfig
from elboroom.model.decoding import decoded_at_a_time
from elboroom.randomness import stream


@pytest.mark.parametrize(
    ("hidden", "pixels", "rows"),
    [(5, 784, (12 << 20) // (4 * 784)), (1_000, 784, (12 << 20) // 4_000), (5, 1 << 22, 1)],
    ids=["pixels are the widest", "a layer is", "one does not fit"],
)
def test_as_many_are_decoded_together_as_the_budget_holds(hidden: int, pixels: int, rows: int):
    config = ModelConfig(latents=1, hidden=(hidden,))
    model = VAE.from_config(config, (2,), generator=stream(0, "weights"))
    assert decoded_at_a_time(model, torch.zeros(3, pixels)) == rows
    assert decoded_at_a_time(model, torch.zeros(3, pixels).double()) == max(1, rows // 2)
