"""Runs whose networks are code of the user's: saved, reopened, resumed, drawn, and trusted."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import StudentT

from elboroom import (
    VAE,
    Config,
    DataConfig,
    Dataset,
    ModelConfig,
    Run,
    TrainConfig,
    evaluate,
    load_data,
    train,
)
from elboroom.errors import RunError, UsageError
from elboroom.model.factory import import_factory, name_of
from elboroom.model.priors import DistributionPrior
from elboroom.runs.autosave import Autosave
from tests.support.own_networks import FlatDecoder, OwnDecoder, OwnEncoder, own_pair

BERNOULLI = ModelConfig(likelihood="bernoulli")
NAME = "tests.support.own_networks:own_pair"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "b.npy"
    np.save(path, (np.random.default_rng(0).random((120, 8, 8)) < 0.4).astype("u1"))
    return path


def config_of(source: Path, epochs: int = 2, **model: object) -> Config:
    return Config(
        data=DataConfig(source=str(source)),
        model=ModelConfig(likelihood="bernoulli", **model),  # type: ignore[arg-type]
        train=TrainConfig(epochs=epochs, threads=1, device="cpu", batch_size=30),
    )


def trained(run: Run, data: Dataset, steps: int | None = None) -> VAE:
    """Train a run as the guide does it, or only some steps of it."""
    resumed = run.metrics.history() or (steps is None and any(run.checkpoints.glob("*")))
    model, state = run.load_training(data) if resumed else run.new_training(data)
    autosave, taken = Autosave(run, model, state), []
    stop = lambda: taken.append(0) is None and steps is not None and len(taken) > steps  # noqa: E731
    with run.locked():
        train(
            model,
            data,
            run.config.train,
            state=state,
            on_step=autosave.on_step,
            on_epoch=autosave.on_epoch,
            stop=stop,
        )
        autosave.save(state)
    return model


def same(first: nn.Module, second: nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_of_own_networks_comes_back_bit_for_bit(source, tmp_path):
    config = config_of(source)
    data = load_data(config.data)
    run = Run.create(tmp_path / "run", config, data, network=own_pair)
    assert run.config.model.network == NAME
    assert f'network = "{NAME}"' in (tmp_path / "run" / "config.toml").read_text()
    model = trained(run, data)
    again = Run(tmp_path / "run", network=own_pair).load_model()
    assert same(model, again)
    assert isinstance(again.decoder, OwnDecoder)
    scores = [evaluate(m, data, k=5, seed=0).estimates["elbo"] for m in (model, again)]
    assert scores[0] == scores[1]


class Dropping(OwnEncoder):
    """An encoder that draws from the global random state while it is trained."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return super().forward(nn.functional.dropout(x, 0.3, self.training))


def dropping(event_shape: tuple[int, ...], latents: int) -> tuple[nn.Module, nn.Module]:
    return Dropping(latents), OwnDecoder(latents)


@pytest.mark.parametrize("network", [own_pair, dropping])
def test_a_run_that_was_stopped_is_resumed_bit_for_bit(network, source, tmp_path):
    config = config_of(source)
    data, models = load_data(config.data), []
    torch.manual_seed(1)
    expected = torch.random.get_rng_state()
    for name, steps in (("whole", None), ("parts", 3)):
        run = Run.create(tmp_path / name, config, data, network=network)
        models.append(trained(run, data, steps))
    torch.rand(7)  # what happened in between must not matter
    assert not same(*models)
    resumed = trained(Run(tmp_path / "parts", network=network), data)
    assert same(models[0], resumed)
    torch.manual_seed(1)
    trained(Run.create(tmp_path / "third", config, data, network=network), data, 1)
    assert torch.equal(torch.random.get_rng_state(), expected)


def test_initial_weights_are_those_of_the_seed(source):
    config = config_of(source)
    models = []
    for seed, state in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(state)
        generator = torch.Generator().manual_seed(seed)
        models.append(
            VAE.from_config(config.model, (1, 8, 8), generator=generator, network=own_pair)
        )
        assert torch.equal(torch.random.get_rng_state(), torch.manual_seed(state).get_state())
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


def by_hand(event_shape: tuple[int, ...], latents: int) -> VAE:
    """Make a whole model, with a prior of its own."""
    prior = StudentT(torch.tensor(5.0), torch.zeros(latents), torch.ones(latents))
    return VAE(OwnEncoder(latents), OwnDecoder(latents), latents, prior=prior)


