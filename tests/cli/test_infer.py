"""`elboroom infer`, and `complete` by several methods."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from elboroom import Run, half_mask, infer
from elboroom.infer import methods
from elboroom.infer.encoder import encoder
from tests.support.command import Command
from tests.support.infer_command import inferred, refused
from tests.support.oracles import assert_mean, assert_rejected
from tests.support.outcomes import error

IMAGES = 30


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten chains to fifty draws, which are enough for a file."""
    monkeypatch.setattr(methods, "_CHAIN_LENGTH", 50)


def test_the_file_has_draws_and_diagnostics(elboroom: Command, run: Path, out: Path):
    found = inferred(elboroom, run, out, "--mask", "left", "--draws", "400")
    expected = {
        "z",
        "mean",
        "index",
        "row",
        "mask",
        "summary",
        "elbo",
        "elbo_standard_error",
        "converged",
    }
    assert found.keys() == expected
    assert found["z"].shape == (1, 400, IMAGES, 2)
    assert found["index"].tolist() == list(range(IMAGES))
    assert np.array_equal(found["mask"], half_mask("left", (1, 8, 8)).numpy())
    data, model = Run(run).load_data(), Run(run).load_model()
    x, mask = data.test.x, half_mask("left", data.event_shape)
    alike = infer.svi(model, x, mask, generator=torch.Generator().manual_seed(9))
    np.testing.assert_allclose(found["elbo"], alike.elbo, atol=0.3)
    z, mean = torch.from_numpy(found["z"][0]), torch.from_numpy(found["mean"])
    assert_mean(z, mean)
    assert_rejected(lambda: assert_mean(z, mean.flip(0)))


@pytest.mark.parametrize(("method", "kept", "chains"), [("hmc", 200, 4), ("sir", 1_000, 1)])
def test_diagnostics_name_the_draws_that_they_are_of(
    elboroom: Command, run: Path, out: Path, method: str, kept: int, chains: int
):
    """Seven draws of each chain are stored; R̂ and ESS are those of all that the method kept."""
    outcome = elboroom(
        *("infer", run, "--out", out, "--images", "2", "--draws", "7", "--method", method)
    )
    assert f"from {kept:,} draws of each row; the file has {7 * chains}" in outcome.out
    with np.load(out) as found:
        assert found["z"].shape[:2] == (chains, 7)
        assert found["kept_draws"].tolist() == [kept, kept]
        assert found["ess"].max() > 7 * chains


def test_a_fit_has_no_draws_of_its_own(elboroom: Command, run: Path, out: Path):
    outcome = elboroom("infer", run, "--out", out, "--images", "2", "--draws", "7")
    assert "; the file has" not in outcome.out
    with np.load(out) as found:
        assert "kept_draws" not in found


def test_the_summary_is_printed_and_stored(elboroom: Command, run: Path, out: Path):
    outcome = elboroom("infer", run, "--out", out, "--images", "3", "--json", "--method", "encoder")
    printed = json.loads(outcome.out)
    assert printed.pop("file") == str(out)
    with np.load(out) as found:
        assert json.loads(str(found["summary"])) == printed
        elbo = found["elbo"].astype(np.float64)
    known = printed.pop("known")
    assert known["elbo"]["mean"] == pytest.approx(elbo.mean())
    assert known["elbo"]["standard_error"] == pytest.approx(elbo.std(ddof=1) / np.sqrt(3))
    assert known["elbo"]["smallest"] == pytest.approx(elbo.min())
    assert known["converged"]["mean"] == 1.0
    assert printed.pop("identity")["source"] == "digits.npz"
    assert printed.pop("seconds") > 0
    assert printed == {
        "step": 12,
        "part": "test",
        "images": 3,
        "mask": None,
        "seed": 0,
        "unit": "nats per image",
        "method": "encoder",
        "draws": 100,
        "chains": 1,
    }


def test_the_table_has_the_evidence_and_its_error(elboroom: Command, run: Path, out: Path):
    outcome = elboroom("infer", run, "--out", out, "--mask", "top", "--method", "grid")
    title, *rows, path = outcome.out.splitlines()
    assert title.strip() == (
        "digits.npz, threshold binarisation, stratified split, 30 test images, top seen, "
        "step 12, grid"
    )
    assert any(row.startswith("│ log p(seen) ") for row in rows)
    assert any(row.startswith("│ log evidence error ") for row in rows)
    assert path == str(out)


