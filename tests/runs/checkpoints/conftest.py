"""Checkpoints that several files of tests read or damage."""

import shutil
from pathlib import Path

import pytest
import torch

from tests.support.checkpoint_cases import content, fresh, save, step


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, torch.Tensor]]]:
    """Checkpoints of the first two steps, and what each holds."""
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    training, contents = fresh(), []
    for _ in range(2):
        save(folder, *step(training))
        contents.append(content(training))
    return folder, contents


@pytest.fixture
def copy(saved: tuple[Path, list[dict[str, torch.Tensor]]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved[0], tmp_path / "run" / "checkpoints"))
