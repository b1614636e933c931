"""Hostile config.toml, metrics.jsonl, evaluation.json and results.json of a run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from elboroom.runs.report import render
from elboroom.runs.run import Run
from tests.hostile.case import Case
from tests.support.small_run import EVALUATION, small_run

Edit = Callable[[bytes], bytes]


def model(path: Path) -> Any:
    return Run(path).load_model()


def history(path: Path) -> Any:
    return Run(path).metrics.history()


def report(path: Path) -> Any:
    return render(Run(path))


def edited(name: str, edit: Edit) -> Callable[[Path], Path]:
    """Return a maker of a run in which one file is changed."""

    def make(folder: Path) -> Path:
        path = small_run(folder / "run")
        (path / name).write_bytes(edit((path / name).read_bytes()))
        return path

    return make


def swap(old: str, new: str) -> Edit:
    """Return an edit that replaces one line, which must be there."""

    def edit(content: bytes) -> bytes:
        text = content.decode()
        assert old in text, old
        return text.replace(old, new, 1).encode()

    return edit


def only(content: bytes) -> Edit:
    return lambda whole: content


def more(content: bytes) -> Edit:
    return lambda whole: whole + content


DOTS = ".".join("a" * 4_000)
HIDDEN = "hidden = [\n    5,\n]"
ROOM, TYPE, READ = "networks of config.toml take", "must be of type", "cannot be read"
EVENT = "shape = [\n    1,\n    4,\n    4,\n]"
FULL, LATENTS = swap('"diagonal"', '"full"'), swap("latents = 2", "latents = 100000")
PRIOR = 'prior = "standard"\ncomponents = 100'
CONFIG: list[tuple[str, Edit, str]] = [
    ("nothing", only(b""), READ),
    ("bytes", only(b"\xff\xfe\0"), "can't decode"),
    ("a lone surrogate", more(b'x = "\\ud800"'), READ),
    ("no table closed", swap("[model]", "[model"), "Expected ']'"),
    ("megabytes", more(b"#" * (1 << 21)), "bytes long; at most 1,048,576 are allowed"),
    ("arrays, deeply nested", more(b"x = " + b"[" * 7_000), "nested too deeply"),
    ("tables, deeply nested", more(b"x = " + b"{a=" * 4_000), "nested too deeply"),
    ("keys, deeply nested", more(f"[x]\n{DOTS} = 1".encode()), "nested too deeply"),
    ("tables of tables", more(f"[{DOTS}]\n".encode()), "nested too deeply"),
    ("tables within, deeply", more(f"x = {{{DOTS} = 1}}".encode()), ""),
    ("an option twice", swap("latents = 2", "latents = 2\nlatents = 2"), "Cannot overwrite"),
    ("an integer of 5,000 digits", swap("latents = 2", "latents = 1" + "0" * 5_000), READ),
    ("an integer of 10,000 bits", swap("latents = 2", "latents = 0x" + "f" * 2_500), TYPE),
    ("an integer of 40,000 bits", swap("latents = 2", "latents = 0x" + "f" * 10_000), TYPE),
    ("an unknown option", swap("latents = 2", "latents = 2\nrun = 'x'"), "unknown option run"),
    ("an option that moves the cursor", swap("latents", '"\\u001b[2J"'), r"option \x1b[2J"),
    ("latents that are text", swap("latents = 2", "latents = '2'"), TYPE),
    ("latents that are true", swap("latents = 2", "latents = true"), TYPE),
    ("latents that are a float", swap("latents = 2", "latents = 2.0"), TYPE),
    ("latents that are a date", swap("latents = 2", "latents = 1979-05-27"), TYPE),
    ("latents that are a table", swap("latents = 2", "latents = {}"), TYPE),
    ("no latents", swap("latents = 2", "latents = 0"), "1 or more"),
    ("2^40 latents", swap("latents = 2", "latents = 1099511627776"), ROOM),
    ("2^63 latents", swap("latents = 2", "latents = 9223372036854775808"), TYPE),
    ("10^5 correlated latents", lambda whole: FULL(LATENTS(whole)), ROOM),
    ("widths that are a number", swap(HIDDEN, "hidden = 5"), TYPE),
    ("widths that are text", swap(HIDDEN, "hidden = ['5']"), TYPE),
    ("widths that are nested", swap(HIDDEN, "hidden = [[5]]"), TYPE),
    ("a negative width", swap(HIDDEN, "hidden = [-5]"), "widths of 1 or more"),
    ("a width of 10^9", swap(HIDDEN, "hidden = [1000000000]"), ROOM),
    ("two widths of 10^5", swap(HIDDEN, "hidden = [100000, 100000]"), ROOM),
    ("3,000 layers", swap(HIDDEN, f"hidden = [{'5,' * 3_000}]"), ROOM),
    ("10^9 components", swap(PRIOR, 'prior = "mixture"\ncomponents = 1000000000'), ROOM),
    ("10^9 images", swap(PRIOR, 'prior = "vamp"\ncomponents = 1000000000'), ROOM),
    ("10^9 components of no mixture", swap("components = 100", "components = 1000000000"), ""),
    ("an unknown activation", swap('"tanh"', '"os.system"'), TYPE),
    ("an activation that is a list", swap('"tanh"', '["tanh"]'), TYPE),
    ("no number of noise", swap("latents = 2", "latents = 2\nnoise = nan"), "noise must be"),
    ("a source that is a number", swap("source = ", "source = 3 # "), TYPE),
    ("a memory that is text", swap("memory = 2.0", "memory = '2'"), TYPE),
    ("a negative memory", swap("memory = 2.0", "memory = -2.0"), "0 or more"),
    ("a seed of 2^63", swap("seed = 0", "seed = 9223372036854775808"), TYPE),
    ("a negative seed", swap("seed = 0", "seed = -1"), "in [0, 2^63)"),
    ("epochs that are text", swap("epochs = ", "epochs = '3' # "), TYPE),
    ("minutes that are text", swap("epochs = ", "minutes = '1'\nepochs = "), TYPE),
    ("minutes without end", swap("epochs = ", "minutes = inf\nepochs = "), "a positive number"),
    ("two models", swap("[model]", "[[model]]"), "expected a table of options"),
    ("no event", swap("[event]", "[elsewhere]"), "'event'"),
    ("an event that is text", swap(EVENT, "shape = '1'"), TYPE),
    ("an event of 10^18 pixels", swap(EVENT, "shape = [1, 1000000000, 1000000000]"), ROOM),
    ("an event of nothing", swap(EVENT, "shape = [1, 0, 4]"), "cannot have the shape"),
    ("an event without axes", swap(EVENT, "shape = []"), "cannot have the shape"),
    ("an event of 9 axes", swap(EVENT, "shape = [1, 1, 1, 1, 1, 1, 1, 4, 4]"), "cannot have"),
    ("an event of floats", swap(EVENT, "shape = [1.0, 4.0, 4.0]"), TYPE),
    ("no identity", swap("[identity]", "[identities]"), "'identity'"),
    ("an identity with less", swap("sha256 = ", "# "), "sha256 is missing"),
    ("an identity with more", swap("[identity]", "[identity]\nmore = 1"), "unknown option more"),
    ("test images that are text", swap("test_images = ", "test_images = '3' # "), TYPE),
]


def line(**changed: Any) -> bytes:
    """Return a line of metrics with some values changed."""
    kept = {"epoch": 3, "step": 3, "elbo": 0.0, "reconstruction": 0.0, "kl": 0.0, "bound": 0.0}
    rest = {"beta": 1.0, "learning_rate": 0.1, "held_out_elbo": None, "images_per_second": 1.0}
    return json.dumps({**kept, **rest, **changed}).encode() + b"\n"


DEEP = b"[" * 30_000
METRICS: list[tuple[str, bytes, str]] = [
    ("a line of megabytes", b" " * (2 << 20) + b"\n", "a line of metrics.jsonl"),
    ("no table", b"[]\n", "expected a table of options"),
    ("no JSON", b"epoch: 3\n", READ),
    ("nothing in a line", b"\n", READ),
    ("nested deeply", DEEP + b"\n", "nested too deeply"),
    ("nested deeply, in tables", b'{"a":' * 9_000 + b"\n", "nested too deeply"),
    ("no text", b"\xff\xfe\n", "can't decode"),
    ("an integer of 5,000 digits", line().replace(b": 3", b": " + b"9" * 5_000), READ),
    ("a name twice", line().replace(b'"kl"', b'"elbo"'), "gives a name twice"),
    ("a name less", line().replace(b'"kl": 0.0, ', b""), "kl is missing"),
    ("a name more", line(run="x"), "unknown option run"),
    ("a step that is text", line(step="3"), "step cannot be '3'"),
    ("a step that is true", line(step=True), "step cannot be True"),
    ("a step of 2^63", line(step=2**63), "step cannot be 9223372036854775808"),
    ("an ELBO of 10^400", line(elbo=10**400), "elbo cannot be 1000"),
    ("a held-out ELBO that was none", line(held_out_elbo=float("nan")), ""),
    ("a line cut short", line()[:-9], ""),
]


def evaluation(**changed: Any) -> bytes:
    """Return an evaluation with some fields changed."""
    return json.dumps({"step": 2, "model": None, **EVALUATION, **changed}).encode()


def elbo(**changed: Any) -> bytes:
    return evaluation(estimates={"elbo": {"mean": 0.0, "standard_error": None, **changed}})


JSON: list[tuple[str, bytes, str]] = [
    ("nothing", b"", READ),
    ("megabytes", b"[" + b"0," * (3 << 20), "bytes long; at most 4,194,304 are allowed"),
    ("a number", b"3", TYPE),
    ("nested deeply", DEEP, "nested too deeply"),
    ("nested deeply, in tables", b'{"a":' * 9_000, "nested too deeply"),
    ("no text", b'{"k": "\xff"}', "can't decode"),
    ("another encoding", evaluation().decode().encode("utf-16"), "can't decode"),
    ("NaN", b'{"k": NaN}', "NaN is not JSON"),
    ("infinity", b'{"k": -Infinity}', "-Infinity is not JSON"),
    ("a number of 5,000 digits", b'{"k": ' + b"9" * 5_000 + b"}", READ),
    ("a name twice", b'{"k": 1, "k": 2}', "gives a name twice"),
    ("more after its end", evaluation() + b"{}", "Extra data"),
    ("a mark at its start", b"\xef\xbb\xbf" + evaluation(), READ),
    ("no samples", evaluation(k=None), "k cannot be None"),
    ("a subset that is a number", evaluation(subset=3), "subset cannot be 3"),
    ("a subset without its size", evaluation(subset={"k_all": 5}), "is missing from Subset"),
    ("a partial one that counts nothing", evaluation(partial={"images": None}), "is missing from"),
    ("a step that is text", evaluation(step="2"), "step cannot be '2'"),
    ("no step", json.dumps(EVALUATION).encode(), "step"),
    ("samples that are text", evaluation(k="{k.__class__}"), "k cannot be '{k"),
    ("a unit that is a list", evaluation(unit=["nats"]), "unit cannot be"),
    ("a unit of half a letter", evaluation(unit="\ud800"), "unit cannot be"),
    ("a unit of HTML", evaluation(unit="<script>"), ""),
    ("estimates that are a list", evaluation(estimates=[1]), "estimates cannot be"),
    (
        "an unknown estimate",
        evaluation(estimates={"x": {"mean": 0.0, "standard_error": 0.0}}),
        "'x'",
    ),
    ("an estimate without a mean", evaluation(estimates={"elbo": {}}), "'mean'"),
    ("a mean that is text", elbo(mean="{0}"), "estimates cannot be"),
    ("a mean of 10^400", elbo(mean=10**400), "estimates cannot be"),
    ("a mean of 10^308", elbo(mean=1e308), ""),
]


def entry(**changed: Any) -> bytes:
    """Return a list of results whose only entry has some fields changed."""
    fields = {"step": 2, "model": None, "newest": 2, **changed}
    return json.dumps({"figures/samples.png": fields}).encode()


RESULTS: list[tuple[str, bytes, str]] = [
    ("nothing", b"", READ),
    ("megabytes", b"{" + b" " * (2 << 20) + b"}", "bytes long; at most 1,048,576 are allowed"),
    ("a list", b"[]", "results cannot be"),
    ("a number", b"3", "results cannot be"),
    ("nested deeply", DEEP, "nested too deeply"),
    ("nested deeply, in tables", b'{"a":' * 9_000, "nested too deeply"),
    ("no text", b'{"k": "\xff"}', "can't decode"),
    ("a file twice", b'{"a": {}, "a": {}}', "gives a name twice"),
    ("an entry that is a list", b'{"figures/samples.png": []}', "Provenance"),
    ("an entry that is text", b'{"x": "y"}', "Provenance"),
    ("an entry with less", b'{"x": {"step": 1, "model": null}}', "newest"),
    ("an entry with more", entry(run="x"), "unknown option run"),
    ("a step that is text", entry(step="2"), "step cannot be"),
    ("a step that is true", entry(step=True), "step cannot be"),
    ("a step of NaN", entry(step=float("nan")), "NaN is not JSON"),
    ("a step of 2^63", entry(step=2**63), "step cannot be"),
    ("a negative step", entry(step=-1), ""),
    ("a model that is a list", entry(model=["x"]), "model cannot be"),
    ("a model of another run", entry(model="0" * 16), ""),
    ("a newest step that is text", entry(newest="2"), "newest cannot be"),
    ("a file outside", b'{"../../x": {"step": 2, "model": null, "newest": 2}}', ""),
    ("a file of any name", b'{"\\u0000": {"step": 2, "model": null, "newest": 2}}', ""),
]
CASES = [
    *(Case(f"config {n}", edited("config.toml", edit), model, told) for n, edit, told in CONFIG),
    *(
        Case(f"metrics {name}", edited("metrics.jsonl", more(content)), history, told)
        for name, content, told in METRICS
    ),
    *(
        Case(f"evaluation {name}", edited("evaluation.json", only(content)), report, told)
        for name, content, told in JSON
    ),
    *(
        Case(f"results {name}", edited("results.json", only(content)), report, told)
        for name, content, told in RESULTS
    ),
]
