import json
import shutil
import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from elboroom import VAE, Config, DataConfig, ModelConfig, Run, TrainConfig, TrainState, load_data
from elboroom import __version__ as version
from elboroom.config.model import PriorName
from elboroom.data import Identity
from elboroom.errors import IncomparableError, RunError
from elboroom.model.priors import VampPrior
from elboroom.runs import lock as lock_module
from elboroom.runs.atomic import make_folder
from elboroom.runs.checkpoints import capture
from elboroom.runs.lock import locked
from elboroom.training.initial_model import new_model
from elboroom.training.loop import train
from elboroom.training.state import EpochMetrics


@pytest.fixture
def config(digits: Path) -> Config:
    return Config(
        data=DataConfig(source=str(digits), binarisation="threshold"),
        model=ModelConfig(hidden=(5,)),
        train=TrainConfig(epochs=3, batch_size=100, evaluate_every=2, seed=4, threads=1),
    )


@pytest.fixture
def run(tmp_path: Path, config: Config) -> Run:
    return Run.create(tmp_path / "run", config, load_data(config.data))


def metrics(epoch: int) -> EpochMetrics:
    return EpochMetrics(epoch, 3 * epoch, -5.25, -4.0, 1.25, -5.25, 1.0, 1e-3, None, 1e4)


def train_on(run: Run, training: tuple[VAE, TrainState], until: int | None = None) -> TrainState:
    """Train until step `until`, or to the end, and save as the command does."""
    model, state = training
    state = train(
        model,
        run.load_data(),
        run.config.train,
        state=state,
        on_epoch=lambda state: run.metrics.record(state.history[-1]),
        stop=lambda: state.step == until,
    )
    run.write_checkpoint(capture(model, state))
    return state


def bits(model: VAE) -> dict[str, bytes]:
    return {name: tensor.numpy(force=True).tobytes() for name, tensor in model.state_dict().items()}


def without_speed(history: list[EpochMetrics]) -> list[EpochMetrics]:
    return [replace(m, images_per_second=0.0) for m in history]


def without_none(options: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(options).items() if value is not None}


def test_a_run_remembers_its_config_its_data_and_its_event(run: Run, config: Config):
    again = Run(run.path)
    assert again.config == config
    assert again.identity == load_data(config.data).identity
    assert again.event_shape == (1, 8, 8)


def test_config_toml_holds_every_option_that_is_set_and_the_versions(run: Run, config: Config):
    tables = tomllib.loads((run.path / "config.toml").read_text())
    assert tables["data"] == without_none(config.data) | {"unused": []}
    assert tables["model"] == without_none(config.model) | {"hidden": [5], "columns": []}
    assert tables["train"] == without_none(config.train)
    assert tables["identity"] == without_none(run.identity)
    environment = tables["environment"]
    assert environment["elboroom"] == version
    assert (environment["torch"], environment["numpy"]) == (torch.__version__, np.__version__)


def test_an_option_that_is_none_is_left_out_of_config_toml(run: Run, config: Config):
    assert config.objective.alpha is None
    assert "alpha" not in tomllib.loads((run.path / "config.toml").read_text())["objective"]
    assert Run(run.path).config.objective == config.objective


@pytest.mark.parametrize("option", ["binarisation", "latents", "epochs", "checkpoint_minutes"])
def test_an_option_that_was_deleted_from_config_toml_does_not_take_its_default(
    run: Run, option: str
):
    path = run.path / "config.toml"
    lines = path.read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(f"{option} = "))
    path.write_text(text)
    with pytest.raises(RunError) as error:
        Run(run.path)
    assert error.value.why.startswith(f"{option} is missing from ")
    path.write_text(text.replace(f'elboroom = "{version}"', 'elboroom = "0.1.0"'))
    if option != "binarisation":  # the identity of the data has one too
        assert Run(run.path).config.model.hidden == (5,)


def test_a_path_of_data_with_any_character_comes_back(tmp_path: Path, config: Config):
    odd = replace(config, data=replace(config.data, source='a "β"\\\n[x].npz'))
    data = load_data(config.data)
    assert Run.create(tmp_path / "odd", odd, data).config == odd


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_new_run_never_writes_over_something(tmp_path: Path, config: Config, what: str):
    path = tmp_path / "old"
    path.touch() if what == "file" else (path / "kept").mkdir(parents=True)
    with pytest.raises(RunError) as error:
        Run.create(path, config, load_data(config.data))
    assert str(error.value) == (
        f"{path} is in the way\n"
        "  why: a new run never writes over an old one\n"
        f"  fix: give another --out, or resume it with `elboroom train --resume {path}`"
    )


