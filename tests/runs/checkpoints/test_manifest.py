"""The manifest of a checkpoint: what it holds, and damage to it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from elboroom.runs.checkpoints import load, manifest
from tests.support.checkpoint_cases import FILES, flip, fresh


def load_older(folder: Path, *training: Any, broken: int = 2) -> int:
    """Load a checkpoint, expect a warning that names the `broken` one, and return its step."""
    why = f"is used, since others are broken: step-{broken:06d}: "
    with pytest.warns(UserWarning, match=why):
        return load(folder, *training)


def test_the_manifest_gives_the_step_and_the_size_and_digest_of_each_file(copy: Path):
    content = json.loads((copy / "step-000002" / "manifest.json").read_text())
    assert content.keys() == {"step", "held_out_elbo", "files", "sha256"}
    assert content["step"] == 2
    for name in FILES[1:]:
        path = copy / "step-000002" / name
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert content["files"][name] == {"size": path.stat().st_size, "sha256": digest}


@pytest.mark.parametrize("name", ["step-000003", "step-000002-1", "step-000002-02", "step-0000002"])
def test_a_checkpoint_under_a_name_that_is_not_its_own_is_broken(copy: Path, name: str):
    (copy / "step-000002").rename(copy / name)
    with pytest.warns(UserWarning, match=f"broken: {name}: its manifest is for step 2$"):
        assert load(copy, *fresh()) == 1


def test_a_flipped_bit_in_any_byte_of_a_manifest_is_noticed(copy: Path):
    path, model = copy / "step-000002" / "manifest.json", fresh()[0]
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 5):
        path.write_bytes(flip(whole, bit))
        assert load_older(copy, model) == 1, f"bit {bit}"


@pytest.mark.parametrize(
    ("step", "broken"), [(0, False), (1, False), (3, True), (-1, True), (True, True), (1.0, True)]
)
def test_the_step_of_older_weights_is_read_and_checked(copy: Path, step: Any, broken: bool):
    path = copy / "step-000002"
    found = manifest.read(path)
    assert found.weights_step == 2
    (path / "manifest.json").write_bytes(manifest.encode(2, None, found.files, step))
    assert manifest.weights_step(path) == (None if broken else step)


@pytest.mark.parametrize("content", ["[]", "null", "7", '{"step": 2, "files": []}'])
def test_a_file_that_is_not_a_manifest_makes_its_checkpoint_broken(copy: Path, content: str):
    (copy / "step-000002" / "manifest.json").write_text(content)
    assert load_older(copy, *fresh()) == 1


def test_a_checkpoint_under_another_name_is_passed_over(copy: Path):
    (copy / "step-000002").rename(copy / "step-000009")
    assert load_older(copy, *fresh(), broken=9) == 1
