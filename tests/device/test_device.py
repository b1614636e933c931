"""The set-up of a process for a device."""

import pytest
import torch

from elboroom.config import TrainConfig
from elboroom.device import device


@pytest.mark.parametrize("name", ["cuda", "cpu"])
def test_convolutions_on_cuda_add_up_in_one_order(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setattr(device, "resolve_device", lambda asked: torch.device(name))
    monkeypatch.setattr(device, "resolve_precision", lambda asked, device: torch.float32)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    device.prepare(TrainConfig())
    assert torch.backends.cudnn.deterministic == (name == "cuda")
