"""The schemas of what commands print with --json, and that they reject what is wrong.

The fixtures `elboroom` and `shell` check the JSON of every test by these schemas.
"""

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from elboroom import Run
from elboroom.cli.commands import COMMANDS
from elboroom.cli.schema import schema
from elboroom.config.kinds import (
    BINARISATIONS,
    METHODS,
    PARTS,
    SPLITS,
    VALUE_KINDS,
    JsonCommand,
    MethodName,
)
from elboroom.data import load as load_module
from elboroom.evaluation.estimate import Estimate
from elboroom.infer import methods
from elboroom.infer.completion_score import ScoreKind
from elboroom.runs import atomic, posterior_file
from tests.support.brief_run import brief_run
from tests.support.command import Command
from tests.support.json_schemas import faults, is_valid

NAMES = get_args(JsonCommand)
ESTIMATE = {"mean": -1.5, "standard_error": 0.25}
LOSSES = {"partial encoder": ESTIMATE, "encoder": ESTIMATE, "prior": ESTIMATE}
ANNEALED = {"images": 2, "distributions": 9, "chains": 1, "schedule": "linear", "seconds": 0.1}
OF_LONG_EVALUATIONS = {
    "subset": {
        "k_all": 5,
        "images": 300,
        "pilot": 100,
        "asked_error": None,
        "error": 0.1,
        "seconds": 0.1,
    },
    "partial": {"images": 300, "of": 400, "k": 9, "subset": 20, "subset_of": None},
    "ais": ANNEALED
    | {"estimates": {"log_evidence": ESTIMATE, "iwae": ESTIMATE, "difference": ESTIMATE}},
    "certificate": ANNEALED
    | {"estimates": {"lower": ESTIMATE, "upper": ESTIMATE, "gap": ESTIMATE}},
}
"""Tables that other tests print, and write into evaluation.json."""
FINDING = {"level": "note", "name": "device", "found": "none", "fix": None}
EXAMPLES: dict[str, dict[str, Any]] = {
    "doctor": {"machine": [FINDING], "run": [FINDING], "whole": True},
    "amortise": {
        "step": 12,
        "seed": 0,
        "unit": "nats per image",
        "steps": 30,
        "stopped": False,
        "loss": 2.5,
        "half_seen": {"held_out": LOSSES, "drawn": LOSSES},
        "file": "run/partial-encoder.safetensors",
    },
    "impute": {
        "rows": 3,
        "columns": 2,
        "filled": 1,
        "not_filled": {"name": 1},
        "checks": [
            {
                "name": "age",
                "likelihood": "gaussian",
                "count": 12,
                "error": 1.5,
                "usual": 2.5,
                "coverage_50": 0.5,
                "coverage_90": 0.9,
                "confidence": None,
                "doubts": ["its 90 % intervals cover 50 %"],
            }
        ],
        "row_doubts": {"2": "nothing is known of it"},
        "files": {"table": "f.csv", "uncertainty": "f.uncertainty.csv", "report": "f.html"},
        "models": "runs/impute",
    },
    "score": {
        "rows": 3,
        "unit": "nats",
        "mean": ESTIMATE,
        "least": [
            {
                "row": 2,
                "log_prob": -9.5,
                "standard_error": 0.1,
                "most_surprising": {"column": "age", "entry": "200", "surprise": 7.5},
            }
        ],
    },
}


def nodes(content: Any) -> Iterator[dict[str, Any]]:
    """All tables within JSON."""
    if isinstance(content, dict):
        yield content
    for inner in content.values() if isinstance(content, dict) else content:
        if isinstance(inner, dict | list):
            yield from nodes(inner)


