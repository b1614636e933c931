"""The command line: exit codes, what it prints, and what it says when something is wrong."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import Command, Outcome
from elboroom import PRESETS, Run, TrainConfig, cli, commands
from elboroom import __version__ as version
from elboroom.config import (
    CompleteConfig,
    Config,
    DataConfig,
    EvaluateConfig,
    FiguresConfig,
    ModelConfig,
)

COMMANDS = ["train", "evaluate", "figures", "complete", "report", "version"]
OPTIONS: dict[str, list[Any]] = {
    "train": [DataConfig, ModelConfig, TrainConfig, cli.Start, cli.Command],
    "evaluate": [EvaluateConfig, cli.Command],
    "figures": [FiguresConfig, cli.Command],
    "complete": [CompleteConfig, cli.Command],
    "report": [cli.Command],
    "version": [cli.Command],
}


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained run, to be changed."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def error(outcome: Outcome, code: int) -> list[str]:
    """The what, why and fix of a refusal with exit code `code`, which printed nothing else."""
    assert (outcome.code, outcome.out) == (code, "")
    what, why, fix = outcome.err.removesuffix("\n").split("\n")
    assert what.startswith("error: ")
    assert why.startswith("  why: ")
    assert fix.startswith("  fix: ")
    return [what[7:], why[7:], fix[7:]]


def metrics(run: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without its timing."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(x).items() if k != "images_per_second"} for x in lines]


def last_checkpoint(run: Path) -> dict[str, bytes]:
    newest = max((run / "checkpoints").iterdir())
    return {path.name: path.read_bytes() for path in newest.iterdir()}


# Help


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_of_every_command(elboroom: Command, command: str):
    outcome = elboroom(command, "--help")
    assert outcome.code == 0
    assert re.search(rf"^Example: elboroom {command}\b", outcome.out, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_type_meaning_and_default_of_every_option(elboroom: Command, command: str):
    text = re.sub(r"[│╭╰─╮╯]", " ", elboroom(command, "--help").out)
    blocks = re.split(r"^ +(?=-h|--[a-z])", text, flags=re.MULTILINE)[1:]
    options = {block.split()[0]: " ".join(block.split()) for block in blocks}
    expected = {
        "--" + ("data" if name == "source" else name.replace("_", "-"))
        for kind in OPTIONS[command]
        for name in kind.__dataclass_fields__
    }
    assert expected <= options.keys()
    for name in options.keys() - {"-h,"}:
        flag = name in ("--debug", "--quiet", "--json")
        kind = r"" if flag else r" (INT|FLOAT|STR|PATH|\{.+?\}|\[.+\])\S*"
        meaning = r" [A-Za-z`].{5,}\((default: .*|required)\).*"
        assert re.fullmatch(name + kind + meaning, options[name]), options[name]


def test_help_of_the_whole_lists_every_command_and_exit_code(elboroom: Command):
    outcome = elboroom("--help")
    assert outcome.code == 0
    assert "Example: elboroom train" in outcome.out
    assert "Exit codes: 0 done, 1 the run failed, 2 wrong usage, 130 interrupted." in outcome.out
    for command in COMMANDS:
        assert re.search(rf"• {command} +[A-Z]", outcome.out)


@pytest.mark.parametrize("preset", PRESETS)
def test_help_shows_the_defaults_of_the_preset(elboroom: Command, preset: str):
    text = " ".join(
        re.sub(r"[│─]", " ", elboroom("train", "--preset", preset, "--help").out).split()
    )
    hidden = " ".join(map(str, PRESETS[preset].model.hidden))
    assert f"(default: {hidden})" in text
    assert f"Images a step. (default: {PRESETS[preset].train.batch_size})" in text


def test_a_reader_that_leaves_is_not_an_error():
    line = f"{sys.executable} -m elboroom train --help | head -1"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout == "usage: elboroom train [-h] [TRAIN OPTIONS]\n"
    assert done.stderr == ""


def test_version_prints_the_version(shell: Command):
    assert shell("version") == (0, f"elboroom {version}\n", "")


# Options and presets


def given_config(monkeypatch: pytest.MonkeyPatch, elboroom: Command, *arguments: str) -> Config:
    """The config that `elboroom train` is called with."""
    seen: list[Config] = []
    monkeypatch.setattr(commands, "train", lambda config, preset, **_: seen.append(config) or True)
    assert elboroom("train", *arguments).code == 0
    return seen[0]


def test_training_starts_from_the_reference_preset(monkeypatch: Any, elboroom: Command):
    assert given_config(monkeypatch, elboroom) == PRESETS["reference"]


def test_training_starts_from_the_named_preset(monkeypatch: Any, elboroom: Command):
    assert given_config(monkeypatch, elboroom, "--preset", "mnist") == PRESETS["mnist"]


def test_other_options_go_before_the_preset(monkeypatch: Any, elboroom: Command):
    config = given_config(
        monkeypatch, elboroom, "--epochs", "3", "--preset", "mnist", "--hidden", "5", "6", "7"
    )
    mnist = PRESETS["mnist"]
    assert config.train == TrainConfig(epochs=3, batch_size=100)
    assert config.model == ModelConfig(latents=50, hidden=(5, 6, 7))
    assert config.data == mnist.data


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--preset", "nope"], "invalid choice 'nope' for argument '--preset'"),
        (["train", "--binarisation", "grey"], "invalid choice 'grey' for argument"),
        (
            ["train", "--epochs", "many"],
            "Error parsing --epochs: invalid literal for int()",
        ),
        (["train", "--epoch", "3"], "--epochs"),
        (["evaluate"], "RUN"),
        (["complete", "run"], "--mask"),
        (["trian"], "trian"),
        ([], "Expected one of {train, evaluate, figures, complete, report, version}"),
    ],
)
def test_wrong_usage_exits_2_and_names_what_is_wrong(
    elboroom: Command, arguments: list[str], said: str
):
    outcome = elboroom(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("arguments", "option", "expected"),
    [
        (["train", "--epochs", "0"], "--epochs 0", "epochs must be 1 or more"),
        (["train", "--seed", "-1"], "--seed -1", "seed must be in [0, 2^63)"),
        (["evaluate", "run", "--k", "0"], "--k 0", "k must be 1 or more"),
        (["evaluate", "run", "--seed", "-1"], "--seed -1", "seed must be in [0, 2^63)"),
        (
            ["complete", "run", "--mask", "top", "--draws", "0"],
            "--draws 0",
            "draws must be 1 or more",
        ),
    ],
)
def test_an_option_out_of_range_exits_2(
    elboroom: Command, arguments: list[str], option: str, expected: str
):
    assert error(elboroom(*arguments), 2) == [
        f"{option} cannot be used",
        expected,
        "change that value; the --help of the command lists its options",
    ]


# Training


def test_training_without_a_terminal_prints_plain_lines(
    shell: Command, small: list[str], tmp_path: Path
):
    outcome = shell("train", *small, "--out", tmp_path / "r[b]:x:")
    assert (outcome.code, outcome.out) == (0, "")
    first, second, trained, following = outcome.err.splitlines()
    number = r"-?[\d,]+\.\d\d"
    terms = rf"ELBO {number}  reconstruction {number}  KL {number}  [\d,]+ images/s"
    assert re.fullmatch(rf"epoch 1/2  {terms}", first)
    assert re.fullmatch(rf"epoch 2/2  {terms}  test ELBO {number}", second)
    path = re.escape(f"{tmp_path}/r[b]:x:")
    assert re.fullmatch(
        rf"trained: test ELBO {number} nats per image; the run is in {path}", trained
    )
    assert following == f"next: elboroom report {tmp_path}/r[b]:x:"


def test_quiet_training_prints_nothing(elboroom: Command, small: list[str], tmp_path: Path):
    assert elboroom("train", *small, "--quiet", "--out", tmp_path / "run") == (0, "", "")
    assert len(metrics(tmp_path / "run")) == 2


def test_without_out_the_run_is_named_by_its_preset(
    elboroom: Command, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert elboroom("train", *small, "--quiet").code == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"reference-\d{8}-\d{6}", run.name)


def test_the_same_command_gives_the_same_model(
    elboroom: Command, trained: Path, small: list[str], tmp_path: Path
):
    assert elboroom("train", *small, "--quiet", "--out", tmp_path / "run").code == 0
    assert last_checkpoint(tmp_path / "run") == last_checkpoint(trained)
    assert metrics(tmp_path / "run") == metrics(trained)


def test_a_run_that_ends_before_its_warmup_warns(shell: Command, small: list[str], tmp_path: Path):
    outcome = shell("train", *small, "--warmup", "8", "--quiet", "--out", tmp_path / "run")
    assert outcome == (
        0,
        "",
        "warning: training ends at β = 0.25, before the warm-up does: what it maximises is not "
        "the ELBO. Use --warmup 2 or less, or more --epochs.\n",
    )


def test_a_warmup_that_ends_with_the_run_does_not_warn(
    elboroom: Command, small: list[str], tmp_path: Path
):
    outcome = elboroom("train", *small, "--warmup", "2", "--quiet", "--out", tmp_path / "run")
    assert outcome == (0, "", "")


def refused(elboroom: Command, tmp_path: Path, *arguments: object, code: int = 2) -> list[str]:
    """Why training is refused, after which there is no run folder."""
    found = error(elboroom("train", *arguments, "--out", tmp_path / "run"), code)
    assert not (tmp_path / "run").exists()
    return found


def saved(tmp_path: Path, array: Any) -> Path:
    np.save(tmp_path / "my.npy", np.asarray(array))
    return tmp_path / "my.npy"


def test_data_that_is_missing_is_refused(elboroom: Command, tmp_path: Path):
    path = tmp_path / "no.npz"
    assert refused(elboroom, tmp_path, "--data", path) == [
        f"cannot read {path} as data",
        f"[Errno 2] No such file or directory: '{path}'",
        "give `mnist`, or a .npy or .npz file written by numpy.save or numpy.savez",
    ]


def test_data_with_nan_is_refused(elboroom: Command, tmp_path: Path):
    path = saved(tmp_path, [[0.5, np.nan]] * 4)
    assert refused(elboroom, tmp_path, "--data", path) == [
        f"the values in {path} cannot be used",
        "expected uint8 in 0…255, booleans, or numbers in [0, 1]; "
        "found that 4 of them are NaN or infinite",
        "remove or impute them",
    ]


def test_data_out_of_range_is_refused(elboroom: Command, tmp_path: Path):
    path = saved(tmp_path, [[0.0, 255.0]])
    assert refused(elboroom, tmp_path, "--data", path) == [
        f"the values in {path} cannot be used",
        "expected uint8 in 0…255, booleans, or numbers in [0, 1]; "
        "found that they run from 0 to 255 with type float64",
        "divide by the largest possible value, or save grey levels as uint8",
    ]


def test_grey_data_without_binarisation_is_refused(elboroom: Command, tmp_path: Path, digits: Path):
    options = ["--data", digits, "--split", "standard", "--binarisation", "none"]
    what, why, fix = refused(elboroom, tmp_path, *options)
    assert what == "digits.npz is not binary"
    assert why.startswith("the Bernoulli likelihood expects every value to be 0 or 1, found 17,280")
    assert fix == "choose --binarisation threshold, dynamic or static"


def test_data_too_small_for_the_reference_split_is_refused(
    elboroom: Command, tmp_path: Path, digits: Path
):
    assert refused(elboroom, tmp_path, "--data", digits, "--split", "reference") == [
        "this data is too small for the reference split",
        "the split needs 20,000 training rows, there are 300",
        "use --split standard",
    ]


def test_validation_that_leaves_nothing_is_refused(
    elboroom: Command, tmp_path: Path, small: list[str]
):
    assert refused(elboroom, tmp_path, *small, "--validation", 270) == [
        "--validation 270 leaves nothing to train on",
        "the training part has 270 images",
        "take fewer than 270",
    ]


def test_a_device_that_is_missing_is_refused_before_a_run_is_made(
    elboroom: Command, tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert refused(elboroom, tmp_path, *small, "--device", "cuda") == [
        "--device cuda is not available",
        f"this installation of PyTorch {torch.__version__} finds no cuda device",
        "use --device auto, or install a build of PyTorch for it",
    ]


def test_a_run_in_the_way_is_kept(elboroom: Command, run: Path, small: list[str]):
    before = last_checkpoint(run)
    assert error(elboroom("train", *small, "--out", run), 1) == [
        f"{run} is in the way",
        "a new run never writes over an old one",
        f"give another --out, or go on with `elboroom train --resume {run}`",
    ]
    assert last_checkpoint(run) == before


def test_an_out_within_a_file_is_refused(elboroom: Command, tmp_path: Path, small: list[str]):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "run"
    assert error(elboroom("train", *small, "--out", path), 1) == [
        f"the run folder {path} cannot be made",
        f"[Errno 20] Not a directory: '{path}'",
        "give an --out where you may write",
    ]


def test_an_out_that_may_not_be_written_is_refused(
    elboroom: Command, tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch
):
    def forbid(path: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", forbid)  # the tests may run as root, who may write anywhere
    assert refused(elboroom, tmp_path, *small, code=1) == [
        f"the run folder {tmp_path / 'run'} cannot be made",
        f"[Errno 13] Permission denied: '{tmp_path / 'run'}'",
        "give an --out where you may write",
    ]


def test_an_elbo_that_is_not_finite_fails_the_run(
    elboroom: Command, tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch
):
    from elboroom.posteriors import DiagonalGaussian

    monkeypatch.setattr(
        DiagonalGaussian, "kl_to_prior", lambda q: torch.inf * q.mean.square().sum(-1)
    )
    what, why, fix = error(elboroom("train", *small, "--out", tmp_path / "run"), 1)
    assert what == "the ELBO of epoch 1 is not finite"
    assert re.fullmatch(r"its reconstruction term is .+, its KL (inf|nan)", why)
    assert fix == "lower --learning-rate, or give the KL a --warmup of a few epochs"


# Ctrl-C and going on


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of a training that takes seconds: 12 epochs of 180 steps."""
    path = tmp_path_factory.mktemp("data") / "many.npy"
    np.save(path, np.random.default_rng(0).random((2_000, 8, 8), dtype=np.float32))
    data = ["--data", str(path), "--split", "standard", "--binarisation", "dynamic"]
    model = ["--hidden", "16", "--batch-size", "10", "--warmup", "4", "--schedule", "cosine"]
    return [*data, *model, "--epochs", "12", "--evaluate-every", "5", "--threads", "1"]