def test_a_new_run_may_take_an_empty_folder(tmp_path: Path, config: Config):
    (tmp_path / "empty").mkdir()
    assert Run.create(tmp_path / "empty", config, load_data(config.data)).config == config


def test_a_folder_that_another_process_makes_a_run_in_is_refused(tmp_path: Path, config: Config):
    make_folder(tmp_path / "run")
    with locked(tmp_path / "run"), pytest.raises(RunError, match="run is being trained"):
        Run.create(tmp_path / "run", config, load_data(config.data))


def test_of_two_that_make_the_same_run_at_once_the_second_finds_it_in_the_way(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
):
    def first(path: Path) -> AbstractContextManager[None]:
        (path / "config.toml").write_text("of the first")
        return locked(path)

    monkeypatch.setattr(lock_module, "locked", first)
    with pytest.raises(RunError, match="run is in the way"):
        Run.create(tmp_path / "run", config, load_data(config.data))
    assert (tmp_path / "run" / "config.toml").read_text() == "of the first"


def test_a_folder_within_a_file_cannot_be_made(tmp_path: Path, config: Config):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "run"
    with pytest.raises(RunError) as error:
        Run.create(path, config, load_data(config.data))
    assert str(error.value) == (
        f"{path} cannot be written\n"
        f"  why: its folder is gone: [Errno 20] Not a directory: '{path}'\n"
        "  fix: put the folder back, or write elsewhere"
    )


@pytest.mark.parametrize("kind", ["missing", "folder", "file"])
def test_what_has_no_config_is_not_a_run(tmp_path: Path, kind: str):
    path = tmp_path / "no"
    {"missing": lambda: None, "folder": path.mkdir, "file": path.touch}[kind]()
    with pytest.raises(RunError) as error:
        Run(path)
    assert str(error.value) == (
        f"{path} is not a run\n"
        "  why: it has no config.toml\n"
        "  fix: give the folder that `elboroom train` printed, such as runs/reference-…"
    )


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("[model]", "[model", "Expected ']' at the end of a table declaration"),
        ("[event]", "[elsewhere]", "'event'"),
        ("latents =", "depth = 2\nlatents =", "unknown option depth in a config: ModelConfig has"),
        ("epochs = 3", 'epochs = "3"', "epochs cannot be '3': it must be of type Union[int, "),
        (
            "epochs = 3",
            "epochs = 0",
            "--epochs 0 cannot be used: epochs must be auto, or 1 or more",
        ),
    ],
)
def test_a_broken_config_cannot_be_read(run: Run, old: str, new: str, why: str):
    path = run.path / "config.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(RunError) as error:
        Run(run.path)
    what, found, fix = str(error.value).split("\n")
    assert what == f"the config of {run.path} cannot be read"
    assert why in found
    restore = "restore config.toml from where the run was made, or use the version that wrote it"
    assert fix == f"  fix: {restore}"


def test_a_config_that_is_not_text_cannot_be_read(run: Run):
    (run.path / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RunError, match="cannot be read"):
        Run(run.path)


def test_metrics_come_back_in_order(run: Run):
    for epoch in (1, 2):
        run.metrics.record(metrics(epoch))
    assert run.metrics.history() == [metrics(1), metrics(2)]
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [asdict(metrics(1)), asdict(metrics(2))]


def test_a_run_without_an_epoch_has_no_metrics(run: Run):
    assert run.metrics.history() == []


@pytest.mark.parametrize("cut", [1, 30])
def test_a_line_of_metrics_that_a_crash_cut_short_is_dropped(run: Run, cut: int):
    for epoch in (1, 2):
        run.metrics.record(metrics(epoch))
    path = run.path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert run.metrics.history() == [metrics(1)]


def test_the_same_seed_gives_the_same_run(tmp_path: Path, run: Run, config: Config):
    other = Run.create(tmp_path / "other", config, load_data(config.data))
    states = [train_on(r, r.new_training(r.load_data())) for r in (run, other)]
    assert bits(run.load_model()) == bits(other.load_model())
    assert without_speed(states[0].history) == without_speed(states[1].history)


