"""What the command line says of itself."""

import re
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from elboroom import PRESETS, TrainConfig
from elboroom import __version__ as version
from elboroom.cli import main as cli
from elboroom.cli import train as train_command
from elboroom.cli.commands import RunCommand
from elboroom.config import (
    AmortiseConfig,
    CheckpointConfig,
    CompleteConfig,
    Config,
    DataConfig,
    EvaluateConfig,
    ExportConfig,
    FiguresConfig,
    GapsConfig,
    ImputeConfig,
    InferConfig,
    ModelConfig,
    PackConfig,
    ScoreConfig,
)
from tests.support.command import Command
from tests.support.outcomes import error

COMMANDS = [
    "train",
    "evaluate",
    "figures",
    "complete",
    "infer",
    "amortise",
    "gaps",
    "impute",
    "score",
    "report",
    "export",
    "pack",
    "doctor",
    "schema",
    "completion",
    "version",
]
POSITIONAL = {"run_folder", "pack.source", "pack.out", "impute.table", "score.table"}
OPTIONS: dict[str, list[Any]] = {
    "train": [
        DataConfig,
        ModelConfig,
        TrainConfig,
        CheckpointConfig,
        cli.TrainDefaults,
        cli.Command,
    ],
    "evaluate": [EvaluateConfig, RunCommand],
    "figures": [FiguresConfig, RunCommand],
    "complete": [CompleteConfig, RunCommand],
    "infer": [InferConfig, RunCommand],
    "amortise": [AmortiseConfig, RunCommand],
    "gaps": [GapsConfig, RunCommand],
    "impute": [ImputeConfig, cli.Command],
    "score": [ScoreConfig, RunCommand],
    "report": [RunCommand],
    "export": [ExportConfig, RunCommand],
    "pack": [PackConfig, cli.Command],
    "doctor": [cli.Command],
    "schema": [cli.Command],
    "completion": [cli.Command],
    "version": [cli.Command],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_of_every_command(elboroom: Command, command: str):
    outcome = elboroom(command, "--help")
    assert outcome.code == 0
    assert re.search(rf"^Example: elboroom {command}\b", outcome.out, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_type_meaning_and_default_of_every_option(elboroom: Command, command: str):
    text = re.sub(r"[│╭╰─╮╯]", " ", elboroom(command, "--help").out)
    blocks = re.split(r"^  (?=-h|--[a-z])", text, flags=re.MULTILINE)[1:]
    blocks = [re.sub(r"^(--\S+), --no-\S+", r"\1", block) for block in blocks]
    options = {block.split()[0]: " ".join(block.split()) for block in blocks}
    expected = {
        "--" + ("data" if name == "source" else name.replace("_", "-"))
        for kind in OPTIONS[command]
        for name in (
            "column_likelihoods" if (kind, field.name) == (ModelConfig, "columns") else field.name
            for field in fields(kind)
        )
        if not {name, f"{command}.{name}"} & POSITIONAL
    }
    assert expected <= options.keys()
    for name in options.keys() - {"-h,"}:
        flags = ("--debug", "--quiet", "--json", "--data-bias", "--explain", "--best", "--trust")
        flag = name in (*flags, "--keep-best", "--flip")
        kind = r"" if flag else r" (INT|FLOAT|STR|PATH|\{.+?\}|\[.+\])\S*"
        meaning = r" [A-Za-z`].{5,}\((default: .*|required)\).*"
        assert re.fullmatch(name + kind + meaning, options[name]), options[name]


def test_help_of_the_whole_lists_every_command_and_exit_code(elboroom: Command):
    outcome = elboroom("--help")
    assert outcome.code == 0
    assert "Example: elboroom train" in outcome.out
    signals = "130 by SIGINT, 138 by SIGUSR1, 143 by SIGTERM"  # in Linux
    codes = f"Exit codes: 0 done, 1 the run failed, 2 wrong usage; ended by signals: {signals}."
    assert codes in " ".join(outcome.out.split()) or sys.platform != "linux"
    for command in COMMANDS:
        assert re.search(rf"• {command} +[A-Z]", outcome.out)


@pytest.mark.parametrize("preset", PRESETS)
def test_help_shows_the_defaults_of_the_preset(elboroom: Command, preset: str):
    text = " ".join(
        re.sub(r"[│─]", " ", elboroom("train", "--preset", preset, "--help").out).split()
    )
    hidden = " ".join(map(str, PRESETS[preset].model.hidden))
    assert f"(default: {hidden})" in text
    assert (
        f"The run's config keeps the number. (default: {PRESETS[preset].train.batch_size})" in text
    )


def test_a_reader_that_leaves_is_not_an_error():
    line = f"{sys.executable} -m elboroom train --help | head -1"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout == "usage: elboroom train [-h] [TRAIN OPTIONS]\n"
    assert done.stderr == ""


@pytest.mark.parametrize("word", ["version", "--version"])
def test_version_prints_the_version(shell: Command, word: str):
    assert shell(word) == (0, f"elboroom {version}\n", "")


def given_config(monkeypatch: pytest.MonkeyPatch, elboroom: Command, *arguments: str) -> Config:
    """The config that `elboroom train` is called with."""
    seen: list[Config] = []
    monkeypatch.setattr(
        train_command, "train", lambda config, preset, **_: seen.append(config) or 0
    )
    assert elboroom("train", *arguments).code == 0
    return seen[0]


def test_training_starts_from_the_reference_preset(monkeypatch: Any, elboroom: Command):
    assert given_config(monkeypatch, elboroom) == PRESETS["reference"]


def test_data_of_ones_own_take_their_preset(monkeypatch: Any, elboroom: Command):
    asked = given_config(monkeypatch, elboroom, "--data", "my.npz")
    own = PRESETS["own"]
    assert asked == replace(own, data=replace(own.data, source="my.npz"))
    named = given_config(monkeypatch, elboroom, "--data", "my.npz", "--preset", "reference")
    assert named.train == PRESETS["reference"].train
    short = given_config(monkeypatch, elboroom, "--data", "my.npz", "--epochs", "5")
    assert short.train == replace(own.train, epochs=5)


def test_flags_can_be_given_and_taken_back_whatever_the_preset(monkeypatch: Any, elboroom: Command):
    for options in ([], ["--preset", "own"], ["--data", "my.npz"]):
        for bias, best in ((True, False), (False, True)):
            flags = [f"--{'' if bias else 'no-'}data-bias", f"--{'' if best else 'no-'}keep-best"]
            config = given_config(monkeypatch, elboroom, *options, *flags)
            assert (config.model.data_bias, config.train.keep_best) == (bias, best)


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
            "Error parsing --epochs: no type matching INT|{auto} could be instantiated",
        ),
        (["train", "--epoch", "3"], "--epochs"),
        (["evaluate"], "RUN"),
        (["infer", "run"], "--out"),
        (["trian"], "trian"),
        ([], "Expected one of {train, evaluate, figures, complete, infer, amortise,"),
    ],
)
def test_wrong_usage_exits_2_and_names_what_is_wrong(
    elboroom: Command, arguments: list[str], said: str
):
    outcome = elboroom(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in " ".join(outcome.err.split())
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("arguments", "option", "expected"),
    [
        (["train", "--epochs", "0"], "--epochs 0", "epochs must be auto, or 1 or more"),
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


def test_other_data_keeps_its_own_test_part(monkeypatch: Any, elboroom: Command):
    assert given_config(monkeypatch, elboroom, "--data", "my.npz").data.split == "auto"
    asked = given_config(monkeypatch, elboroom, "--data", "my.npz", "--split", "reference")
    assert asked.data.split == "reference"
