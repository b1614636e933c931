"""Findings about a run, and what `elboroom doctor` prints."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from elboroom import Run, evaluate
from elboroom.cli import doctor as doctor_command
from elboroom.device import resolve_device
from elboroom.errors import RunError
from elboroom.evaluation.estimate import Estimate
from elboroom.runs import atomic
from elboroom.runs.atomic import write_file
from elboroom.runs.doctor.finding import Finding
from elboroom.runs.doctor.run_folder import check_run
from elboroom.training.state import EpochMetrics
from tests.support.command import Command
from tests.support.outcomes import error

Change = Callable[[Path], object]
NEWEST = "checkpoints/step-000012"


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """The trained run, which has one checkpoint, with an evaluation and a figure."""
    path = Path(shutil.copytree(trained, tmp_path_factory.mktemp("runs") / "complete"))
    run = Run(path)
    evaluation = run.results.provenance(12) | {"elbo": -1.5}
    run.results.write_evaluation(evaluation, {"elbo": torch.tensor([-1.0, -2.0])})
    run.results.write_figure("curves", Figure(figsize=(1, 1)), 12)
    return path


@pytest.fixture
def evaluated(complete: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(complete, tmp_path / "run"))


def found(run: Path) -> dict[str, Finding]:
    findings = check_run(run)
    assert len({finding.name for finding in findings}) == len(findings)
    return {finding.name: finding for finding in findings}


def levels(run: Path) -> dict[str, str]:
    return {name: finding.level for name, finding in found(run).items()}


def test_a_whole_run(evaluated: Path):
    assert {name: finding.found for name, finding in found(evaluated).items()} == {
        "config.toml": "can be read",
        "step-000012": "matches its manifest",
        "model": "loads from step 12",
        "metrics.jsonl": "2 whole lines, none newer than the checkpoints",
        "training": "2 of 2 epochs",
        "data": "is what the run was made from",
        "device": f"training resumes on {resolve_device('auto').type}",
        "evaluation.json": "made from the newest checkpoint",
        "evaluation.npz": "made from the newest checkpoint",
        "figures": "2 files, made from the newest checkpoint",
    }
    assert set(levels(evaluated).values()) == {"ok"}


def test_looking_changes_nothing(evaluated: Path):
    def state() -> dict[Path, tuple[int, bytes]]:
        files = [path for path in evaluated.rglob("*") if path.is_file()]
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = state()
    check_run(evaluated)
    assert state() == before


def flip(name: str, at: int = -1) -> Change:
    def change(run: Path) -> None:
        content = bytearray((run / name).read_bytes())
        content[at] ^= 1
        (run / name).write_bytes(content)

    return change


def write(name: str, content: str) -> Change:
    return lambda run: (run / name).write_text(content)


def remove(name: str) -> Change:
    return lambda run: (run / name).unlink()


def without_line(number: int) -> Change:
    def change(run: Path) -> None:
        lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
        (run / "metrics.jsonl").write_text("".join(lines[:number] + lines[number + 1 :]))

    return change


def of_another_model(run: Path) -> None:
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace("    16,\n", "    17,\n"))


def without_checkpoints(
    *, keep_results: bool, trained: int, options: str = "", speed: float = 1e4
) -> Change:
    """Return a change that leaves the metrics of some of nine epochs, and perhaps results."""

    def change(run: Path) -> None:
        shutil.rmtree(run / "checkpoints")
        if not keep_results:
            shutil.rmtree(run / "figures")
            for name in ("evaluation.json", "evaluation.npz", "results.json"):
                (run / name).unlink()
        config = (run / "config.toml").read_text().replace("epochs = 2\n", "epochs = 9\n")
        (run / "config.toml").write_text(config.replace("[checkpoints]", f"[checkpoints]{options}"))
        (run / "metrics.jsonl").unlink()
        for epoch in range(1, trained + 1):
            Run(run).metrics.record(
                EpochMetrics(epoch, 6 * epoch, -5.0, -4.0, 1.0, -5.0, 1.0, 1e-3, None, speed)
            )

    return change


DAMAGES: dict[str, tuple[Change, str, str]] = {
    "config gone": (remove("config.toml"), "config.toml", "it has no config.toml"),
    "config broken": (write("config.toml", "[data"), "config.toml", "cannot be read"),
    "model flipped": (
        flip(f"{NEWEST}/model.safetensors"),
        "step-000012",
        "model.safetensors does not match its manifest",
    ),
    "optimiser flipped": (
        flip(f"{NEWEST}/optimizer.safetensors"),
        "step-000012",
        "optimizer.safetensors does not match its manifest",
    ),
    "model gone": (remove(f"{NEWEST}/model.safetensors"), "step-000012", "No such file"),
    "manifest gone": (remove(f"{NEWEST}/manifest.json"), "step-000012", "No such file"),
    "checkpoint renamed": (
        lambda run: (run / NEWEST).rename(run / "checkpoints" / "step-000099"),
        "step-000099",
        "its manifest is for step 12",
    ),
    "checkpoints deleted": (
        without_checkpoints(keep_results=True, trained=1),
        "checkpoints",
        "there is none, although evaluation.json was made from one",
    ),
    "checkpoints deleted after the last epoch": (
        without_checkpoints(keep_results=False, trained=9),
        "checkpoints",
        "there is none, although 9 epochs were trained, by the end of which one is written",
    ),
    "checkpoints deleted after one was due by epochs": (
        without_checkpoints(keep_results=False, trained=3, options="\ncheckpoint_epochs = 3"),
        "checkpoints",
        "there is none, although 3 epochs were trained",
    ),
    "checkpoints deleted after one was due by time": (
        without_checkpoints(keep_results=False, trained=3, speed=12.0),
        "checkpoints",
        "there is none, although 3 epochs were trained",
    ),
    "another model": (of_another_model, "model", "size mismatch"),
    "first line gone": (
        without_line(0),
        "metrics.jsonl",
        "line 1 holds epoch 2 and step 12; expected epoch 1 and step 6",
    ),
    "last line gone": (
        without_line(1),
        "metrics.jsonl",
        "found lines of 1 epochs; expected 2 before the checkpoint",
    ),
    "metrics gone": (
        remove("metrics.jsonl"),
        "metrics.jsonl",
        "found lines of 0 epochs; expected 2 before the checkpoint",
    ),
    "metrics broken": (
        write("metrics.jsonl", '{"epoch": 1}\n'),
        "metrics.jsonl",
        "a line cannot be read",
    ),
    "evaluation broken": (write("evaluation.json", "{"), "evaluation.json", "cannot be read"),
    "metrics garbled": (flip("metrics.jsonl", 0), "metrics.jsonl", "a line cannot be read: "),
    "values flipped": (flip("evaluation.npz", 100), "evaluation.npz", "cannot be read"),
    "results garbled": (flip("results.json", 0), "results.json", "cannot be read: "),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_found_and_named(evaluated: Path, kind: str):
    change, name, said = DAMAGES[kind]
    change(evaluated)
    finding = found(evaluated)[name]
    assert finding.level == "damage"
    assert said in finding.found
    assert finding.fix


def listed_at(step: int, *names: str) -> Change:
    """Return a change that lists these results as made from the model at a step."""

    def change(run: Path) -> None:
        listed = json.loads((run / "results.json").read_text())
        for name in names:
            listed[name] = listed["evaluation.json"] | {"step": step}
        (run / "results.json").write_text(json.dumps(listed))

    return change


def with_evaluation(evaluation: dict[str, Any], **per_image: torch.Tensor) -> Change:
    def change(run: Path) -> None:
        results = Run(run).results
        results.write_evaluation(results.provenance(12) | evaluation, per_image)

    return change


def appended(run: Path) -> None:
    Run(run).metrics.record(EpochMetrics(3, 18, -5.0, -4.0, 1.0, -5.0, 1.0, 1e-3, None, 1e4))


def torn(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "st')


def of_other_data(run: Path) -> None:
    config = Run(run).config.data.source
    other = run / "other.npz"
    images = np.random.default_rng(1).random((300, 8, 8), dtype=np.float32)
    np.savez(other, images=images, labels=np.arange(300) % 10)
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace(config, str(other)))


SUMMARY = {"k": 3, "unit": "nats per image", "kl_sampled": False}
SAID = SUMMARY | {"estimates": {"elbo": {"mean": -1.5, "standard_error": 0.5}}}
FIGURE = Figure(figsize=(1, 1))
NOTES: dict[str, tuple[Change, str, str, str]] = {
    "no checkpoint": (
        without_checkpoints(keep_results=False, trained=1),
        "checkpoints",
        "there is none yet",
        "`elboroom train --resume {run}`, which starts from the beginning",
    ),
    "unfinished": (
        lambda run: (run / "checkpoints" / ".step-000018.part").mkdir(),
        "checkpoints/.step-000018.part",
        "does not belong to the run",
        "delete it, once nothing trains this run: a writer was stopped",
    ),
    "torn line": (
        torn,
        "metrics.jsonl",
        "its last line was cut short",
        "`elboroom train --resume {run}` trains that epoch again",
    ),
    "newer line": (
        appended,
        "metrics.jsonl",
        "epochs newer than the newest checkpoint: 1",
        "`elboroom train --resume {run}` trains them again",
    ),
    "old evaluation": (
        listed_at(6, "evaluation.json"),
        "evaluation.json",
        "older than the newest checkpoint",
        "`elboroom evaluate {run}`",
    ),
    "old figure": (
        listed_at(6, "figures/curves.svg"),
        "figures",
        "older than the newest checkpoint: curves.svg",
        "`elboroom figures {run}`",
    ),
    "old report": (
        lambda run: Run(run).results.write_report("<html>", 6),
        "report.html",
        "older than the newest checkpoint",
        "`elboroom report {run}`",
    ),
    "another evaluation": (
        with_evaluation(SAID, elbo=torch.tensor([-1.0, -2.001])),
        "evaluation.npz",
        "is of another evaluation than evaluation.json",
        "`elboroom evaluate {run}`",
    ),
    "an evaluation of more": (
        with_evaluation(SAID),
        "evaluation.npz",
        "is of another evaluation than evaluation.json",
        "`elboroom evaluate {run}`",
    ),
    "old completion": (
        lambda run: Run(run).results.write_figure("complete-top", Figure(figsize=(1, 1)), 3),
        "figures",
        "older than the newest checkpoint: complete-top.png, complete-top.svg",
        "`elboroom complete {run} --mask MASK`",
    ),
    "old figures of both": (
        lambda run: [
            Run(run).results.write_figure(n, FIGURE, 3) for n in ("complete-top", "latent")
        ],
        "figures",
        "older than the newest checkpoint: complete-top.png, complete-top.svg, latent.png, ",
        "`elboroom figures {run}` and `elboroom complete {run} --mask MASK`",
    ),
    "unknown evaluation": (
        lambda run: (run / "results.json").unlink(),
        "evaluation.json",
        "not listed in results.json",
        "`elboroom evaluate {run}`",
    ),
    "old and unknown figures": (
        lambda run: (listed_at(6, "figures/curves.png")(run), (run / "figures/a.png").touch()),
        "figures",
        "not listed in results.json: a.png; older than the newest checkpoint: curves.png",
        "`elboroom figures {run}`",
    ),
    "other data": (
        of_other_data,
        "data",
        "the data of {run} has changed since it was trained: they are of different data",
        "put back the data that it was trained on at {run}/other.npz, or name where it is now "
        "with --data",
    ),
}


@pytest.mark.parametrize("kind", NOTES)
def test_what_can_be_better_is_a_note(evaluated: Path, kind: str):
    change, name, said, fix = NOTES[kind]
    change(evaluated)
    findings = found(evaluated)
    assert findings[name].level == "note"
    assert findings[name].found.startswith(said.format(run=evaluated))
    assert findings[name].fix == fix.format(run=evaluated)
    assert not any(finding.damage for finding in findings.values())


def test_an_unfinished_run_says_how_to_go_on(run: Path):
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace("epochs = 2\n", "epochs = 9\n"))
    fix = f"`elboroom train --resume {run}` resumes it"
    assert found(run)["training"] == Finding("training", "2 of 9 epochs", fix)


def test_a_device_that_is_missing_is_a_note(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace('device = "auto"', 'device = "cuda"'))
    device = found(run)["device"]
    assert device.level == "note"
    assert device.found.startswith("training cannot resume here: ")


def test_a_broken_checkpoint_beside_a_whole_one_is_passed_over(run: Path):
    shutil.copytree(run / NEWEST, run / "checkpoints" / "step-000018")
    findings = found(run)
    assert findings["step-000018"].fix == "delete it: step-000012 is used instead"
    assert findings["step-000012"].level == findings["model"].level == "ok"
    flip(f"{NEWEST}/model.safetensors")(run)
    findings = found(run)
    assert findings["step-000012"].fix == "train the run again"
    assert "model" not in findings


def test_what_was_made_of_the_one_before_a_broken_checkpoint_is_of_the_newest(evaluated: Path):
    with_evaluation(SAID, elbo=torch.tensor([-1.0, -2.0]))(evaluated)
    shutil.copytree(evaluated / NEWEST, evaluated / "checkpoints" / "step-000018")
    Run(evaluated).results.write_figure("curves", FIGURE, 12)
    findings = found(evaluated)
    for name in ("evaluation.json", "evaluation.npz", "figures"):
        assert findings[name].found.endswith("made from the newest checkpoint")


@pytest.mark.parametrize("values", [[-1.0, -2.0], [float("nan")], [float("inf"), 1.0]])
def test_what_was_evaluated_agrees_with_itself(evaluated: Path, values: list[float]):
    elbo = torch.tensor(values)
    with_evaluation(SUMMARY | {"estimates": {"elbo": asdict(Estimate.of(elbo))}}, elbo=elbo)(
        evaluated
    )
    assert levels(evaluated)["evaluation.npz"] == "ok"


def test_an_evaluation_that_was_cut_short_is_a_note(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch
):
    def cut(path: Path, content: bytes) -> None:
        if path.name == "evaluation.json":
            raise KeyboardInterrupt
        write_file(path, content)

    run = Run(evaluated)
    model, data = run.load_model(), run.load_data()
    first, second = (evaluate(model, data, k=2, seed=seed) for seed in (0, 1))
    run.results.write_evaluation(run.results.provenance(12) | first.to_dict(), first.per_image)
    assert levels(evaluated)["evaluation.npz"] == "ok"
    monkeypatch.setattr(atomic, "write_file", cut)
    with pytest.raises(KeyboardInterrupt):
        run.results.write_evaluation(
            run.results.provenance(12) | second.to_dict(), second.per_image
        )
    assert [levels(evaluated)[f"evaluation.{kind}"] for kind in ("json", "npz")] == ["ok", "note"]


@pytest.mark.filterwarnings("default:.* has lost these epochs")
def test_the_fix_for_metrics_that_cannot_be_read_is_true(elboroom: Command, evaluated: Path):
    flip("metrics.jsonl", 0)(evaluated)
    fix = found(evaluated)["metrics.jsonl"].fix
    assert fix == (
        "restore it from a copy; the model and `elboroom train --resume "
        f"{evaluated}` do without, curves and --patience do not"
    )
    assert elboroom("evaluate", evaluated, "--k", 2).code == 0
    outcome = elboroom("train", "--resume", evaluated)
    assert outcome.code == 0
    assert "has lost these epochs: 1, since not all of its lines can be read" in outcome.err
    assert [m.epoch for m in Run(evaluated).metrics.history()] == [2]


def test_epochs_are_counted_without_the_data_too(evaluated: Path):
    config = (evaluated / "config.toml").read_text()
    path = Run(evaluated).config.data.source
    (evaluated / "config.toml").write_text(config.replace(path, "/gone.npz"))
    assert levels(evaluated)["data"] == "note"
    assert levels(evaluated)["metrics.jsonl"] == "ok"
    without_line(1)(evaluated)
    assert levels(evaluated)["metrics.jsonl"] == "damage"


def test_what_is_no_folder_is_no_run(tmp_path: Path):
    with pytest.raises(RunError, match=r"is not a run\n  why: there is no such folder"):
        check_run(tmp_path / "no")


def test_levels():
    assert Finding("a", "b").level == "ok"
    assert Finding("a", "b", "c").level == "note"
    assert Finding("a", "b", "c", damage=True).level == "damage"


MACHINE = [Finding("versions", "some"), Finding("cores", "one is taken", "end what keeps it")]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is checked in no time."""
    monkeypatch.setattr(doctor_command, "check_machine", lambda folder, config: MACHINE)


