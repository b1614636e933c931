"""`--best`: the checkpoint of the largest held-out ELBO in place of the newest."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from elboroom import Run
from elboroom.errors import NotDrawableError
from elboroom.figures import gallery
from elboroom.runs.checkpoints import capture
from elboroom.runs.doctor.run_folder import check_run
from tests.support.checkpoint_cases import epoch
from tests.support.command import Command
from tests.support.outcomes import error

BEST, NEWEST = 12, 18
COMMANDS = {
    "evaluate": ["--k", "3"],
    "complete": ["--mask", "top", "--index", "3"],
    "gaps": ["--images", "2", "--k", "100", "--method"],
    "infer": ["--images", "2", "--method", "encoder", "--out", "z.npz"],
}
FIGURES = {
    *("samples", "latent", "interpolation", "contours", "posteriors", "completion", "manifold"),
    *("curves", "reconstructions", "traversal"),
}


@pytest.fixture
def run(run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The trained run after another epoch that was not evaluated, with other weights."""
    monkeypatch.chdir(run.parent)
    opened = Run(run)
    model, state = opened.load_training(opened.load_data())
    for parameter in model.parameters():
        parameter.data *= 0.5
    state.step = NEWEST
    opened.metrics.record(epoch(NEWEST, None))
    opened.write_checkpoint(capture(model, state))
    return run


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are blank."""
    monkeypatch.setattr(gallery, "draw", lambda name, subject: Figure(figsize=(1, 1)))


def printed(elboroom: Command, command: str, run: Path, *options: str) -> dict[str, Any]:
    """Return what a command prints as JSON, without the time and the path of a figure."""
    outcome = elboroom(command, run, *COMMANDS[command], "--json", *options)
    assert (outcome.code, outcome.err) == (0, "")
    Path("z.npz").unlink(missing_ok=True)
    found = json.loads(outcome.out)
    return {name: found[name] for name in found if name not in ("seconds", "figure")}


def steps(run: Path) -> set[int | None]:
    """Return the steps that the results of a run were made from."""
    figures = [f"figures/{path.name}" for path in (run / "figures").iterdir()]
    return {
        Run(run).results.recorded_step(name)
        for name in (*figures, "evaluation.json", "report.html")
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_takes_the_newest_checkpoint_or_the_best_and_says_its_step(
    elboroom: Command, trained: Path, run: Path, tmp_path: Path, command: str
):
    newest, best = printed(elboroom, command, run), printed(elboroom, command, run, "--best")
    assert (newest["step"], best["step"]) == (NEWEST, BEST)
    alone = Path(shutil.copytree(trained, tmp_path / "alone"))
    assert printed(elboroom, command, alone) == best
    assert newest | {"step": BEST} != best


def test_figures_are_of_the_best_and_say_so(
    elboroom: Command, trained: Path, run: Path, tmp_path: Path
):
    alone = Path(shutil.copytree(trained, tmp_path / "alone"))
    assert elboroom("figures", alone, "--only", "samples").code == 0
    assert elboroom("figures", run, "--only", "samples", "--best").code == 0
    assert elboroom("complete", run, "--mask", "top", "--best").code == 0
    for name in ("samples.png", "samples.svg", "complete-top.png", "complete-top.svg"):
        assert Run(run).results.recorded_step(f"figures/{name}") == BEST
    best, same = (path / "figures" / "samples.png" for path in (run, alone))
    assert best.read_bytes() == same.read_bytes()


def test_what_was_evaluated_is_stored_and_printed_with_its_step(elboroom: Command, run: Path):
    outcome = elboroom("evaluate", run.name, "--k", 3, "--best")
    assert " ".join(outcome.out.splitlines()[2].split()) == "┃ quantity ┃ run, step 12 ┃"
    assert json.loads((run / "evaluation.json").read_text())["step"] == BEST


def test_other_runs_are_compared_by_their_best_too(elboroom: Command, trained: Path, run: Path):
    shutil.copytree(run, "worse")
    shutil.copytree(trained, "once")
    compare = ["--compare", "worse", "once"]
    best, newest = (printed(elboroom, "evaluate", run, *o, *compare) for o in (["--best"], []))
    assert best["steps"] == {"worse": BEST, "once": BEST}
    assert newest["steps"] == {"worse": NEWEST, "once": BEST}
    means = {n: found["elbo"]["mean"] for n, found in newest["differences"].items()}
    assert means["worse"] == 0 != means["once"]
    assert all(found["elbo"]["mean"] == 0 for found in best["differences"].values())


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "before", [["evaluate", "--k", "3"], ["figures", "--only", "samples", "curves"], ["report"]]
)
@pytest.mark.parametrize("option", [[], ["--best"]])
def test_a_report_is_of_one_checkpoint_whatever_was_made_before(
    elboroom: Command, run: Path, before: list[str], option: list[str]
):
    other = [] if option else ["--best"]
    assert elboroom(before[0], run, *before[1:], *other).code == 0
    assert elboroom("report", run, *option).code == 0
    step = BEST if option else NEWEST
    assert steps(run) == {step}
    assert Run(run).results.figures().keys() == FIGURES
    assert f"of the model at step {step}." in (run / "report.html").read_text()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("option", [[], ["--best"]])
def test_a_report_keeps_what_was_made_of_its_checkpoint(
    elboroom: Command, run: Path, option: list[str]
):
    assert elboroom("evaluate", run, "--k", 3, *option).code == 0
    assert elboroom("report", run, *option).code == 0
    kept = [run / "evaluation.json", *(run / "figures").iterdir()]
    times = [path.stat().st_mtime_ns for path in kept]
    assert elboroom("report", run, *option).out == f"open {run}/report.html\n"
    assert [path.stat().st_mtime_ns for path in kept] == times
    assert json.loads(kept[0].read_text())["k"] == 3


@pytest.mark.usefixtures("quick")
def test_a_result_is_current_for_its_checkpoint_and_curves_for_the_newest_too(
    elboroom: Command, run: Path
):
    assert elboroom("report", run, "--best").code == 0
    files = ("evaluation.json", "report.html", "figures/samples.png", "figures/curves.png")
    assert [[Run(run).results.is_current(n, s) for n in files] for s in (BEST, NEWEST)] == [
        [True] * 4,
        4 * [0],
    ]
    opened = Run(run)
    model, state = opened.new_training(opened.load_data())
    state.step = NEWEST + 1
    opened.write_checkpoint(capture(model, state))
    assert [Run(run).results.is_current(name, BEST) for name in files] == [True, True, True, False]


COSTLY = {
    "more samples": ["--k", "21"],
    "annealed": ["--k", "3", "--ais", "2", "--distributions", "3"],
    "certified": ["--k", "3", "--certify", "2", "--distributions", "3"],
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("option", [[], ["--best"]])
@pytest.mark.parametrize("costly", COSTLY.values(), ids=COSTLY)
def test_a_report_of_another_step_keeps_an_evaluation_that_took_longer(
    elboroom: Command, run: Path, costly: list[str], option: list[str]
):
    of, step = (NEWEST, BEST) if option else (BEST, NEWEST)
    assert elboroom("evaluate", run, *costly, *([] if option else ["--best"])).code == 0
    kept = {name: (run / name).read_bytes() for name in ("evaluation.json", "evaluation.npz")}
    outcome = elboroom("report", run, *option)
    assert outcome.out.splitlines()[0] == (
        f"evaluation.json, of step {of} with K = {costly[1]}, is kept; the page has K = 20; "
        f"`elboroom evaluate {run}{' --best' * bool(option)}` evaluates step {step}"
    )
    assert {name: (run / name).read_bytes() for name in kept} == kept
    page = (run / "report.html").read_text()
    assert f"of the model at step {step}." in page
    assert "IWAE bound, K = 20<" in page
    assert Run(run).results.recorded_step("report.html") == step


@pytest.mark.usefixtures("quick")
def test_a_copied_run_keeps_its_evaluation(elboroom: Command, run: Path):
    assert elboroom("evaluate", run, "--k", 21).code == 0
    shutil.copytree(run, "copy", copy_function=shutil.copyfile)
    before = Path("copy", "evaluation.json").read_bytes()
    assert elboroom("report", "copy").code == 0
    assert Path("copy", "evaluation.json").read_bytes() == before
    assert "IWAE bound, K = 21<" in Path("copy", "report.html").read_text()


def test_a_report_shows_no_figure_of_another_step_that_cannot_be_drawn_again(
    elboroom: Command, run: Path, monkeypatch: pytest.MonkeyPatch
):
    def draw(name: str, subject: gallery.Subject) -> Figure:
        if name == "contours" and not first:
            raise NotDrawableError("it cannot be drawn", why="it is so", fix="draw others")
        return Figure(figsize=(1, 1))

    monkeypatch.setattr(gallery, "draw", draw)
    first = True
    assert elboroom("report", run, "--best").code == 0
    assert 'id="contours"' in (run / "report.html").read_text()
    first = False
    outcome = elboroom("report", run)
    assert "left out: contours, because it is so" in outcome.out
    page = (run / "report.html").read_text()
    assert page.count("<figure ") == len(FIGURES) - 1
    assert 'id="contours"' not in page


@pytest.mark.usefixtures("quick")
def test_results_that_are_not_listed_are_made_again(elboroom: Command, run: Path):
    assert elboroom("evaluate", run, "--k", 3).code == 0
    assert elboroom("report", run).code == 0
    assert json.loads((run / "evaluation.json").read_text())["k"] == 3
    listed = (run / "results.json").read_bytes()
    (run / "results.json").unlink()
    outcome = elboroom("report", run)
    assert outcome.out.count("figures/") == len(FIGURES)
    assert json.loads((run / "evaluation.json").read_text())["k"] == 20
    assert (run / "results.json").read_bytes() == listed


@pytest.mark.parametrize("command", [*COMMANDS, "figures", "report"])
def test_without_an_evaluated_checkpoint_there_is_no_best(
    elboroom: Command, run: Path, command: str
):
    shutil.rmtree(run / "checkpoints" / f"step-{BEST:06d}")
    before = sorted(run.rglob("*"))
    assert error(elboroom(command, run, *COMMANDS.get(command, []), "--best"), 1) == [
        f"no checkpoint of {run} is known to be the best",
        "none was written at the end of an epoch that had a held-out ELBO",
        "load the newest, or train with a smaller --evaluate-every",
    ]
    assert sorted(run.rglob("*")) == before


@pytest.mark.usefixtures("quick")
def test_doctor_names_the_checkpoint_that_a_result_was_made_from(elboroom: Command, run: Path):
    def results() -> dict[str, tuple[str, str]]:
        found = {finding.name: finding for finding in check_run(run)}
        names = ("evaluation.json", "evaluation.npz", "report.html", "figures")
        return {name: (found[name].level, found[name].found) for name in names}

    assert elboroom("report", run, "--best").code == 0
    best = ("ok", "made from the best checkpoint")
    assert set(list(results().values())[:3]) == {best}
    assert results()["figures"] == ("ok", f"20 files, {best[1]}")
    assert elboroom("figures", run, "--only", "samples").code == 0
    both = "made from the best checkpoint and the newest checkpoint"
    assert results()["figures"] == ("ok", f"20 files, {both}")
    assert elboroom("evaluate", run, "--k", 3).code == 0
    newest = ("ok", "made from the newest checkpoint")
    assert (results()["evaluation.json"], results()["evaluation.npz"]) == (newest, newest)
    shutil.rmtree(run / "checkpoints" / f"step-{BEST:06d}")
    assert results()["report.html"] == ("note", "older than the newest checkpoint")
    assert results()["figures"][1].startswith("older than the newest checkpoint: completion.png, ")
