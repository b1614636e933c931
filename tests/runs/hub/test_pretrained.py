import json
import shutil
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from elboroom import VAE, Run, from_pretrained, save_pretrained
from elboroom.config import AmortiseConfig
from elboroom.errors import RunError, UsageError
from elboroom.model.fingerprint import fingerprint
from elboroom.model.partial_encoder import PartialEncoder
from elboroom.runs import partial_encoder_file
from elboroom.training.amortisation import Look
from tests.support.hub_runs import MAKERS, move_weights, own_run
from tests.support.own_networks import own_pair


def bits(model: VAE) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def require_equal(found: VAE, expected: VAE) -> None:
    """Check that two models have the same bits, and compute the same."""
    assert bits(found) == bits(expected)
    assert not found.training
    drawn = [m.generate(3, generator=torch.Generator().manual_seed(0)) for m in (found, expected)]
    assert all(torch.equal(a, b) for a, b in zip(*drawn, strict=True))
    x = drawn[0][1]
    assert torch.equal(found.posterior(x).mean, expected.posterior(x).mean)


@pytest.mark.parametrize("name", MAKERS)
def test_a_model_comes_back_bit_for_bit(runs: dict[str, Run], tmp_path: Path, name: str):
    assert save_pretrained(runs[name], tmp_path / "out") == tmp_path / "out"
    shutil.move(tmp_path / "out", tmp_path / "elsewhere")
    require_equal(from_pretrained(tmp_path / "elsewhere"), runs[name].load_model())


def test_the_file_of_the_weights_is_that_of_any_library(runs: dict[str, Run], tmp_path: Path):
    save_pretrained(runs["mlp"], tmp_path / "out")
    found, expected = load_file(tmp_path / "out/model.safetensors"), runs["mlp"].load_model()
    assert {name: tensor.numpy().tobytes() for name, tensor in found.items()} == bits(expected)


def test_the_best_weights_are_published_if_they_are_asked_for(
    runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = Run(Path(shutil.copytree(runs["mlp"].path, tmp_path / "run")))
    for step, elbo in ((3, -1.0), (4, -2.0)):
        monkeypatch.setattr(
            "elboroom.runs.checkpoints.checkpoint._held_out_elbo", lambda state, elbo=elbo: elbo
        )
        move_weights(run, step)
    for best, step in ((True, 3), (False, 4)):
        save_pretrained(run, tmp_path / "out", best=best)
        assert json.loads((tmp_path / "out/config.json").read_text())["weights"]["step"] == step
        require_equal(from_pretrained(tmp_path / "out"), run.load_model(best=best))


def test_a_partial_encoder_is_published_with_its_model(run: Run, tmp_path: Path):
    model, noise = run.load_model(), torch.Generator().manual_seed(1)
    partial = PartialEncoder.from_config(model, run.config.model, "diagonal", generator=noise)
    look = Look(step=7, progress=0.8, loss=1.5, is_best=True)
    options = AmortiseConfig(family="diagonal")
    partial_encoder_file.write(run.path, model, partial, options, look)
    save_pretrained(run, tmp_path / "out")
    found = from_pretrained(tmp_path / "out").partial_encoder
    assert found is not None
    assert fingerprint(found.module) == fingerprint(partial.module)


def test_networks_of_code_need_trust(tmp_path: Path):
    own = own_run(tmp_path)
    save_pretrained(own, tmp_path / "out")
    with pytest.raises(RunError, match="are made by code") as caught:
        from_pretrained(tmp_path / "out")
    assert "from_pretrained(…, trust=True)" in caught.value.fix
    for options in ({"network": own_pair}, {"trust": True}):
        require_equal(from_pretrained(tmp_path / "out", **options), own.load_model())
    assert "tests.support.own_networks:own_pair" in (tmp_path / "out/README.md").read_text()


def test_a_network_is_refused_where_it_would_not_count(runs: dict[str, Run], tmp_path: Path):
    save_pretrained(runs["mlp"], tmp_path / "out")
    with pytest.raises(UsageError, match="are elboroom's own"):
        from_pretrained(tmp_path / "out", network=own_pair)


def test_a_folder_is_written_and_read_without_huggingface_hub(
    runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in [name for name in sys.modules if name.startswith("elboroom.runs.hub")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.split(".")[0] == "huggingface_hub"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # importing it is an error
    hub = import_module("elboroom.runs.hub")
    hub.save_pretrained(runs["mlp"], tmp_path / "out")
    require_equal(hub.from_pretrained(tmp_path / "out"), runs["mlp"].load_model())


def test_the_probe_sees_an_import(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModuleNotFoundError):
        import_module("huggingface_hub")


@pytest.mark.parametrize(
    ("name", "options", "kind", "told"),
    [
        (3, {}, UsageError, "found a int; expected a str or a PathLike"),
        ("./gone", {}, RunError, "there is no such folder"),
        ("~/gone/x", {}, RunError, "there is no such folder"),
        ("a/b/c", {}, RunError, "there is no such folder"),
        (Path("gone"), {}, RunError, "there is no such folder"),
        (".", {"revision": "main"}, UsageError, "revision does not count for ."),
        (".", {"force_download": True}, UsageError, "force_download does not count for ."),
        (".", {}, RunError, "it has no config.json"),
    ],
)
def test_what_cannot_be_read_is_told(
    name, options, kind, told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as caught:
        from_pretrained(name, **options)
    assert told in str(caught.value)