def test_another_seed_gives_another_run(tmp_path: Path, run: Run, config: Config):
    seeded = replace(config, train=replace(config.train, seed=5))
    other = Run.create(tmp_path / "other", seeded, load_data(config.data))
    for r in (run, other):
        train_on(r, r.new_training(r.load_data()))
    assert bits(run.load_model()) != bits(other.load_model())


def test_loading_a_run_gives_back_the_model_bit_for_bit(run: Run):
    model, state = run.new_training(run.load_data())
    before = bits(model)
    train_on(run, (model, state))
    assert bits(run.load_model()) == bits(model) != before


def test_a_loaded_model_is_in_evaluation_mode(run: Run):
    train_on(run, run.new_training(run.load_data()))
    assert not run.load_model().training


MODELS = {
    "mlp": ModelConfig(hidden=(5,)),
    "batch": ModelConfig(hidden=(5, 5), network="residual", normalisation="batch", data_bias=True),
    "mixture": ModelConfig(hidden=(5,), prior="mixture", components=4),
    "vamp": ModelConfig(hidden=(5,), prior="vamp", components=4),
    "flow": ModelConfig(hidden=(5,), prior="flow"),
}


@pytest.mark.parametrize("until", [1, 3, 4, 8])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_run_stopped_anywhere_goes_on_bit_for_bit(
    tmp_path: Path, config: Config, model: ModelConfig, until: int
):
    config = replace(config, model=model)
    run = Run.create(tmp_path / "run", config, load_data(config.data))
    through = Run.create(tmp_path / "through", config, load_data(config.data))
    train_on(through, through.new_training(through.load_data()))
    train_on(run, run.new_training(run.load_data()), until)
    state = train_on(run, run.load_training(run.load_data()))
    assert state.step == 9
    assert bits(run.load_model()) == bits(through.load_model())
    assert without_speed(run.metrics.history()) == without_speed(through.metrics.history())
    name = "checkpoints/step-000009/optimizer.safetensors"
    assert (run.path / name).read_bytes() == (through.path / name).read_bytes()


@pytest.mark.parametrize("prior", ["mixture", "vamp", "flow"])
def test_the_prior_is_trained_and_comes_back_with_the_run(
    tmp_path: Path, config: Config, prior: PriorName
):
    here = replace(config.train, device="cpu")
    config = replace(config, model=ModelConfig(hidden=(5,), prior=prior, components=4), train=here)
    run = Run.create(tmp_path / "run", config, load_data(config.data))
    model, state = run.new_training(run.load_data())
    before = bits(model)
    train_on(run, (model, state))
    own = [f"prior.{name}" for name, _ in model.prior.named_parameters()]
    after = bits(run.load_model())
    assert own
    assert all(after[name] != before[name] for name in own)
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(run.load_model().prior(5).log_prob(z), model.prior(5).log_prob(z))


def test_pseudo_inputs_start_as_training_images(config: Config):
    data = load_data(config.data)
    for components in (4, len(data.train) + 3):  # the same again where there are too few
        asked = replace(config, model=ModelConfig(prior="vamp", components=components))
        started = cast(VampPrior, new_model(asked, data).prior).pseudo_inputs
        apart = torch.cdist(started.flatten(1), data.train.x.flatten(1))
        assert (apart.min(1).values == 0).all()
        assert len(apart.argmin(1).unique()) > 1


def test_a_run_from_before_there_were_priors_loads(run: Run):
    train_on(run, run.new_training(run.load_data()))
    path = run.path / "config.toml"
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("prior =", "components ="))]
    assert len(kept) == len(lines) - 2
    path.write_text("".join(kept).replace(f'elboroom = "{version}"', 'elboroom = "0.1.0"'))
    assert bits(Run(run.path).load_model()) == bits(run.load_model())


def test_metrics_newer_than_the_checkpoint_are_dropped_on_resuming(run: Run):
    train_on(run, run.new_training(run.load_data()), until=4)
    run.metrics.record(metrics(2))
    _, state = run.load_training(run.load_data())
    assert [m.epoch for m in state.history] == [1]
    assert [m.epoch for m in run.metrics.history()] == [1]


