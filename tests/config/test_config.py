import copy
import inspect
import math
import re
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elboroom import PRESETS, Config, DataConfig, ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.config import (
    Activation,
    BinarisationName,
    CheckpointConfig,
    CompleteConfig,
    EvaluateConfig,
    FiguresConfig,
    GapsConfig,
    InferConfig,
    LearningRateSchedule,
    Split,
    kinds,
)
from elboroom.errors import UsageError

CONFIGS = st.builds(
    Config,
    data=st.builds(
        DataConfig,
        source=st.text(min_size=1),
        binarisation=st.sampled_from(get_args(BinarisationName)),
        split=st.sampled_from(get_args(Split)),
        validation=st.integers(0, 10**6),
        memory=st.floats(0, 1e6),
    ),
    model=st.builds(
        ModelConfig,
        latents=st.integers(1, 512),
        hidden=st.lists(st.integers(1, 4096), max_size=4).map(tuple),
        activation=st.sampled_from(get_args(Activation)),
        network=st.sampled_from(["mlp", "gated"]),  # residual has a rule for its widths
        normalisation=st.sampled_from(["none", "layer", "batch"]),
        data_bias=st.booleans(),
    ),
    train=st.builds(
        TrainConfig,
        epochs=st.integers(1, 10**6),
        learning_rate=st.floats(0, 1, exclude_min=True, exclude_max=True),
        schedule=st.sampled_from(get_args(LearningRateSchedule)),
        warmup=st.just("auto") | st.floats(0, 1e6),
        minutes=st.none() | st.floats(0, 1e6, exclude_min=True),
        patience=st.none() | st.integers(1, 100),
        seed=st.integers(0, 2**63 - 1),
        threads=st.just("auto") | st.integers(1, 512),
    ),
    checkpoints=st.builds(
        CheckpointConfig,
        checkpoint_minutes=st.floats(0, exclude_min=True),
        checkpoint_epochs=st.none() | st.integers(1, 10**6),
    ),
)


