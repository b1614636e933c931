import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from elboroom import Run
from elboroom.config import AmortiseConfig
from elboroom.errors import RunError
from elboroom.model.fingerprint import fingerprint
from elboroom.model.partial_encoder import PartialEncoder
from elboroom.model.vae import VAE
from elboroom.runs import partial_encoder_file
from elboroom.runs.doctor.run_folder import check_run
from elboroom.runs.partial_encoder_file import FILE, read_manifest
from elboroom.training.amortisation import Look
from tests.support.partial_cases import PIXELS_OF_LADDER, TWO_LEVELS, new_ladder
from tests.support.small_run import small_run

OPTIONS = AmortiseConfig(family="diagonal", data_share=0.25, seed=3)
Edit = Callable[[bytes], bytes]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(small_run(tmp_path / "run"))


def written(run: Run) -> tuple[VAE, PartialEncoder]:
    """Write a partial encoder with weights of its own."""
    model, generator = run.load_model(), torch.Generator().manual_seed(1)
    partial = PartialEncoder.from_config(
        model, run.config.model, OPTIONS.family, generator=generator
    )
    with torch.no_grad():
        for weight in partial.module.parameters():
            weight += torch.randn(weight.shape, generator=generator)
    look = Look(step=7, progress=0.8, loss=1.5, is_best=True)
    partial_encoder_file.write(run.path, model, partial, OPTIONS, look)
    return model, partial


def test_a_model_is_loaded_with_its_partial_encoder(run: Run):
    model, partial = written(run)
    loaded = run.load_model()
    assert loaded.partial_encoder is not None
    assert fingerprint(loaded.partial_encoder.module) == fingerprint(partial.module)
    assert fingerprint(loaded) == fingerprint(model)
    x = torch.zeros(3, *run.event_shape)
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    found = loaded.amortised_posterior(x, mask)
    assert torch.equal(found.mean, partial(model, x, mask).mean)


def test_that_of_a_ladder_has_no_weights_of_the_decoder(tmp_path: Path):
    model, _ = new_ladder()
    noise = torch.Generator().manual_seed(1)
    partial = PartialEncoder.from_config(model, TWO_LEVELS, "auto", generator=noise)
    with torch.no_grad():
        for weight in partial.module.parameters():
            weight += torch.randn(weight.shape, generator=noise)
    options = AmortiseConfig(), Look(step=7, progress=1.0, loss=1.5, is_best=True)
    path = partial_encoder_file.write(tmp_path, model, partial, *options)
    names = {f"network.{name}" for name in model.encoder.state_dict()}
    assert load(path.read_bytes()).keys() == names
    found = partial_encoder_file.read(tmp_path, TWO_LEVELS, model)
    assert found is not None
    assert fingerprint(found[0].module) == fingerprint(partial.module)
    x = torch.ones(4, PIXELS_OF_LADDER).double()
    mask = torch.arange(PIXELS_OF_LADDER) < torch.tensor([[1], [4], [7], [12]])
    z = torch.zeros(4, 2)
    expected = partial(model, x, mask).log_prob(z)
    assert torch.equal(found[0](model, x, mask).log_prob(z), expected)


def test_the_manifest_says_what_it_was_made_from(run: Run):
    model, partial = written(run)
    found = read_manifest(run.path / FILE)
    assert (found.model, found.weights) == (fingerprint(model), fingerprint(partial.module))
    assert (found.family, found.data_share, found.seed) == ("diagonal", 0.25, 3)
    assert (found.step, found.loss) == (7, 1.5)


def test_a_run_without_one_has_a_model_without_one(run: Run):
    assert run.load_model().partial_encoder is None


def test_one_of_other_weights_is_left_out_with_a_note(run: Run):
    model, partial = written(run)
    with torch.no_grad():
        next(model.parameters())[0] += 1
    look = Look(step=7, progress=0.8, loss=1.5, is_best=True)
    partial_encoder_file.write(run.path, model, partial, OPTIONS, look)
    with pytest.warns(UserWarning, match="is of other weights, and is not used"):
        assert run.load_model().partial_encoder is None
    found = {finding.name: finding for finding in check_run(run.path)}
    assert found[FILE].found == "is not of the newest checkpoint"
    assert not found[FILE].damage


def test_the_doctor_knows_it(run: Run):
    written(run)
    found = {finding.name: finding for finding in check_run(run.path)}
    assert (found[FILE].found, found[FILE].level) == ("belongs to the newest checkpoint", "ok")


def flipped(content: bytes) -> bytes:
    """Flip a bit of the last weight."""
    return content[:-2] + bytes([content[-2] ^ 1]) + content[-1:]


def without_a_tensor(content: bytes) -> bytes:
    tensors = load(content)
    tensors.popitem()
    return save(tensors, metadata(content))


def metadata(content: bytes) -> dict[str, str]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])["__metadata__"]


def manifest_with(**changed: object) -> Edit:
    def edit(content: bytes) -> bytes:
        found = json.loads(metadata(content)["elboroom"]) | changed
        return save(load(content), {"elboroom": json.dumps(found)})

    return edit


DAMAGES: dict[str, tuple[Edit, str]] = {
    "nothing": (lambda content: b"", "not JSON|Expecting value"),
    "a flipped bit": (flipped, "do not match their fingerprint"),
    "a tensor less": (without_a_tensor, "size mismatch"),
    "no manifest": (lambda content: save(load(content)), "it has no manifest"),
    "another family": (manifest_with(family="full"), "size mismatch"),
    "no family": (manifest_with(family="laplace"), "family cannot be"),
    "a long header": (lambda content: (1 << 62).to_bytes(8, "little") + content[8:], "would be"),
    "cut short": (lambda content: content[:-9], "safetensors"),
    "megabytes more": (lambda content: content + bytes(1 << 20), "at most"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_one_is_refused(run: Run, name: str):
    edit, told = DAMAGES[name]
    written(run)
    path = run.path / FILE
    path.write_bytes(edit(path.read_bytes()))
    with pytest.raises(RunError, match=told) as caught:
        run.load_model()
    assert FILE in caught.value.what
    found = {finding.name: finding for finding in check_run(run.path)}
    assert found[FILE].damage
    assert found["model"].level == "ok"


def test_a_link_out_of_the_run_is_refused(run: Run, tmp_path: Path):
    written(run)
    (run.path / FILE).rename(tmp_path / "elsewhere")
    (run.path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="symbolic link"):
        Run(run.path)


def test_a_whole_one_is_no_reason_to_warn(run: Run):
    written(run)
    with warnings.catch_warnings(action="error"):
        run.load_model()