@pytest.mark.parametrize(("kept", "lost"), [([2], "1"), ([1], "2"), ([], "1 to 2")])
def test_epochs_whose_metrics_were_lost_are_named_once_and_training_goes_on_bit_for_bit(
    tmp_path: Path, run: Run, config: Config, kept: list[int], lost: str
):
    through = Run.create(tmp_path / "through", config, load_data(config.data))
    train_on(through, through.new_training(through.load_data()))
    train_on(run, run.new_training(run.load_data()), until=7)
    path = run.path / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[epoch - 1] for epoch in kept))
    with pytest.warns(UserWarning, match="lost") as warned:
        training = run.load_training(run.load_data())
    assert [str(warning.message) for warning in warned] == [
        f"{path} has lost these epochs: {lost}. Steps do not depend on them, and training goes on; "
        "curves and --patience go without them."
    ]
    train_on(run, training)
    assert bits(run.load_model()) == bits(through.load_model())
    assert [m.epoch for m in run.metrics.history()] == [*kept, 3]


GARBLED: dict[str, Callable[[list[str]], str]] = {
    "a line": lambda lines: "x" + "".join(lines),
    "no JSON of metrics": lambda lines: "[]\n" + lines[1],
    "no text": lambda lines: "\x00" * 99 + "\n" + lines[1],
    "a line without end": lambda lines: "\x00" * (1 << 17) + "\n" + "".join(lines),
}


@pytest.mark.parametrize("kind", GARBLED)
def test_lines_of_metrics_that_cannot_be_read_are_lost_and_training_goes_on_bit_for_bit(
    tmp_path: Path, run: Run, config: Config, kind: str
):
    through = Run.create(tmp_path / "through", config, load_data(config.data))
    train_on(through, through.new_training(through.load_data()))
    train_on(run, run.new_training(run.load_data()), until=7)
    path = run.path / "metrics.jsonl"
    path.write_text(GARBLED[kind](path.read_text().splitlines(keepends=True)))
    with pytest.raises(RunError, match=r"metrics\.jsonl cannot be read"):
        run.metrics.history()
    lost, kept = ("1 to 2", []) if kind == "a line without end" else ("1", [2])
    with pytest.warns(UserWarning, match="lost") as warned:
        training = run.load_training(run.load_data())
    assert [str(warning.message) for warning in warned] == [
        f"{path} has lost these epochs: {lost}, since not all of its lines can be read. Steps do "
        "not depend on them, and training goes on; curves and --patience go without them."
    ]
    train_on(run, training)
    assert bits(run.load_model()) == bits(through.load_model())
    assert [m.epoch for m in run.metrics.history()] == [*kept, 3]


def test_a_run_stopped_before_its_first_checkpoint_starts_again_on_resuming(run: Run):
    run.metrics.record(metrics(1))
    with pytest.warns(UserWarning, match="starts from the beginning: .* has lines of 1 epoch"):
        model, state = run.load_training(run.load_data())
    assert (state.step, state.history, run.metrics.history()) == (0, [], [])
    assert bits(model) == bits(run.new_training(run.load_data())[0])


def test_a_corrupted_checkpoint_gives_the_model_before_it(run: Run):
    train_on(run, run.new_training(run.load_data()), until=2)
    before = bits(run.load_model())
    train_on(run, run.load_training(run.load_data()), until=5)
    assert bits(run.load_model()) != before
    path = run.path / "checkpoints" / "step-000005" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.warns(UserWarning, match="step-000002 .* is used"):
        assert bits(run.load_model()) == before


def test_resuming_from_nothing_but_corrupted_checkpoints_fails(run: Run):
    train_on(run, run.new_training(run.load_data()), until=2)
    shutil.rmtree(run.path / "checkpoints" / "step-000002")
    (run.path / "checkpoints" / "step-000002").mkdir()
    with pytest.raises(RunError, match=r"can be used\n  why: step-000002: .+\n  fix: train"):
        run.load_training(run.load_data())


def test_data_that_changed_since_training_is_refused(tmp_path: Path, config: Config):
    path = tmp_path / "my.npy"
    np.save(path, np.arange(320).reshape(20, 4, 4) % 2 == 0)
    mine = replace(config, data=replace(config.data, source=str(path)))
    data = load_data(mine.data)
    run = Run.create(tmp_path / "run", mine, data)
    np.save(path, np.arange(320).reshape(20, 4, 4) % 3 == 0)
    found: Identity = load_data(mine.data).identity
    with pytest.raises(IncomparableError) as error:
        run.load_data()
    assert str(error.value) == (
        f"the data of {run.path} has changed since it was trained\n"
        "  why: they are of different data "
        f"(sha256: {data.identity.sha256} against {found.sha256})\n"
        f"  fix: put back the data that it was trained on at {path}, or name where it is "
        "now with --data"
    )
