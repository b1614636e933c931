"""model.json: what somebody without elboroom needs to know."""

import json
from pathlib import Path
from typing import Any

import torch

from elboroom.exports.coder import coders, portable
from elboroom.exports.densities import COLUMN_FORMULAS
from elboroom.exports.description import describe
from elboroom.runs.atomic import as_json
from elboroom.runs.run import Run
from tests.support.brief_run import brief_run
from tests.support.explored_runs import people
from tests.support.exported_models import exported_model


def described(name: str, **changes: Any) -> dict[str, Any]:
    model = portable(exported_model(name, **changes))
    found = describe(model, [(coder, {}) for coder in coders(model)], None, "mark")
    return json.loads(as_json(found))


def shapes(found: dict[str, Any], network: str, kind: str) -> dict[str, list[int | str]]:
    return {each["name"]: each["shape"] for each in found["networks"][network][kind]}


def test_the_inputs_and_outputs_of_a_ladder_are_described():
    found = described("ladder")
    assert shapes(found, "encoder", "inputs") == {
        "x": ["batch", 1, 6, 7],
        "eps": ["samples", "batch", found["latents"]],
    }
    assert shapes(found, "encoder", "outputs") == {
        "z": ["samples", "batch", found["latents"]],
        "log_q": ["samples", "batch"],
    }
    assert sum(torch.Size(shape).numel() for shape in found["level_shapes"]) == found["latents"]
    assert found["posterior"]["name"] == "ladder"


def test_a_mask_is_an_input_of_the_encoder_of_a_table():
    given = {each["name"]: each for each in described("table")["networks"]["encoder"]["inputs"]}
    assert given["mask"]["type"] == "bool"
    assert given["mask"]["shape"] == given["x"]["shape"] == ["batch", 11]


def test_every_input_and_output_has_a_meaning():
    for name in ("ladder", "flow", "full", "table", "conv", "colours", "levels", "continuous"):
        networks = described(name)["networks"].values()
        for each in (one for network in networks for kind in network.values() for one in kind):
            assert each["meaning"], (name, each)


def test_the_axes_of_sizes_that_are_free_are_not_mistaken_for_others():
    for latents in (5, 7, 11):
        found = described("full", latents=latents)
        assert shapes(found, "encoder", "outputs") == {
            "mean": ["batch", latents],
            "scale_tril": ["batch", latents, latents],
        }


def test_the_units_of_the_data_are_described():
    found = described("channels")
    assert found["standardisation"]["scale"] == [[[3.0]], [[3.0]], [[3.0]]]
    assert found["likelihood"]["name"] == "gaussian"
    assert found["likelihood"]["takes"] == "a finite number"
    assert described("mlp")["standardisation"] is None


def test_the_prior_of_a_ladder_is_that_of_its_top():
    prior = described("ladder of vectors")["prior"]
    assert prior["name"] == "top"
    assert prior["top"]["name"] == "mixture"
    assert len(prior["top"]["means"][0]) == 3
    assert described("flow prior")["prior"] == {"name": "FlowPrior", "density": None}
    assert described("fits")["posterior"] is None


def test_the_columns_of_a_run_say_how_their_entries_become_numbers(tmp_path: Path):
    source, types = people(tmp_path)
    run = brief_run(tmp_path / "run", source, data={"columns": str(types)}, latents=2)
    model = portable(Run(tmp_path / "run").load_model())
    found = describe(model, [(coder, {}) for coder in coders(model)], run, "mark")
    columns = {each["name"]: each for each in found["columns"]}
    assert [*columns] == ["age", "income", "visits", "smoker", "region", "joined"]
    assert columns["income"]["likelihood"] == "log-normal"
    assert columns["visits"]["x"] == "the number"
    assert columns["region"]["levels"] == ["north", "south", "west"]
    assert columns["region"]["outputs"] == "categorical_*"
    assert columns["joined"]["x"] == "days since 1970-01-01 minus 18268"
    for each in columns.values():
        assert each["density"] == COLUMN_FORMULAS[each["likelihood"]].density
    assert found["options"]["latents"] == 2
    assert str(tmp_path) not in as_json(found)
