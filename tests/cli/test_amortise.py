"""`elboroom amortise`."""

import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from elboroom import Run
from elboroom.cli.main import main
from elboroom.cli.signals import Stop
from elboroom.model.fingerprint import fingerprint
from elboroom.runs.partial_encoder_file import FILE, read_manifest
from tests.support.command import Command
from tests.support.outcomes import error

QUICK = ["--steps", "30", "--batch-size", "64"]


@pytest.fixture(scope="module")
def amortised(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """A copy of the trained run, with a partial encoder."""
    path = Path(shutil.copytree(trained, tmp_path_factory.mktemp("runs") / "amortised"))
    with pytest.raises(SystemExit), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        main(["amortise", str(path), *QUICK])
    return path


def test_it_writes_a_partial_encoder_and_compares_it(amortised: Path, elboroom: Command):
    before = fingerprint(Run(amortised).load_model())
    outcome = elboroom("amortise", amortised, *QUICK, "--json")
    assert outcome.code == 0
    found = json.loads(outcome.out)
    assert found["steps"] == 30
    assert found["file"] == str(amortised / FILE)
    assert [*found["half_seen"]["held_out"]] == ["partial encoder", "encoder", "prior"]
    assert f"goes on from {amortised / FILE}" in outcome.err
    assert "step 30, 100%  held-out −log r" in outcome.err
    model = Run(amortised).load_model()
    assert fingerprint(model) == before
    assert model.partial_encoder is not None


def test_the_table_names_the_densities(amortised: Path, elboroom: Command):
    outcome = elboroom("amortise", amortised, *QUICK, "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    title, *lines = outcome.out.splitlines()
    assert title == "−log r(z | seen) where half of a row is seen, step 12"
    cells = [[c.strip() for c in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert [row[0] for row in cells] == ["partial encoder", "encoder", "prior"]
    assert str(amortised / FILE) in lines[-1]


def test_infer_complete_and_gaps_use_it(amortised: Path, elboroom: Command, tmp_path: Path):
    out = tmp_path / "z.npz"
    options = ["--mask", "top", "--images", "5"]
    for method in ("partial-encoder", "sir-encoder"):
        path = out.with_stem(method)
        outcome = elboroom("infer", amortised, *options, "--method", method, "--out", path)
        assert outcome.code == 0
    means = np.load(out.with_stem("partial-encoder"))["mean"]
    run = Run(amortised)
    model, data = run.load_model(), run.load_data()
    mask = np.load(out.with_stem("partial-encoder"))["mask"]
    x = data.test.x[:5]
    expected = model.amortised_posterior(x, x.new_tensor(mask).bool().expand_as(x)).mean
    np.testing.assert_allclose(means, expected.detach().numpy(), atol=1e-6)
    quick = ["--k", "100", "--method", "svi-full", "--json"]
    gaps = json.loads(elboroom("gaps", amortised, *options, *quick).out)
    assert [*gaps["fits"]][:2] == ["encoder", "partial-encoder"]
    methods = ["--method", "sir-encoder", "--index", "0"]
    assert elboroom("complete", amortised, "--mask", "top", *methods).code == 0


@pytest.mark.full
def test_a_ladder_has_one(small: list[str], elboroom: Command, tmp_path: Path):
    run, out = tmp_path / "ladder", tmp_path / "z.npz"
    ladder = ["--network", "ladder", "--channels", "8", "--level-channels", "1"]
    assert elboroom("train", *small, *ladder, "--quiet", "--out", run).code == 0
    before = fingerprint(Run(run).load_model())
    assert elboroom("amortise", run, *QUICK, "--quiet").code == 0
    assert fingerprint(Run(run).load_model()) == before
    assert "goes on from" in elboroom("amortise", run, *QUICK).err
    options = ["--mask", "top", "--images", "3"]
    for method in ("partial-encoder", "sir-encoder"):
        outcome = elboroom("infer", run, *options, "--method", method, "--out", out)
        assert outcome.code == 0
        out.unlink()
    methods = ["--method", "sir-encoder", "--index", "0"]
    assert elboroom("complete", run, "--mask", "top", *methods).code == 0
    what, _, fix = error(elboroom("amortise", run, *QUICK, "--family", "full"), 2)
    assert what == "the partial encoder of a ladder cannot have the family full"
    assert fix == "use the family auto"


def test_a_run_without_one_says_how_to_train_it(trained: Path, elboroom: Command, out: Path):
    outcome = elboroom("infer", trained, "--out", out, "--method", "partial-encoder")
    what, _, fix = error(outcome, 2)
    assert what == "this model has no partial encoder"
    assert "elboroom amortise RUN" in fix


def test_a_signal_keeps_the_best_so_far(
    amortised: Path, elboroom: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = Path(shutil.copytree(amortised, tmp_path / "run"))
    (run / FILE).unlink()
    steps: list[int] = []

    def call(self: Stop) -> bool:
        steps.append(1)
        self.number = 2 if len(steps) == 4 else None
        return self.number is not None

    monkeypatch.setattr(Stop, "__call__", call)
    outcome = elboroom("amortise", run, *QUICK)
    assert outcome.code == 130
    assert "stopped after step 4, 13% of the training; " in outcome.out
    assert read_manifest(run / FILE).step in (2, 4)


def test_another_family_starts_afresh(amortised: Path, elboroom: Command, tmp_path: Path):
    run = Path(shutil.copytree(amortised, tmp_path / "run"))
    outcome = elboroom("amortise", run, *QUICK, "--family", "diagonal")
    assert (outcome.code, "goes on" in outcome.err) == (0, False)
    assert read_manifest(run / FILE).family == "diagonal"


@pytest.mark.parametrize(
    ("option", "value"),
    [("--steps", "0"), ("--minutes", "0"), ("--data-share", "2"), ("--learning-rate", "1")],
)
def test_options_out_of_range(trained: Path, elboroom: Command, option: str, value: str):
    what = error(elboroom("amortise", trained, option, value), 2)[0]
    assert what.startswith(f"{option} {value}")
    assert what.endswith("cannot be used")


def test_a_worse_training_leaves_the_file(amortised: Path, elboroom: Command):
    before = (amortised / FILE).read_bytes()
    options = ["--steps", "2", "--batch-size", "2", "--learning-rate", "0.9"]
    outcome = elboroom("amortise", amortised, *options, "--quiet")
    assert outcome.out.splitlines()[-1].endswith("stays as it was: no look was better")
    assert (amortised / FILE).read_bytes() == before