@pytest.mark.usefixtures("quick")
def test_the_command_prints_a_line_of_each_finding_and_the_verdict(elboroom: Command, run: Path):
    outcome = elboroom("doctor", run)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[:3] == [
        "ok      versions: some",
        "note    cores: one is taken",
        "        fix: end what keeps it",
    ]
    assert lines[3] == "ok      config.toml: can be read"
    assert lines[-1] == f"{run} is whole"


@pytest.mark.usefixtures("quick")
def test_the_command_ends_with_1_where_something_is_damaged(elboroom: Command, run: Path):
    flip(f"{NEWEST}/model.safetensors")(run)
    outcome = elboroom("doctor", run)
    assert outcome.code == 1
    lines = outcome.out.splitlines()
    assert "damage  step-000012: model.safetensors does not match its manifest" in lines
    assert lines[-1] == f"{run} is not whole"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("damaged", [False, True])
def test_json_says_the_same(elboroom: Command, run: Path, damaged: bool):
    if damaged:
        remove(f"{NEWEST}/manifest.json")(run)
    printed, data_printed = elboroom("doctor", run), elboroom("doctor", run, "--json")
    assert printed.code == data_printed.code == int(damaged)
    data = json.loads(data_printed.out)
    assert data["whole"] is not damaged
    assert list(data) == ["machine", "run", "whole"]
    lines = []
    for finding in data["machine"] + data["run"]:
        lines.append(f"{finding['level']:<6}  {finding['name']}: {finding['found']}")
        lines += [] if finding["fix"] is None else [f"        fix: {finding['fix']}"]
    assert printed.out.splitlines()[:-1] == lines


@pytest.mark.usefixtures("quick")
def test_without_a_run_the_machine_is_checked(elboroom: Command):
    outcome = elboroom("doctor", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out) == {"machine": [f.to_dict() for f in MACHINE], "whole": True}


@pytest.mark.usefixtures("quick")
def test_a_run_that_is_not_there_is_refused(elboroom: Command, tmp_path: Path):
    assert error(elboroom("doctor", tmp_path / "no"), 1)[0] == f"{tmp_path}/no is not a run"


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"k": NaN}'], ids=["nested deeply", "NaN"])
def test_an_evaluation_that_no_reader_takes_is_damage(evaluated: Path, content: bytes):
    (evaluated / "evaluation.json").write_bytes(content)
    assert found(evaluated)["evaluation.json"].level == "damage"


def test_an_evaluation_that_is_a_folder_is_damage_and_no_end(evaluated: Path):
    (evaluated / "evaluation.json").unlink()
    (evaluated / "evaluation.json").mkdir()
    assert found(evaluated)["evaluation.json"].damage