def properties(content: Any) -> set[str]:
    return {name for node in nodes(content) for name in node.get("properties", {})}


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one_and_describes_every_key(elboroom: Command, name: JsonCommand):
    from jsonschema import Draft202012Validator

    found = json.loads(elboroom("schema", name).out)
    assert found == schema(name)
    Draft202012Validator.check_schema(found)
    assert found["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert found["$id"] == f"urn:elboroom:schema:{name}"
    assert found["title"].startswith(f"elboroom {name} --json")
    for node in nodes(found):
        if "properties" in node and node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert {*node["required"]} <= node["properties"].keys()
            for key, values in node["properties"].items():
                told = values.get("description") or "$ref" in values
                assert told, key


def test_every_command_with_json_has_a_schema_and_no_other():
    with_json = {k.__name__.lower() for k in COMMANDS if "json" in {f.name for f in fields(k)}}
    assert with_json == {*NAMES}


def test_a_schema_has_the_definitions_that_it_needs_and_no_other():
    assert schema("doctor")["$defs"].keys() == {"finding"}
    assert schema("score")["$defs"].keys() == {"estimate"}
    filled = {"completions", "filled", "identity", "method"}
    assert schema("complete")["$defs"].keys() == filled


def test_the_names_of_kinds_are_those_of_the_options():
    found = schema("infer")
    identity, method = (found["$defs"][name] for name in ("identity", "method"))
    kinds = {name: one.get("enum") for name, one in identity["properties"].items()}
    assert method["enum"] == [*METHODS]
    assert found["properties"]["part"]["enum"] == [*PARTS]
    assert kinds["values"] == [*VALUE_KINDS]
    assert kinds["binarisation"] == [name for name in BINARISATIONS if name != "auto"]
    own = [name for name in SPLITS if name != "auto"]
    assert kinds["split"] == [*own, load_module.WHOLE]
    rows = schema("complete")["$defs"]["completions"]["properties"]["completions"]["items"]
    assert rows["properties"]["score_kind"]["enum"] == [*get_args(ScoreKind)]


def test_numbers_that_are_not_finite_are_null():
    unknown = Estimate.of(torch.tensor([-torch.inf, 1.0])).to_dict()
    content = copy.deepcopy(EXAMPLES["score"]) | {"mean": unknown}
    written = json.loads(atomic.as_json(content))
    assert written["mean"] == {
        "mean": None,
        "standard_error": None,
        "reason": "1 of 2 values are not finite",
    }
    assert faults("score", written) == []


@pytest.fixture
def printed(
    elboroom: Command, run: Path, trained: Path, tmp_path: Path
) -> Callable[[str], list[Any]]:
    """Run a command with options that print every key of its JSON."""

    def variants(name: str) -> Iterator[list[object]]:
        if name == "gaps":
            yield [run, "--images", 2, "--k", 100, "--method", "laplace"]
        elif name == "infer":
            yield [run, "--images", 2, "--method", "encoder", "--out", tmp_path / "z.npz"]
        elif name == "complete":
            yield [run, "--mask", "top", "--index", 0, "--method", "encoder"]
            yield [run, "--mask", "top", "--method", "encoder", "--out", tmp_path / "c.npz"]
        elif name == "evaluate":
            other = shutil.copytree(trained, tmp_path / "other")
            yield [run, "--k", 100, "--compare", other, "--precision", "bf16"]
            images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
            np.save(tmp_path / "grey.npy", images)
            ladder = {"network": "ladder", "hidden": (), "latents": 3}
            yield [brief_run(tmp_path / "ladder", tmp_path / "grey.npy", **ladder).path, "--k", 5]
            np.save(tmp_path / "one.npy", images[:1])
            yield [tmp_path / "ladder", "--k", 5, "--data", tmp_path / "one.npy"]

    def of(name: str) -> list[Any]:
        if name in EXAMPLES:
            return [EXAMPLES[name]]
        found = [json.loads(elboroom(name, *words, "--json").out) for words in variants(name)]
        return [one | OF_LONG_EVALUATIONS if name == "evaluate" else one for one in found]

    return of


KNOWN = schema("infer")["properties"]["known"]["properties"].keys()
FROM_OTHER_TESTS = {
    "evaluate": {"values", "columns", "drawn_rows"},
    "complete": {"file", "array", "log_evidence", "values", "columns", "drawn_rows", "reason"},
    "gaps": {"values", "columns", "drawn_rows", "reason"},
    "infer": {
        *KNOWN - {"elbo", "elbo_standard_error"},
        *("values", "columns", "drawn_rows", "reason"),
    },
    "impute": {"draws"},
    "amortise": {"reason"},
    "score": {"reason"},
}
"""Keys of runs or options that other tests have."""


@pytest.mark.parametrize("name", NAMES)
def test_what_is_printed_fits_and_what_is_wrong_does_not(
    printed: Callable[[str], list[Any]], name: JsonCommand
):
    found = printed(name)
    assert [faults(name, one) for one in found] == [[]] * len(found)
    seen = {key for one in found for node in nodes(one) for key in node}
    assert properties(schema(name)) - seen <= FROM_OTHER_TESTS.get(name, set())
    for one in found:
        wrong = dict(planted(name, one))
        assert len(wrong) > 10
        assert [what for what, content in wrong.items() if is_valid(name, content)] == []


Place = tuple[str | int, ...]


def places(
    root: dict[str, Any], spec: dict[str, Any], content: Any, place: Place = ()
) -> Iterator[tuple[Place, list[str]]]:
    """Yield where tables with fixed keys stand in some content, and the keys that they need."""
    if "$ref" in spec:
        spec = root["$defs"][spec["$ref"].split("/")[-1]]
    for choice in spec.get("oneOf", spec.get("anyOf", ())):
        yield from places(root, choice, content, place)
    known = spec.get("properties", {})
    if isinstance(content, dict) and content.keys() <= known.keys():
        yield place, spec["required"]
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, inner in items:
        below = known.get(key, spec.get("items", spec.get("additionalProperties")))
        if isinstance(inner, dict | list) and isinstance(below, dict):
            yield from places(root, below, inner, (*place, key))


def planted(name: JsonCommand, content: Any) -> Iterator[tuple[str, Any]]:
    """Plant faults in tables of every kind: a key left out, renamed or new, and a wrong type."""
    kinds = {
        tuple(at(place, content)): (place, required)
        for place, required in places(schema(name), schema(name), content)
    }
    for place, required in kinds.values():
        table = at(place, content)
        yield f"new in {place}", changed(content, place, {"extra": 1.0})
        for key in required:
            yield f"{key} left out of {place}", changed(content, place, {}, without=key)
            renamed = changed(content, place, {f"{key}s": table[key]}, without=key)
            yield f"{key} renamed in {place}", renamed
        for key, value in table.items():
            if not isinstance(value, str | None):
                yield f"{key} as text in {place}", changed(content, place, {key: str(value)})


def at(place: Place, content: Any) -> Any:
    for key in place:
        content = content[key]
    return content


def changed(content: Any, place: Place, more: dict[str, Any], without: str = "") -> Any:
    content = copy.deepcopy(content)
    table = at(place, content)
    table.pop(without, None)
    table.update(more)
    return content


def test_a_string_without_a_pattern_is_the_only_free_value():
    wrong = copy.deepcopy(EXAMPLES["amortise"]) | {"unit": "bits per image"}
    assert faults("amortise", wrong) != []
    wrong = copy.deepcopy(EXAMPLES["impute"]) | {"row_doubts": {"0": "rows count from 1"}}
    assert faults("impute", wrong) != []


FULL = pytest.mark.full
SLOW = ("svi-low-rank", "svi-mixture", "svi-flow", "hmc")
METHODS_OF_ANY_MODEL = [name for name in METHODS if name != "partial-encoder"]


@pytest.mark.parametrize(
    "method",
    [pytest.param(name, marks=FULL if name in SLOW else ()) for name in METHODS_OF_ANY_MODEL],
)
def test_a_method_of_inference_has_its_numbers_in_the_schema(
    trained: Path, monkeypatch: pytest.MonkeyPatch, method: MethodName
):
    monkeypatch.setattr(methods, "_CHAIN_LENGTH", 8)
    model, data = Run(trained).load_model(), Run(trained).load_data()
    x, noise = data.test.x[:2], torch.Generator().manual_seed(0)
    posterior = methods.infer(method, model, x, None, generator=noise, draws=4)
    assert posterior_file.to_arrays(posterior, 4).keys() - {"z", "mean", "kept_draws"} <= KNOWN