def test_chains_are_kept_apart(elboroom: Command, run: Path, out: Path):
    options = ["--mask", "top", "--method", "pseudo-gibbs", "--draws", "6", "--index", "7", "2"]
    found = inferred(elboroom, run, out, *options)
    assert found["z"].shape == (4, 6, 2, 2)
    assert found["index"].tolist() == [7, 2]
    assert {"rhat", "ess"} < found.keys()
    assert not {"elbo", "log_evidence"} & found.keys()


def test_the_same_seed_gives_the_same_arrays(elboroom: Command, run: Path, tmp_path: Path):
    files = [tmp_path / "a.npz", tmp_path / "b.npz", tmp_path / "c.npz"]
    options = ["--mask", "top", "--images", "4"]
    first, again, other = (
        inferred(elboroom, run, path, *options, "--seed", seed)
        for path, seed in zip(files, "001", strict=True)
    )
    assert all(np.array_equal(first[n], again[n]) for n in first.keys() - {"summary"})
    assert not np.array_equal(first["z"], other["z"])


def test_batches_are_joined_in_order_and_have_different_noise(
    elboroom: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    options = ["--mask", "top", "--method", "encoder"]
    whole = inferred(elboroom, run, tmp_path / "a.npz", *options)
    few = replace(methods.REGISTRY["encoder"], most_rows=13)
    monkeypatch.setitem(methods.REGISTRY, "encoder", few)
    parts = inferred(elboroom, run, tmp_path / "b.npz", *options)
    np.testing.assert_allclose(parts["mean"], whole["mean"], rtol=1e-5, atol=1e-6)
    model, data = Run(run).load_model(), Run(run).load_data()
    mask = half_mask("top", data.event_shape)
    std = encoder(model, data.test.x, mask, generator=torch.Generator()).q.log_std.exp()
    eps = (parts["z"][0] - parts["mean"]) / std.detach().numpy()
    assert not np.isclose(eps[:, :13], eps[:, 13:26]).any()


def test_a_file_in_the_way_is_kept(elboroom: Command, run: Path, out: Path):
    out.write_bytes(b"mine")
    assert refused(elboroom, run, out, code=1) == [
        f"{out} is in the way",
        "results are never written over another file",
        "give another path, or delete the file",
    ]
    assert out.read_bytes() == b"mine"


def test_a_folder_that_is_missing_is_refused_before_any_work(
    elboroom: Command, run: Path, tmp_path: Path
):
    folder = tmp_path / "none"
    assert refused(elboroom, run, folder / "z.npz", code=1) == [
        f"{folder / 'z.npz'} cannot be written",
        f"the folder {folder} does not exist",
        "create the folder, or give another path",
    ]


def test_a_disk_that_is_full_leaves_no_file(
    elboroom: Command, run: Path, out: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert refused(elboroom, run, out, "--method", "encoder", code=1) == [
        f"{out} cannot be written",
        "the disk is full: [Errno 28] No space left on device",
        "free some space, or write elsewhere",
    ]


@pytest.mark.parametrize(
    ("options", "option", "expected"),
    [
        (["--images", "0"], "--images 0", "images must be 1 or more"),
        (["--draws", "0"], "--draws 0", "draws must be 1 or more"),
        (["--seed", "-1"], "--seed -1", "seed must be in [0, 2^63)"),
        (
            ["--images", "2", "--index", "1"],
            "--index (1,)",
            "index must be omitted with --images",
        ),
    ],
)
def test_an_option_out_of_range_is_refused(
    elboroom: Command, run: Path, out: Path, options: list[str], option: str, expected: str
):
    what, why, _ = refused(elboroom, run, out, *options)
    assert (what, why) == (f"{option} cannot be used", expected)


def test_an_out_path_that_does_not_end_in_npz_is_refused(
    elboroom: Command, run: Path, tmp_path: Path
):
    what, why, _ = refused(elboroom, run, tmp_path / "z.csv")
    assert what == f"--out {tmp_path / 'z.csv'} cannot be used"
    assert why == "out must be the path of an .npz file"


def test_a_method_that_does_not_exist_is_refused(elboroom: Command, run: Path, out: Path):
    outcome = elboroom("infer", run, "--out", out, "--method", "guess")
    assert (outcome.code, outcome.out) == (2, "")
    assert "invalid choice 'guess' for argument '--method'" in outcome.err


def test_completions_by_several_methods_are_shown_side_by_side(elboroom: Command, run: Path):
    options = ["--mask", "top", "--index", "4", "1", "--method", "svi", "grid", "pseudo-gibbs"]
    outcome = elboroom("complete", run, *options)
    assert (outcome.code, outcome.err) == (0, "")
    cells = [[c.strip() for c in row.split("│")[1:-1]] for row in outcome.out.splitlines()]
    rows = [row for row in cells if row]
    assert [row[::2][:2] for row in rows] == [
        [f"test image {i}", method] for i in (4, 1) for method in ("svi", "grid", "pseudo-gibbs")
    ]
    assert [row[3].rpartition(" ")[0] for row in rows[:3]] == ["ELBO", "log p", ""]
    assert outcome.out.splitlines()[-1] == f"{run}/figures/complete-top.png and .svg"


def test_completions_as_json_have_their_score(elboroom: Command, run: Path):
    options = ["--mask", "top", "--index", "4", "1", "--json", "--method"]
    printed = json.loads(elboroom("complete", run, *options, "grid", "encoder").out)
    assert printed["figure"] == f"{run}/figures/complete-top.png"
    found = printed["completions"]
    assert [(c["name"], c["method"]) for c in found[:2]] == [
        ("test image 4", "grid"),
        ("test image 4", "encoder"),
    ]
    model, data = Run(run).load_model(), Run(run).load_data()
    x, mask = data.test.rows([4, 1]).x, half_mask("top", data.event_shape)
    noise = torch.Generator().manual_seed(0)
    whole, seen = (infer.grid(model, x, m, generator=noise).log_evidence for m in (None, mask))
    # log p(unseen | seen) = log p(x) − log p(seen)
    for c, truth in zip(found[::2], (whole - seen).tolist(), strict=True):
        assert c["score_kind"] == c["own_score_kind"] == "exact"
        assert c["score"] == c["own_score"] == pytest.approx(truth, abs=2e-3)
    for c, truth in zip(found[1::2], (whole - seen).tolist(), strict=True):
        assert c["score_kind"] == "estimate"
        assert abs(c["score"] - truth) < 4.5 * c["score_standard_error"] + 2e-3
        reliable = c["own_score_kind"] in ("exact", "estimate")
        assert (c["own_score_standard_error"] is not None) == reliable
    torch.testing.assert_close(
        torch.tensor([c["log_evidence"] for c in found[::2]], dtype=torch.float64),
        seen,
        atol=1e-3,
        rtol=0,
    )


def test_a_completion_does_not_depend_on_the_other_methods(elboroom: Command, run: Path):
    options = ["--mask", "top", "--index", "4", "--json", "--method"]
    alone, *_ = json.loads(elboroom("complete", run, *options, "svi").out)["completions"]
    *_, beside = json.loads(elboroom("complete", run, *options, "sir", "svi").out)["completions"]
    assert alone == beside


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "method must be 1 to 6 methods, and one method with --out"),
        (["svi", "svi"], "method must be different methods"),
    ],
)
def test_no_methods_and_repeated_methods_are_refused(
    elboroom: Command, run: Path, names: list[str], expected: str
):
    outcome = elboroom("complete", run, "--mask", "top", "--method", *names)
    assert error(outcome, 2)[:2] == [f"--method {' '.join(names)} cannot be used", expected]


def test_a_large_file_is_announced_before_it_is_made(
    elboroom: Command, run: Path, out: Path, monkeypatch: pytest.MonkeyPatch
):
    options = ["infer", run, "--out", out, "--images", "3", "--draws", "256", "--method", "encoder"]
    monkeypatch.setattr("elboroom.cli.infer._LARGE", 256 * 3 * 2 * 4 - 1)
    outcome = elboroom(*options)
    assert outcome.code == 0
    assert "the file will hold 6.0 KiB of draws: 1 × 256 of 3 rows of 2 latents" in outcome.err
    with np.load(out) as found:
        assert found["z"].nbytes == 6 << 10


def test_draws_that_do_not_fit_in_memory_are_refused_at_once(
    elboroom: Command, run: Path, out: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("elboroom.cli.infer.run_in_batches", lambda *given, **named: None)
    what, why, fix = refused(elboroom, run, out, "--draws", "1000000000", "--method", "hmc")
    assert what.startswith("draws = 1,000,000,000 and images = 30: at least")
    assert "4 × 1,000,000,000 × 30 × 2" in why
    assert fix == "give a smaller draws or images"