def test_a_model_made_by_hand_comes_back_with_its_prior(source, tmp_path):
    config = config_of(source)
    data = load_data(config.data)
    model = trained(Run.create(tmp_path / "run", config, data, network=by_hand), data)
    again = Run(tmp_path / "run", network=by_hand).load_model()
    assert same(model, again)
    assert isinstance(again.prior, DistributionPrior)
    found = evaluate(again, data, k=5, seed=0)
    assert found.kl_sampled
    assert found.estimates["elbo"] == evaluate(model, data, k=5, seed=0).estimates["elbo"]


class Tied(OwnDecoder):
    """A decoder with a weight under two names."""

    def __init__(self, latents: int) -> None:
        super().__init__(latents)
        self.second = nn.Linear(latents, 64)
        self.second.weight = self.first.weight

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z) + self.second(z).mean(-1)[..., None, None, None]


def test_weights_that_layers_share_are_saved(source, tmp_path):
    config = config_of(source, epochs=1)
    data = load_data(config.data)
    run = Run.create(
        tmp_path / "run", config, data, network=lambda shape, d: (OwnEncoder(d), Tied(d))
    )
    model = trained(run, data)
    loaded = Run(tmp_path / "run", network=lambda s, d: (OwnEncoder(d), Tied(d))).load_model()
    assert same(model, loaded)
    assert loaded.decoder.second.weight is loaded.decoder.first.weight


@pytest.mark.parametrize("prior", ["mixture", "vamp", "flow"])
def test_priors_of_a_config_serve_own_networks(prior, source, tmp_path):
    config = config_of(source, epochs=1, prior=prior, components=3)
    data = load_data(config.data)
    model = trained(Run.create(tmp_path / "run", config, data, network=own_pair), data)
    assert same(model, Run(tmp_path / "run", network=own_pair).load_model())


BAD_FACTORIES = {
    "one module": (lambda shape, d: OwnEncoder(d), "returned a OwnEncoder"),
    "three": (lambda shape, d: (OwnEncoder(d), OwnDecoder(d), None), "returned a tuple"),
    "a flat decoder": (lambda shape, d: (OwnEncoder(d), FlatDecoder(d)), "for z (1, 3, 2)"),
    "other latents": (lambda shape, d: by_hand(shape, 3), "and 3 latents; expected (1, 8, 8)"),
    "no arguments": (lambda: None, "TypeError"),
    "an error": (lambda shape, d: {}[shape], "KeyError: (1, 8, 8)"),
    "nothing": (lambda shape, d: None, "returned a NoneType"),
    "classes": (lambda shape, d: (OwnEncoder, OwnDecoder), "returned a tuple"),
    "swapped": (lambda shape, d: (OwnDecoder(d), OwnEncoder(d)), "the decoder cannot be called"),
}


@pytest.mark.parametrize("name", BAD_FACTORIES)
def test_a_factory_that_breaks_its_contract_is_refused(name):
    network, words = BAD_FACTORIES[name]
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(UsageError) as error:
        VAE.from_config(
            ModelConfig(likelihood="bernoulli"), (1, 8, 8), generator=generator, network=network
        )
    assert words in str(error.value)
    assert name_of(network) in str(error.value)


def test_networks_of_another_event_are_refused():
    generator = torch.Generator().manual_seed(0)

    def fixed(shape: tuple[int, ...], latents: int) -> tuple[nn.Module, nn.Module]:
        return OwnEncoder(latents), OwnDecoder(latents)

    with pytest.raises(UsageError) as error:
        VAE.from_config(
            ModelConfig(likelihood="bernoulli"), (1, 9, 9), generator=generator, network=fixed
        )
    assert "they have events (1, 8, 8) and 2 latents; expected (1, 9, 9) and 2" in str(error.value)


def test_a_name_of_code_needs_the_code():
    generator = torch.Generator().manual_seed(0)
    config = ModelConfig(network=NAME, likelihood="bernoulli")
    with pytest.raises(UsageError, match=r"are made by tests\.support\.own_networks:own_pair"):
        VAE.from_config(config, (1, 8, 8), generator=generator)


def test_names_are_those_that_can_be_imported():
    assert name_of(own_pair) == NAME
    assert import_factory(NAME) is own_pair
    with pytest.raises(UsageError, match="no attribute 'missing'"):
        import_factory("tests.support.own_networks:missing")
    with pytest.raises(UsageError, match="No module named 'nowhere_to_be_found'"):
        import_factory("nowhere_to_be_found:own_pair")


