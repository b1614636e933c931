"""A run trained from Python, interrupted, resumed, prolonged, and used to begin another."""

import pkgutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom import (
    Config,
    DataConfig,
    ModelConfig,
    Run,
    TrainConfig,
    TrainState,
    load_data,
    resolve,
    train,
    train_run,
)
from elboroom.data import Dataset
from elboroom.errors import DataError, DataMovedError, IncomparableError, RunError, UsageError
from elboroom.runs.checkpoints import listing
from elboroom.training.interrupts import TrainingInterrupted
from elboroom.training.resolve import resolve_run
from tests.support.outcomes import last_checkpoint, metrics

QUICK = TrainConfig(epochs=3, batch_size=50, threads=1, device="cpu", precision="fp32")


@pytest.fixture(autouse=True)
def handler_of_python() -> Iterator[None]:
    """Handle SIGINT as Python does; a shell that starts tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def config(digits: Path) -> Config:
    data = DataConfig(source=str(digits), binarisation="threshold")
    return Config(data=data, model=ModelConfig(hidden=(8,)), train=QUICK)


def created(path: Path, config: Config) -> tuple[Run, Dataset]:
    data = load_data(config.data)
    return Run.create(path, config, data), data


def test_a_run_from_python_has_its_metrics_and_reopens(tmp_path: Path, config: Config):
    run, data = created(tmp_path / "run", config)
    model, state = train_run(run, data)
    again = Run(run.path)
    assert [row["epoch"] for row in metrics(again.path)] == [1, 2, 3]
    assert state.step == 3 * 6
    loaded = again.load_model().state_dict()
    assert all(torch.equal(loaded[n], t) for n, t in model.state_dict().items())


def press_ctrl_c_at(step: int):
    """Return a `stop`, which training calls before the first step and after each."""
    calls = 0

    def stop() -> bool:
        nonlocal calls
        if calls == step:
            signal.raise_signal(signal.SIGINT)
        calls += 1
        return False

    return stop


@pytest.mark.parametrize("step", [1, 6, 7, 17])
def test_ctrl_c_loses_nothing(tmp_path: Path, config: Config, step: int):
    whole, data = created(tmp_path / "whole", config)
    train_run(whole, data)
    run = created(tmp_path / "run", config)[0]
    with pytest.raises(TrainingInterrupted, match=f"after step {step}") as found:
        train_run(run, data, stop=press_ctrl_c_at(step))
    assert found.value.state.step == step
    assert listing.step_of(listing.newest_first(run.checkpoints)[0]) == step
    train_run(run)
    assert last_checkpoint(run.path) == last_checkpoint(whole.path)
    assert metrics(run.path) == metrics(whole.path)


@pytest.mark.filterwarnings("error")
def test_a_warning_that_is_an_error_loses_nothing(tmp_path: Path, config: Config):
    untrained = replace(config, train=replace(config.train, learning_rate=1e-9))
    run, data = created(tmp_path / "run", untrained)
    with pytest.raises(UserWarning, match="is below that of"):
        train_run(run, data)
    assert Run(run.path).load_model_and_step()[1] == 3 * 6


def test_the_state_of_an_interrupt_resumes_without_a_run(config: Config, tmp_path: Path):
    run, data = created(tmp_path / "run", config)
    model, whole = (run.new_training(data)[0] for _ in range(2))
    with pytest.raises(KeyboardInterrupt) as found:
        train(model, data, QUICK, stop=press_ctrl_c_at(8))
    assert isinstance(found.value, TrainingInterrupted)
    end = train(model, data, QUICK, state=found.value.state)
    assert end.step == train(whole, data, QUICK).step
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), whole.state_dict().values(), strict=True)
    )


def test_a_second_ctrl_c_ends_at_once_and_the_handler_comes_back(tmp_path: Path, config: Config):
    run, data = created(tmp_path / "run", config)
    model, _ = run.new_training(data)

    def press_twice(state: TrainState) -> None:
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second one raises")

    with pytest.raises(TrainingInterrupted, match="after step 1") as found:
        train(model, data, QUICK, on_step=press_twice)
    assert type(found.value.__cause__) is KeyboardInterrupt
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("cut_short", "at", "step"),
    [
        ("elboroom.training.optimisers.Adam.step", 10, 6),  # in the middle of the second epoch
        ("elboroom.training.trainer.held_out_elbo", 2, 6),  # after its last step
        ("elboroom.training.trainer.keep_best", 2, 6),
        ("elboroom.training.average.Average.exchange", 4, 6),  # back from the average
    ],
)
def test_a_step_that_is_cut_short_is_undone(
    cut_short: str,
    at: int,
    step: int,
    config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    options = replace(QUICK, compile="off", evaluate_every=1, ema=0.9)
    run, data = created(tmp_path / "run", config)
    model, whole = (run.new_training(data)[0] for _ in range(2))
    place, name = cut_short.rsplit(".", 1)
    owner = pkgutil.resolve_name(place)
    done, calls = getattr(owner, name), 0

    def interrupted(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            with torch.no_grad():
                next(iter(model.parameters())).add_(1.0)  # as if half of it was done
            raise KeyboardInterrupt
        return done(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, interrupted)
        with pytest.raises(TrainingInterrupted, match=f"after step {step}") as found:
            train(model, data, options)
    assert not model.training
    end = train(model, data, options, state=found.value.state)
    expected = train(whole, data, options)
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), whole.state_dict().values(), strict=True)
    )
    assert [replace(m, images_per_second=0.0) for m in end.history] == [
        replace(m, images_per_second=0.0) for m in expected.history
    ]


def test_a_handler_of_the_program_is_left_alone(tmp_path: Path, config: Config):
    run, data = created(tmp_path / "run", config)
    model, _ = run.new_training(data)
    pressed = list[int]()
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        train(model, data, QUICK, stop=press_ctrl_c_at(2))
    finally:
        signal.signal(signal.SIGINT, before)
    assert pressed == [signal.SIGINT]


def test_a_prolonged_run_is_the_longer_run_bit_for_bit(tmp_path: Path, config: Config):
    longer = replace(config, train=replace(QUICK, epochs=5, compile="off"))
    whole, data = created(tmp_path / "whole", longer)
    train_run(whole, data)
    run = created(tmp_path / "run", replace(longer, train=replace(longer.train, epochs=3)))[0]
    train_run(run, data)
    run.extend(5)
    assert Run(run.path).config == longer
    train_run(Run(run.path), data)
    assert (
        last_checkpoint(run.path)["model.safetensors"]
        == (last_checkpoint(whole.path)["model.safetensors"])
    )


def test_fewer_epochs_are_refused(tmp_path: Path, config: Config):
    run, _ = created(tmp_path / "run", config)
    with pytest.raises(UsageError, match="--epochs 2 cannot be used"):
        run.extend(2)


def test_a_schedule_that_ends_is_reported(tmp_path: Path, config: Config):
    cosine = replace(config, train=replace(QUICK, schedule="cosine"))
    run, _ = created(tmp_path / "run", cosine)
    with pytest.warns(UserWarning, match=r"after epoch 3 the learning rate is 0\.0005, and was 0"):
        run.extend(6)


def test_images_that_are_moved_again_are_reported(tmp_path: Path, config: Config):
    moved = replace(config, train=replace(QUICK, shift=1, augment_until=0.5))
    run, _ = created(tmp_path / "run", moved)
    with pytest.warns(UserWarning, match=r"moved again until epoch 4, the share 0\.5 of all 8"):
        run.extend(8)


def test_a_run_begins_with_the_weights_of_another(tmp_path: Path, config: Config):
    first, data = created(tmp_path / "first", config)
    model, _ = train_run(first, data)
    second = replace(config, init_from=str(first.path), train=replace(QUICK, seed=1))
    run, _ = created(tmp_path / "second", second)
    started, state = run.new_training(data)
    assert state.step == 0
    assert all(
        torch.equal(a, b)
        for a, b in zip(started.state_dict().values(), model.state_dict().values(), strict=True)
    )
    assert Run(run.path).config.init_from == str(first.path)


def test_data_that_the_weights_of_another_run_cannot_take_name_that_run(
    tmp_path: Path, config: Config
):
    started = replace(config, init_from="first")
    data = Dataset.from_arrays(np.random.default_rng(0).normal(size=(40, 6)))
    with pytest.raises(DataError, match="values like those of first, whose weights") as refused:
        Run.create(tmp_path / "run", started, data)
    assert "--likelihood" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden": (9,)}, r"hidden \(8,\); expected \(9,\)"),
        ({"latents": 3}, "latents 2; expected 3"),
    ],
)
def test_weights_of_another_model_are_refused(
    tmp_path: Path, config: Config, change: dict, said: str
):
    first, data = created(tmp_path / "first", config)
    train_run(first, data)
    model = replace(config.model, **change)
    run, _ = created(tmp_path / "run", replace(config, model=model, init_from=str(first.path)))
    with pytest.raises(RunError, match=said):
        run.new_training(data)


@pytest.mark.parametrize("begin", [train_run, Run.new_training, Run.load_training])
def test_other_data_than_the_run_s_are_refused(
    tmp_path: Path, config: Config, begin: Callable[[Run, Dataset], object]
):
    run, data = created(tmp_path / "run", config)
    other = replace(data, identity=replace(data.identity, sha256="0" * 64))
    with pytest.raises(IncomparableError):
        begin(run, other)


@pytest.mark.parametrize(
    ("call", "found", "fix"),
    [
        (lambda r, d: Run.create(r.path, r.config.train, d), "a TrainConfig", "Config(train="),
        (lambda r, d: Run.create(r.path, Config, d), "the class Config", "Config(…)"),
        (lambda r, d: Run.create(r.path, r.config, d.train.x), "a Tensor", "Dataset.from_arrays"),
        (lambda r, d: Run.create(r.path, r.config, d, network="a:b"), "a str", "a function"),
        (lambda r, d: Run.create(None, r.config, d), "a NoneType", "the folder of the run"),
        (lambda r, d: Run(7), "a int", "the folder of the run"),
        (lambda r, d: r.new_training(d.train), "a Part", "the Dataset that the part is of"),
        (lambda r, d: r.load_training(r.config.data), "a DataConfig", "load_data(config)"),
        (lambda r, d: train_run(r.path, d), "Path", "Run(path)"),
        (lambda r, d: train_run(r, r.identity.source), "a str", "load_data("),
        (lambda r, d: train_run(r, d, on_epoch=[].clear()), "a NoneType", "a function"),
        (lambda r, d: r.extend("9"), "epochs cannot be '9'", "of that type"),
        (lambda r, d: r.extend(9.0), "epochs cannot be 9.0", "of that type"),
        (lambda r, d: resolve(r.config.model, d), "a ModelConfig", "Config(model="),
        (lambda r, d: resolve(r.config, [d]), "a list", "Dataset.from_arrays"),
    ],
)
def test_an_argument_of_another_type_is_named_with_the_fix(
    tmp_path: Path, config: Config, call: Callable[..., object], found: str, fix: str
):
    run, data = created(tmp_path / "run", config)
    with pytest.raises(UsageError) as error:
        call(run, data)
    assert found in f"{error.value.what}: {error.value.why}"
    assert fix in error.value.fix
    assert Run(run.path).config == run.config == config


def test_a_run_goes_on_from_the_model_that_its_options_were_resolved_with(
    tmp_path: Path, config: Config
):
    data = load_data(config.data)
    found = resolve_run(config, data)
    run = Run.create(tmp_path / "run", found.config, data)
    (started, state), (made, _) = run.start(found.model), run.new_training(data)
    assert state.step == 0
    for name, tensor in made.state_dict().items():
        assert torch.equal(tensor, started.state_dict()[name]), name


def test_a_vamp_prior_on_real_values_reopens(tmp_path: Path):
    x = np.random.default_rng(0).normal(size=(60, 3)) * [1.0, 1e3, 1e-3] + 5
    data = Dataset.from_arrays(x)
    model = ModelConfig(hidden=(4,), prior="vamp", components=4, likelihood="gaussian")
    run = Run.create(tmp_path / "run", Config(model=model, train=QUICK), data)
    trained, _ = train_run(run, data)
    loaded = Run(run.path).load_model().state_dict()
    assert all(torch.equal(loaded[n], t) for n, t in trained.state_dict().items())


def test_arrays_in_memory_must_be_passed_again(tmp_path: Path):
    data = Dataset.from_arrays(np.random.default_rng(0).normal(size=(60, 3)))
    model = ModelConfig(hidden=(4,), likelihood="gaussian")
    run = Run.create(tmp_path / "run", Config(model=model, train=QUICK), data)
    train_run(run, data)
    with pytest.raises(DataMovedError, match="were arrays in memory"):
        train_run(run)