def listed(value: Any) -> Any:
    """As TOML gives it back: lists for tuples."""
    if isinstance(value, dict):
        return {name: listed(inner) for name, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value


@given(CONFIGS)
def test_a_config_comes_back_from_its_tables(config: Config):
    assert Config.from_dict(listed(asdict(config))) == config


def test_missing_tables_are_the_defaults():
    assert Config.from_dict({}) == Config()


WRITTEN = listed(asdict(Config()))
PLACES = [
    *((table, None) for table, found in WRITTEN.items() if isinstance(found, dict)),
    *((t, name) for t, found in WRITTEN.items() if isinstance(found, dict) for name in found),
]


@pytest.mark.parametrize(("table", "option"), PLACES)
def test_a_table_or_an_option_that_was_deleted_is_missed_unless_it_is_none(
    table: str, option: str | None
):
    tables = copy.deepcopy(WRITTEN)
    lost = tables.pop(table) if option is None else tables[table].pop(option)
    assert Config.from_dict(tables) == Config()
    if lost is None:
        Config.require_complete(tables)
        return
    with pytest.raises(UsageError, match=f"^{option or table} is missing from "):
        Config.require_complete(tables)


@pytest.mark.parametrize("unknown", [{"epochs": 3}, {"trian": {"epochs": 3}}])
def test_an_unknown_table_is_refused(unknown):
    with pytest.raises(UsageError, match=f"unknown option {next(iter(unknown))} in a config"):
        Config.from_dict(unknown)


def test_an_unknown_option_is_refused():
    with pytest.raises(UsageError) as error:
        Config.from_dict({"model": {"latent": 2, "depth": 3}})
    assert str(error.value) == (
        "unknown option depth, latent in a config\n"
        "  why: ModelConfig has activation, blocks, channels, columns, components, data_bias, "
        "hidden, latents, level_channels, levels, likelihood, network, noise, normalisation, "
        "posterior, prior, standardise\n"
        "  fix: remove it, or read the run with the version of elboroom that wrote it"
    )


@pytest.mark.parametrize(
    ("kind", "option", "found", "expected"),
    [
        (DataConfig, "validation", -1, "auto, or 0 or more"),
        (DataConfig, "memory", -0.5, "0 or more"),
        (DataConfig, "memory", math.nan, "0 or more"),
        (
            DataConfig,
            "binarisation",
            "grey",
            "in ('auto', 'threshold', 'dynamic', 'static', 'none')",
        ),
        (DataConfig, "split", "half", "in ('auto', 'stratified', 'standard', 'reference')"),
        (ModelConfig, "latents", 0, "1 or more"),
        (ModelConfig, "hidden", (5, 0), "widths of 1 or more"),
        (ModelConfig, "activation", "sine", "in ('tanh', 'relu', 'silu', 'softplus', 'identity')"),
        (
            ModelConfig,
            "network",
            "rnn",
            "one of mlp, gated, residual, conv, ladder, or package.module:factory",
        ),
        (
            ModelConfig,
            "normalisation",
            "group",
            "none, layer or batch except with conv and ladder",
        ),
        (TrainConfig, "epochs", 0, "auto, or 1 or more"),
        (TrainConfig, "batch_size", 0, "auto, or 1 or more"),
        (TrainConfig, "evaluate_every", 0, "1 or more"),
        (TrainConfig, "patience", 0, "1 or more"),
        (TrainConfig, "learning_rate", 0.0, "in (0, 1)"),
        (TrainConfig, "learning_rate", 1.0, "in (0, 1)"),
        (TrainConfig, "learning_rate", math.nan, "in (0, 1)"),
        (TrainConfig, "schedule", "step", "in ('constant', 'cosine', 'one-cycle')"),
        (TrainConfig, "warmup", -0.5, "auto, or a number, 0 or more"),
        (TrainConfig, "warmup", math.nan, "auto, or a number, 0 or more"),
        (TrainConfig, "warmup", math.inf, "auto, or a number, 0 or more"),
        (TrainConfig, "seed", -1, "in [0, 2^63)"),
        (TrainConfig, "seed", 2**63, "in [0, 2^63)"),
        (TrainConfig, "device", "tpu", "in ('auto', 'cpu', 'cuda', 'mps')"),
        (TrainConfig, "precision", "fp16", "in ('auto', 'fp32', 'bf16')"),
        (TrainConfig, "threads", 0, "auto, or 1 or more"),
        (CheckpointConfig, "checkpoint_minutes", 0.0, "positive, or inf"),
        (CheckpointConfig, "checkpoint_minutes", math.nan, "positive, or inf"),
        (CheckpointConfig, "checkpoint_epochs", 0, "1 or more"),
        (TrainConfig, "minutes", 0.0, "a positive number"),
        (TrainConfig, "minutes", math.inf, "a positive number"),
        (TrainConfig, "minutes", math.nan, "a positive number"),
        (EvaluateConfig, "k", 0, "1 or more"),
        (EvaluateConfig, "seed", -1, "in [0, 2^63)"),
        (FiguresConfig, "only", (), "one figure or more"),
        (FiguresConfig, "seed", -1, "in [0, 2^63)"),
        (CompleteConfig, "draws", 0, "1 or more"),
        (CompleteConfig, "index", (), "one row or more"),
        (CompleteConfig, "seed", -1, "in [0, 2^63)"),
    ],
)
def test_an_option_out_of_range_is_refused(kind: Any, option: str, found: Any, expected: str):
    required = {"mask": "top"} if kind is CompleteConfig else {}
    with pytest.raises(UsageError) as error:
        kind(**required, **{option: found})
    assert str(error.value) == (
        f"--{option.replace('_', '-')} {found} cannot be used\n"
        f"  why: {option} must be {expected}\n"
        "  fix: change that value; the --help of the command lists its options"
    )


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        (DataConfig, "validation", 0),
        (ModelConfig, "latents", 1),
        (ModelConfig, "hidden", ()),
        (TrainConfig, "epochs", 1),
        (TrainConfig, "patience", 1),
        (TrainConfig, "warmup", 0.0),
        (TrainConfig, "seed", 2**63 - 1),
        (TrainConfig, "threads", "auto"),
        (CheckpointConfig, "checkpoint_minutes", math.inf),
        (CheckpointConfig, "checkpoint_epochs", 1),
        (EvaluateConfig, "k", 1),
    ],
)
def test_an_option_at_the_edge_of_its_range_is_accepted(kind: Any, option: str, value: Any):
    assert getattr(kind(**{option: value}), option) == value


def test_the_reference_preset_is_the_reference_experiment():
    assert PRESETS["reference"] == Config(
        data=DataConfig(source="mnist", binarisation="auto", split="reference", validation=0),
        model=ModelConfig(latents=2, hidden=(500,), activation="tanh"),
        train=TrainConfig(epochs=100, batch_size=200, learning_rate=1e-3, schedule="constant"),
    )