@pytest.mark.parametrize("code", ["1 / 0", "def own_pair(:"])
def test_a_module_that_cannot_be_executed_is_refused_in_words(code, tmp_path, monkeypatch):
    (tmp_path / "broken_networks.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match="broken_networks:own_pair cannot be imported"):
        import_factory("broken_networks:own_pair")


def test_a_run_of_built_in_networks_takes_no_factory(source, tmp_path):
    config = config_of(source)
    Run.create(tmp_path / "run", config, load_data(config.data))
    with pytest.raises(UsageError, match="are elboroom's own"):
        Run(tmp_path / "run", network=own_pair)


CODE = """
from pathlib import Path
from tests.support.own_networks import own_pair
Path({mark!r}).write_text("executed")
"""


@pytest.fixture
def strangers(source, tmp_path, monkeypatch, elboroom):
    """A run whose networks are the code of a module, and the mark that its import leaves."""
    mark, module = tmp_path / "executed", f"code_of_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(CODE.format(mark=str(mark)))
    monkeypatch.syspath_prepend(str(tmp_path))
    name, run = f"{module}:own_pair", tmp_path / "run"
    options = ["--network", name, "--epochs", 2, "--threads", 1, "--likelihood", "bernoulli"]
    done = elboroom("train", "--data", source, *options, "--out", run, "--quiet")
    assert done.code == 0, done.err
    assert mark.exists()
    mark.unlink()
    monkeypatch.delitem(__import__("sys").modules, module)
    return run, name, mark


COMMANDS = {
    "evaluate": ["evaluate", "RUN", "--k", 3, "--quiet"],
    "figures": ["figures", "RUN", "--only", "samples"],
    "report": ["report", "RUN"],
    "infer": ["infer", "RUN", "--images", 2, "--method", "laplace", "--out", "OUT", "--quiet"],
    "gaps": ["gaps", "RUN", "--images", 2, "--k", 100, "--quiet"],
    "complete": ["complete", "RUN", "--mask", "top", "--index", 0, "--method", "laplace"],
    "resume": ["train", "--resume", "RUN", "--quiet"],
}


def test_no_command_runs_code_without_trust(strangers, elboroom, tmp_path):
    run, name, mark = strangers
    for words in COMMANDS.values():
        given = [run if w == "RUN" else tmp_path / "q.npz" if w == "OUT" else w for w in words]
        done = elboroom(*given)
        assert done.code == 1, given
        assert f"are made by code, {name}" in done.err
        assert "--trust" in done.err
    other = elboroom("evaluate", run, "--compare", run, "--quiet")
    assert "--trust" in other.err
    assert "is made by code" in elboroom("doctor", run).out
    with pytest.raises(RunError, match="made by code"):
        Run(run).load_model()
    assert not mark.exists()


@pytest.mark.parametrize("name", ["evaluate", "infer", "complete", "resume", "figures"])
def test_every_command_takes_trusted_networks(strangers, elboroom, tmp_path, name):
    run, _, mark = strangers
    given = [run if w == "RUN" else tmp_path / "q.npz" if w == "OUT" else w for w in COMMANDS[name]]
    done = elboroom(*given, "--trust")
    assert done.code == 0, done.err
    assert mark.exists()


def test_trust_in_python_imports_the_factory(strangers):
    run, _, mark = strangers
    opened = Run(run, trust=True)
    assert mark.exists()
    assert isinstance(opened.load_model().decoder, OwnDecoder)


def test_a_config_that_names_other_code_does_not_run_it(source, tmp_path):
    config = config_of(source)
    Run.create(tmp_path / "run", config, load_data(config.data))
    path = tmp_path / "run" / "config.toml"
    path.write_text(path.read_text().replace('network = "mlp"', 'network = "os:abort"'))
    assert Run(tmp_path / "run").runs_code
    with pytest.raises(RunError, match="made by code, os:abort"):
        Run(tmp_path / "run").new_training(load_data(config.data))


def test_the_command_line_refuses_what_is_neither_a_name_nor_code(source, tmp_path, elboroom):
    done = elboroom("train", "--data", source, "--network", "cnn", "--out", tmp_path / "run")
    assert done.code == 2
    assert "one of mlp, gated, residual, conv, ladder, or package.module:factory" in done.err
    assert not (tmp_path / "run").exists()


def test_an_evaluation_of_own_networks_is_stored_like_any(strangers, elboroom):
    run, _, _ = strangers
    done = elboroom("evaluate", run, "--trust", "--k", 3, "--json", "--quiet")
    stored = json.loads((run / "evaluation.json").read_text())
    assert json.loads(done.out)["estimates"] == stored["estimates"]
    assert -60 < stored["estimates"]["elbo"]["mean"] < -35