def test_ctrl_c_keeps_the_run_and_going_on_is_as_if_it_had_never_stopped(
    elboroom: Command, many: list[str], tmp_path: Path
):
    run, through = tmp_path / "run", tmp_path / "through"
    line = [sys.executable, "-m", "elboroom", "train", *many, "--out", str(run)]
    with subprocess.Popen(
        line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("epoch 2/12"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    stopped, following = err.splitlines()[-2:]
    step = int(json.loads(last_checkpoint(run)["manifest.json"])["step"])
    assert stopped == f"stopped at step {step:,}; the run is kept in {run}"
    assert following == f"go on with: elboroom train --resume {run}"
    assert 2 * 180 <= step < 12 * 180
    assert "Traceback" not in err

    outcome = elboroom("train", *following.split()[5:])
    assert (outcome.code, outcome.out) == (0, "")
    assert elboroom("train", *many, "--quiet", "--out", through).code == 0
    assert last_checkpoint(run) == last_checkpoint(through)
    assert metrics(run) == metrics(through)
    assert len(metrics(run)) == 12


def pressing(times: int) -> Any:
    """Training in whose first epoch somebody presses Ctrl-C."""
    train = commands.train_model

    def pressed(*arguments: Any, stop: Any, **options: Any) -> Any:
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
        return train(*arguments, stop=stop, **options)

    return pressed


def test_ctrl_c_before_the_first_step_keeps_the_run_too(
    elboroom: Command, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(commands, "train_model", pressing(1))
        outcome = elboroom("train", *small, "--out", tmp_path / "run")
    assert outcome.code == 130
    assert outcome.err == (
        f"stopped at step 0; the run is kept in {tmp_path}/run\n"
        f"go on with: elboroom train --resume {tmp_path}/run\n"
    )
    assert elboroom("train", "--resume", tmp_path / "run", "--quiet") == (0, "", "")


def test_a_second_ctrl_c_ends_at_once(
    elboroom: Command, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(commands, "train_model", pressing(2))
    outcome = elboroom("train", *small, "--out", tmp_path / "run")
    assert outcome == (130, "", "error: interrupted\n")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_run_without_a_checkpoint_can_be_gone_on_with(
    elboroom: Command, trained: Path, run: Path
):
    shutil.rmtree(run / "checkpoints")
    assert elboroom("train", "--resume", run, "--quiet") == (0, "", "")
    assert last_checkpoint(run) == last_checkpoint(trained)
    assert metrics(run) == metrics(trained)


def test_going_on_with_a_finished_run_changes_nothing(elboroom: Command, trained: Path, run: Path):
    outcome = elboroom("train", "--resume", run)
    assert outcome.code == 0
    assert outcome.err.startswith("trained: test ELBO ")
    assert last_checkpoint(run) == last_checkpoint(trained)
    assert metrics(run) == metrics(trained)


@pytest.mark.parametrize(
    "other", [["--epochs", "9"], ["--preset", "mnist"], ["--out", "elsewhere"], ["--seed", "1"]]
)
def test_a_resumed_run_takes_no_other_options(elboroom: Command, run: Path, other: list[str]):
    assert error(elboroom("train", "--resume", run, *other), 2) == [
        "--resume takes no other options of the run",
        "a resumed run goes on as if it had never stopped, with the options it began with",
        f"use `elboroom train --resume {run}` alone, or train a new run",
    ]


def test_options_that_the_run_has_anyway_may_be_given(elboroom: Command, run: Path):
    assert elboroom("train", "--resume", run, "--epochs", 2, "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    "command",
    [["train", "--resume"], ["evaluate"], ["figures"], ["report"], ["complete", "--mask=top"]],
)
def test_what_is_not_a_run_is_refused(elboroom: Command, tmp_path: Path, command: list[str]):
    assert error(elboroom(*command, tmp_path), 1) == [
        f"{tmp_path} is not a run",
        "it has no config.toml",
        "give the folder that `elboroom train` printed, such as runs/reference-…",
    ]


def corrupt(run: Path, step: str) -> None:
    path = run / "checkpoints" / step / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_corrupted_checkpoint_is_replaced_by_the_one_before_it(
    elboroom: Command, trained: Path, run: Path
):
    model, state = Run(run).load_training()
    older = json.loads(last_checkpoint(run)["manifest.json"])["step"]
    state.step = older + 1
    Run(run).save(model, state)
    corrupt(run, f"step-{older + 1:06d}")
    assert elboroom("evaluate", run).code == 0
    assert elboroom("train", "--resume", run, "--quiet").code == 0
    corrupt(run, f"step-{older:06d}")
    assert error(elboroom("evaluate", run), 1) == [
        f"no checkpoint of {run} can be used",
        f"step-{older + 1:06d}: model.safetensors does not match its manifest; "
        f"step-{older:06d}: model.safetensors does not match its manifest",
        "train the run again",
    ]


# Evaluating


def test_evaluation_prints_a_table_and_stores_it(elboroom: Command, run: Path):
    outcome = elboroom("evaluate", run, "--k", 3)
    assert (outcome.code, outcome.err) == (0, "")
    title = "digits.npz, threshold binarisation, standard split, 30 test images, K = 3"
    assert outcome.out.splitlines()[0].strip() == title
    stored = json.loads((run / "evaluation.json").read_text())
    for name, quantity in [("elbo", "ELBO"), ("iwae", "IWAE bound, K = 3")]:
        estimate = stored["estimates"][name]
        cell = f"{estimate['mean']:.2f} ± {estimate['standard_error']:.2f}"
        assert re.search(rf"│ {re.escape(quantity)} +│ +{re.escape(cell)} │", outcome.out)


def test_evaluation_as_json_is_what_is_stored(elboroom: Command, run: Path):
    outcome = elboroom("evaluate", run, "--json")
    printed = json.loads(outcome.out)
    assert printed == json.loads((run / "evaluation.json").read_text())
    assert printed["identity"]["binarisation"] == "threshold"
    assert printed["identity"]["split"] == "standard"
    assert (printed["k"], printed["images"], printed["unit"]) == (20, 30, "nats per image")


def test_a_run_does_not_differ_from_itself(
    elboroom: Command, run: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(run.parent)
    other = shutil.copytree(trained, Path("[b]:x:"))  # neither markup nor emoji
    outcome = elboroom("evaluate", run.name, "--json", "--compare", other)
    zero = {"mean": 0.0, "standard_error": 0.0}
    assert json.loads(outcome.out)["differences"] == {
        str(other): dict.fromkeys(["elbo", "reconstruction", "kl", "iwae"], zero)
    }
    header = elboroom("evaluate", run.name, "--compare", other).out.splitlines()[2]
    assert header.split() == ["┃", "quantity", "┃", "run", "┃", "−", "[b]:x:", "┃"]


def test_runs_on_unlike_data_are_not_compared(
    elboroom: Command, run: Path, small: list[str], tmp_path: Path
):
    other = tmp_path / "other"
    options = [*small, "--binarisation", "static", "--epochs", "1", "--quiet"]
    assert elboroom("train", *options, "--out", other).code == 0
    assert error(elboroom("evaluate", run, "--compare", other), 2) == [
        "these results cannot be compared",
        "they speak of different data (binarisation: threshold against static)",
        "evaluate runs that share data, binarisation and split",
    ]


# Figures, completion, report


def test_only_the_named_figures_are_drawn(elboroom: Command, run: Path):
    outcome = elboroom("figures", run, "--only", "samples", "curves")
    assert outcome == (
        0,
        f"{run}/figures/samples.png and .svg\n{run}/figures/curves.png and .svg\n",
        "",
    )
    names = sorted(path.name for path in (run / "figures").iterdir())
    assert names == ["curves.png", "curves.svg", "samples.png", "samples.svg"]


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory, shell: Command, small: list[str]) -> Path:
    """A run with three latents."""
    path = tmp_path_factory.mktemp("runs") / "deep"
    options = [*small, "--latents", "3", "--epochs", "1", "--quiet"]
    assert shell("train", *options, "--out", path) == (0, "", "")
    return path


@pytest.mark.parametrize("name", ["contours", "manifold"])
def test_a_figure_of_the_plane_needs_two_latents(elboroom: Command, deep: Path, name: str):
    assert error(elboroom("figures", deep, "--only", name), 2) == [
        f"the {name} figure needs a two-dimensional latent space",
        "this model has 3 latents",
        "train with --latents 2, or draw other figures with --only",
    ]


def test_figures_that_cannot_be_drawn_are_left_out_where_all_are_asked_for(
    elboroom: Command, deep: Path
):
    outcome = elboroom("figures", deep)
    assert (outcome.code, outcome.err) == (0, "")
    left_out = [x for x in outcome.out.splitlines() if x.startswith("left out: ")]
    assert left_out == [
        f"left out: the {name} figure needs a two-dimensional latent space"
        for name in ("contours", "manifold")
    ]
    drawn = {path.stem for path in (deep / "figures").glob("*.png")}
    assert drawn == {"samples", "latent", "interpolation", "completion", "curves"}


def test_a_pair_with_a_class_that_is_absent_is_refused(elboroom: Command, run: Path):
    outcome = elboroom("figures", run, "--only", "interpolation", "--pairs", "1-2", "3-11")
    assert error(outcome, 2) == [
        "no test image has class 11",
        "the classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "name other --pairs",
    ]


@pytest.mark.parametrize("pair", ["1", "1:2", "a-b", "1-"])
def test_a_pair_that_is_none_is_refused(elboroom: Command, run: Path, pair: str):
    outcome = elboroom("figures", run, "--only", "interpolation", "--pairs", pair)
    assert error(outcome, 2) == [
        f"--pairs {pair} is not a pair of classes",
        "a pair is written as two class numbers with a hyphen between",
        "write it as in --pairs 1-2 3-8",
    ]


def test_completion_prints_the_elbo_of_every_row_and_draws_it(elboroom: Command, run: Path):
    outcome = elboroom("complete", run, "--mask", "left", "--index", 29, 0)
    assert (outcome.code, outcome.err) == (0, "")
    first, second, drawn = outcome.out.splitlines()
    assert re.fullmatch(r"test image 29: ELBO of the seen part -\d+\.\d\d nats", first)
    assert re.fullmatch(r"test image 0: ELBO of the seen part -\d+\.\d\d nats", second)
    assert drawn == f"{run}/figures/complete-left.png and .svg"
    assert (run / "figures" / "complete-left.png").exists()


def test_a_picture_can_be_completed_under_a_mask_from_a_file(
    elboroom: Command, run: Path, tmp_path: Path
):
    Image.fromarray(np.full((8, 8), 200, np.uint8)).save(tmp_path / "x.png")
    np.save(tmp_path / "m.npy", np.eye(8, dtype=bool))
    outcome = elboroom("complete", run, "--mask", tmp_path / "m.npy", "--image", tmp_path / "x.png")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("x.png: ELBO of the seen part -")
    assert (run / "figures" / "complete-m.svg").exists()


@pytest.mark.parametrize(("index", "named"), [([30], 30), ([0, -1], -1)])
def test_an_index_out_of_range_is_refused(
    elboroom: Command, run: Path, index: list[int], named: int
):
    assert error(elboroom("complete", run, "--mask", "top", "--index", *index), 2) == [
        f"--index {named} is not a row of the test part",
        "the test part has rows 0 to 29",
        "name rows within it",
    ]


def test_a_picture_of_another_size_is_refused(elboroom: Command, run: Path, tmp_path: Path):
    path = tmp_path / "x.png"
    Image.new("L", (28, 27)).save(path)
    assert error(elboroom("complete", run, "--mask", "top", "--image", path), 2) == [
        f"{path} has the wrong size",
        "the model's images are 8 × 8 pixels, this one is 28 × 27",
        "resize it first",
    ]


def test_a_mask_of_another_shape_is_refused(elboroom: Command, run: Path, tmp_path: Path):
    path = tmp_path / "m.npy"
    np.save(path, np.ones((28, 28), bool))
    assert error(elboroom("complete", run, "--mask", path), 2) == [
        f"{path} is not a mask of this data",
        "expected booleans of shape (1, 8, 8), found bool (28, 28)",
        "save a boolean array of shape (1, 8, 8), True where a pixel is seen",
    ]


def test_a_mask_that_is_no_file_is_refused(elboroom: Command, run: Path):
    assert error(elboroom("complete", run, "--mask", "middle"), 2) == [
        "cannot read the mask middle",
        "[Errno 2] No such file or directory: 'middle'",
        "give one of top, bottom, left, right, a boolean .npy file, or a .png",
    ]


def test_a_report_evaluates_and_draws_what_is_missing(elboroom: Command, run: Path):
    outcome = elboroom("report", run)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == f"open {run}/report.html"
    html = (run / "report.html").read_text()
    assert html.count("<figure ") == 7
    stored = json.loads((run / "evaluation.json").read_text())
    assert f"{stored['estimates']['elbo']['mean']:.2f} ± " in html


# Errors that nobody foresaw


def break_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> int:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(cli.Version, "run", fail)


def test_an_error_that_nobody_foresaw_has_no_traceback(
    elboroom: Command, monkeypatch: pytest.MonkeyPatch
):
    break_version(monkeypatch)
    assert elboroom("version") == (
        1,
        "",
        "error: ZeroDivisionError: by nothing\n  fix: run it again with --debug to see where\n",
    )


def test_debug_shows_the_traceback(elboroom: Command, monkeypatch: pytest.MonkeyPatch):
    break_version(monkeypatch)
    outcome = elboroom("version", "--debug")
    assert outcome.code == 1
    assert outcome.err.startswith("Traceback (most recent call last):\n")
    assert "in fail\n" in outcome.err


def test_debug_shows_the_traceback_of_a_refusal_too(elboroom: Command, tmp_path: Path):
    outcome = elboroom("evaluate", tmp_path, "--debug")
    assert outcome.code == 1
    assert outcome.err.startswith("Traceback (most recent call last):\n")
    assert f"error: {tmp_path} is not a run\n" in outcome.err