def test_the_mnist_preset_is_the_network_of_burda_and_others():
    assert PRESETS["mnist"] == Config(
        data=DataConfig(source="mnist", binarisation="dynamic", split="auto"),
        model=ModelConfig(latents=50, hidden=(200, 200), activation="tanh"),
        train=TrainConfig(epochs=50, batch_size=100),
    )


def test_a_config_cannot_be_changed_in_place():
    config = Config()
    with pytest.raises(AttributeError):
        config.data = replace(config.data)  # type: ignore[misc]


OPTIONS = [
    (kind, option)
    for kind in (
        *(DataConfig, ModelConfig, ObjectiveConfig, TrainConfig, CheckpointConfig),
        *(EvaluateConfig, FiguresConfig, CompleteConfig, InferConfig, GapsConfig),
    )
    for option in kind.__dataclass_fields__
]


@pytest.mark.parametrize(("kind", "option"), OPTIONS)
def test_every_option_is_documented_where_it_is_written(kind: Any, option: str):
    hint = get_type_hints(kind, include_extras=True)[option]
    helps = [found.help for found in getattr(hint, "__metadata__", ()) if found.help]
    if helps:
        assert re.match(r"[A-Za-z0-9`].+", helps[0])
    else:
        sources = [inspect.getsource(base) for base in kind.__mro__[:-1]]
        written = rf'^    {option}: .+\n    """[A-Za-z0-9`].+'
        assert any(re.search(written, source, re.MULTILINE) for source in sources)


@pytest.mark.parametrize(("kind", "option"), OPTIONS)
def test_the_help_of_a_choice_gives_each_kind_a_line(kind: Any, option: str):
    hint = get_type_hints(kind, include_extras=True)[option]
    choices = get_args(get_args(hint)[0]) if get_origin(hint) is Annotated else ()
    if get_origin(choices and get_args(hint)[0]) is Literal:
        (told,) = hint.__metadata__
        lines = told.help.splitlines()[1:]
        assert [line.split(":")[0] for line in lines] == list(choices)
    else:
        assert get_origin(hint) is not Literal, "a choice without a table in config.kinds"


TABLES = {
    kinds.BinarisationName: kinds.BINARISATIONS,
    kinds.Split: kinds.SPLITS,
    kinds.ValueKind: kinds.VALUE_KINDS,
    kinds.PartName: kinds.PARTS,
    kinds.Activation: kinds.ACTIVATIONS,
    kinds.NetworkName: kinds.NETWORKS,
    kinds.Normalisation: kinds.NORMALISATIONS,
    kinds.LikelihoodName: kinds.LIKELIHOODS,
    kinds.PosteriorName: kinds.POSTERIORS,
    kinds.PriorName: kinds.PRIORS,
    kinds.Objective: kinds.OBJECTIVES,
    kinds.Gradient: kinds.GRADIENTS,
    kinds.LearningRateSchedule: kinds.LEARNING_RATE_SCHEDULES,
    kinds.Device: kinds.DEVICES,
    kinds.Precision: kinds.PRECISIONS,
    kinds.Compile: kinds.COMPILE,
    kinds.AnnealingSchedule: kinds.ANNEALING_SCHEDULES,
    kinds.FigureName: kinds.FIGURES,
    kinds.MethodName: kinds.METHODS,
    kinds.FormatName: kinds.FORMATS,
}


@pytest.mark.parametrize("name", TABLES, ids=str)
def test_a_table_has_each_kind_once_in_the_order_of_its_name(name: Any):
    assert tuple(TABLES[name]) == get_args(name)


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (DataConfig, {"validation": 0.1}, "validation cannot be 0.1"),
        (DataConfig, {"unused": "metadata"}, "unused cannot be 'metadata'"),
        (TrainConfig, {"epochs": 1.5}, "epochs cannot be 1.5"),
        (TrainConfig, {"epochs": "3"}, "epochs cannot be '3'"),
        (ModelConfig, {"hidden": 16}, "hidden cannot be 16"),
        (ModelConfig, {"latents": 2.0}, "latents cannot be 2.0"),
        (ModelConfig, {"data_bias": 1}, "data_bias cannot be 1"),
    ],
)
def test_an_option_of_another_type_is_refused(kind: Any, options: dict[str, Any], said: str):
    with pytest.raises(UsageError, match=said):
        kind(**options)
