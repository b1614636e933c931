"""The answers of the JSON interface, against the library's own."""

import json
import time
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch

from elboroom import infer
from elboroom.explorer import explored_run
from elboroom.explorer.api.completion import CompletionRequest
from elboroom.explorer.api.description import describe
from elboroom.explorer.api.endpoints import is_slow
from elboroom.explorer.api.requests import Nothing
from elboroom.explorer.api.samples import SamplesRequest
from elboroom.explorer.number_array import NumberArray
from elboroom.randomness import fork, stream
from tests.explorer.asking import array, ask, tell

EVERY = pytest.mark.parametrize("name", ["plane", "space", "ladder"])


def tones(x):
    return (255 * x.clamp(0, 1)).round().to(torch.uint8)


def half_seen(explored, row=3):
    x = explored.part.x[row]
    seen = torch.zeros_like(x, dtype=torch.bool)
    seen[:, :3] = True
    return x, seen, {"x": x.flatten().tolist(), "seen": seen.int().flatten().tolist()}


@pytest.mark.parametrize("kind", [torch.float32, torch.uint8, torch.int64, torch.bool])
def test_an_array_comes_back_as_it_was(kind):
    values = (torch.arange(24).view(2, 3, 4) % 5).to(kind)
    found = NumberArray.of(values)
    sent = json.loads(msgspec.json.encode(found))
    np.testing.assert_array_equal(array(sent).numpy(), values.numpy())
    assert found.shape == [2, 3, 4]


def test_the_runs_are_listed(client):
    names = ["plane", "space", "ladder"]
    assert client.get("/api/runs").json()["runs"] == [{"id": n, "name": n} for n in names]


@EVERY
def test_a_run_is_described(client, explored, name):
    found, model = ask(client, name), explored[name].model
    assert found["latents"] == model.latents == sum(map(np.prod, found["levels"]))
    assert found["event_shape"] == [1, 6, 6]
    assert found["kind"] == "pictures"
    assert found["rows"] == found["of"] == 20
    assert [c["rows"] for c in found["classes"]] == [10, 10]
    assert found["tones"] == {"low": 0.0, "high": 1.0}
    assert ("grid" in [m["name"] for m in found["methods"]]) == (model.latents == 2)
    assert found["config"]["model"]["latents"] == explored[name].run.config.model.latents
    assert not found["live"]


@EVERY
def test_the_map_has_the_encoded_means(client, explored, name):
    one = explored[name]
    found = ask(client, name, "/map", axes="0,1")
    assert found["names"] == ["z₁", "z₂"]
    means = one.model.posterior(one.part.x).mean
    torch.testing.assert_close(array(found["points"]), means[:, :2].detach())
    assert array(found["labels"]).tolist() == one.part.labels.tolist()


def test_principal_components_are_those_of_the_covariance(client, explored):
    means = explored["space"].means.double()
    _, vectors = torch.linalg.eigh(means.T.cov())
    expected = (means - means.mean(0)) @ vectors[:, -2:].flip(-1)
    found = array(ask(client, "space", "/map", axes="pca")["points"]).double()
    torch.testing.assert_close(found.abs(), expected.abs(), atol=1e-4, rtol=1e-4)


def test_a_point_of_a_plane_is_decoded_at_its_z(client, explored):
    one = explored["space"]
    z = torch.tensor([[0.0, 0.7, 0.0, -1.5, 0.0]])
    found = tell(client, "space", "/decode", points=[[-1.5, 0.7]], axes="3,1")
    expected = tones(one.model.decode(z).mean)
    assert torch.equal(array(found["images"]), expected)
    found = tell(client, "space", "/decode", z=z.tolist())
    assert torch.equal(array(found["images"]), expected)


def test_the_manifold_begins_at_the_top_left(client):
    options = {"left": -1.0, "right": 1.0, "bottom": 0.0, "top": 3.0, "side": 2}
    tiles = array(ask(client, "plane", "/manifold", **options)["images"])
    centres = [[-0.5, 2.25], [0.5, 2.25], [-0.5, 0.75], [0.5, 0.75]]
    decoded = array(tell(client, "plane", "/decode", points=centres)["images"])
    assert torch.equal(tiles.flatten(0, 1), decoded)


@EVERY
def test_a_row_has_its_posterior_and_its_neighbours(client, explored, name):
    one, row = explored[name], 7
    found = ask(client, name, f"/rows/{row}", axes="0,1")
    q = one.model.posterior(one.part.x[row : row + 1])
    assert found["origin"] == f"row {one.part.numbers[row]:,}"
    assert found["label"] == one.part.labels[row]
    torch.testing.assert_close(array(found["x"]), one.part.x[row])
    torch.testing.assert_close(torch.tensor(found["mean"]), q.mean[0].detach())
    torch.testing.assert_close(found["point"], found["mean"][:2])
    apart = (one.means - one.means[row]).square().sum(-1)
    nearest = apart[found["neighbours"]]
    assert row not in found["neighbours"]
    assert nearest.tolist() == sorted(apart.tolist())[1:9]
    if name != "ladder":
        torch.testing.assert_close(torch.tensor(found["std"]), q.log_std[0].exp().detach())
        expected = q.covariance[0, :2, :2].detach()
        torch.testing.assert_close(torch.tensor(found["covariance"]), expected)


def test_pictures_are_those_of_the_rows(client, explored):
    found = array(ask(client, "plane", "/pictures", rows="5,0,5")["images"])
    assert torch.equal(found, tones(explored["plane"].part.x[[5, 0, 5]]))


def test_a_completion_on_a_plane_is_exact(client, explored):
    one = explored["plane"]
    x, seen, body = half_seen(one)
    found = tell(client, "plane", "/complete", **body, method="grid", draws=3)
    exact = infer.grid(one.model, x[None], seen[None], generator=stream(0, "test"))
    evidence = found["log_evidence"]["value"]
    torch.testing.assert_close(evidence, exact.log_evidence.item(), atol=1e-5, rtol=0)
    assert found["log_evidence"]["exact"]
    plane = found["posterior"]
    torch.testing.assert_close(torch.tensor(plane["mean"]), exact.mean[0], atol=1e-4, rtol=0)
    covariance = torch.tensor(plane["covariance"])
    torch.testing.assert_close(covariance, exact.covariance[0], atol=1e-4, rtol=1e-3)
    heat = plane["heat"]
    table = array(heat["log_density"]).double()
    area = (heat["right"] - heat["left"]) * (heat["top"] - heat["bottom"])
    mass = table.exp().mean() * area
    torch.testing.assert_close(mass, torch.ones_like(mass), atol=0.05, rtol=0)
    row, column = divmod(int(table.argmax()), table.shape[1])
    z1 = heat["left"] + (column + 0.5) * (heat["right"] - heat["left"]) / table.shape[1]
    z2 = heat["bottom"] + (row + 0.5) * (heat["top"] - heat["bottom"]) / table.shape[0]
    there = exact.log_prob(torch.tensor([[[z1, z2]]]))[0, 0].double()
    torch.testing.assert_close(table.max(), there, atol=1e-3, rtol=0)
    mean = array(found["mean"])
    assert torch.equal(mean[seen], x[seen])
    assert array(found["draws"]).shape == (3, 1, 6, 6)


def test_a_fit_on_a_plane_has_its_exact_kl(client, explored):
    one = explored["plane"]
    x, seen, body = half_seen(one)
    found = tell(client, "plane", "/complete", **body, method="encoder")
    q = infer.encoder(one.model, x[None], seen[None], generator=stream(0, "test")).q
    exact = infer.grid(one.model, x[None], seen[None], generator=stream(0, "test"))
    # the two lattices decode in other batches: they agree up to rounding
    kl = found["posterior"]["fitted_kl"]
    torch.testing.assert_close(kl, exact.kl(q).item(), atol=1e-5, rtol=0)
    expected = q.covariance[0].detach()
    torch.testing.assert_close(torch.tensor(found["posterior"]["covariance"]), expected)


def test_laplace_stops_at_the_mode_if_asked(client, explored):
    one = explored["space"]
    x, seen, body = half_seen(one)
    for refine in (False, True):
        found = tell(client, "space", "/complete", **body, method="laplace", refine=refine)
        how = {"refine": refine, "kept": one.kept_draws}
        how["generator"] = fork(stream(0, "completion of the explorer"))
        expected = infer.laplace(one.model, x[None], seen[None], **how)
        assert found["refined"] == refine
        mean = one.plane(None).project(expected.mean[0])
        torch.testing.assert_close(torch.tensor(found["posterior"]["mean"]), mean)


def test_fits_of_a_model_that_decodes_slowly_are_slow(explored, monkeypatch):
    def slow(one):
        return {method.name for method in describe(one, Nothing()).methods if method.slow}

    one = explored["space"]
    assert slow(replace(one)) == {"hmc"}
    decode = type(one.model).decode
    delayed = lambda model, z: time.sleep(0.03) or decode(model, z)  # noqa: E731
    monkeypatch.setattr(type(one.model), "decode", delayed)
    assert slow(replace(one)) == {"laplace", "svi", "sir", "hmc"}


@pytest.mark.parametrize("name", ["space", "ladder"])
@pytest.mark.parametrize("method", ["laplace", "svi", "encoder", "sir"])
def test_a_completion_beyond_the_plane_estimates_the_evidence(client, explored, name, method):
    one = explored[name]
    x, seen, body = half_seen(one)
    found = tell(client, name, "/complete", **body, method=method)
    many = {"generator": stream(0, "test"), "particles": 20_000}
    fit = infer.laplace(one.model, x[None], seen[None], generator=stream(0, "test"))
    truth = infer.sir(one.model, x[None], seen[None], proposal=fit, **many).log_evidence.item()
    evidence = found["log_evidence"]
    assert abs(evidence["value"] - truth) < 5 * evidence["standard_error"] + 0.01
    assert found["posterior"]["heat"] is None
    assert {quality["name"] for quality in found["quality"]} >= {"k̂"}


def test_chains_say_whether_they_have_mixed(client, explored):
    _, _, body = half_seen(explored["plane"])
    found = tell(client, "plane", "/complete", **body, method="hmc")
    assert [quality["name"] for quality in found["quality"]] == ["R̂", "effective sample size"]
    assert found["quality"][0]["good"]


def test_a_surprise_is_that_of_a_pixel_given_the_others(client, explored):
    one = explored["plane"]
    x, seen, body = half_seen(one)
    found = array(tell(client, "plane", "/complete", **body, method="grid")["surprise"])
    assert torch.equal(found.isnan(), ~seen)
    for pixel in seen.nonzero()[:4].tolist():
        without = seen.clone()
        without[tuple(pixel)] = False
        both = torch.stack([seen, without])
        arguments = one.model, x.expand(2, *x.shape), both
        log_p = infer.grid(*arguments, generator=stream(0, "test")).log_evidence
        expected = (log_p[1] - log_p[0]).item()
        assert abs(found[tuple(pixel)].item() - expected) < 0.1 * expected + 0.01


def test_what_nothing_is_seen_of_is_drawn_from_the_model(client, explored):
    one = explored["plane"]
    body = {"x": [0.0] * 36, "seen": [0] * 36}
    found = tell(client, "plane", "/complete", **body, method="grid")
    torch.testing.assert_close(found["log_evidence"]["value"], 0.0, atol=1e-3, rtol=0)
    mean = torch.tensor(found["posterior"]["mean"])
    torch.testing.assert_close(mean, torch.zeros(2), atol=1e-2, rtol=0)
    assert one.part.x[0].shape == array(found["mean"]).shape


def test_samples_follow_the_temperature_and_the_seed(client, explored):
    found = {t: ask(client, "space", "/samples", count=6, temperature=t) for t in (0, 0.5, 1)}
    z = {t: array(one["z"]) for t, one in found.items()}
    assert torch.equal(z[0], torch.zeros(6, 5))
    torch.testing.assert_close(z[0.5], 0.5 * z[1])
    expected = tones(explored["space"].model.decode(z[1]).mean)
    assert torch.equal(array(found[1]["images"]), expected)
    assert not torch.equal(array(ask(client, "space", "/samples", count=6, seed=1)["z"]), z[1])
    draws = array(ask(client, "space", "/samples", count=6, values="draw")["images"])
    assert set(draws.unique().tolist()) <= {0, 255}


def test_a_straight_path_goes_evenly_from_one_end_to_the_other(client, explored):
    ends = [{"row": 2}, {"z": [1.0, 0.0, 0.0, 0.0, -1.0]}]
    found = tell(client, "space", "/interpolate", ends=ends, steps=5)
    z = array(found["z"])
    torch.testing.assert_close(z[0], explored["space"].means[2])
    torch.testing.assert_close(z[-1], torch.tensor(ends[1]["z"]))
    torch.testing.assert_close(z.diff(dim=0), (z[-1] - z[0]).expand(4, 5) / 4)
    images = tones(explored["space"].model.decode(z).mean)
    assert torch.equal(array(found["images"]), images)


def test_a_spherical_path_turns_at_an_even_angle(client):
    ends = [{"z": [2.0, 0.0]}, {"z": [0.0, 2.0]}]
    z = array(tell(client, "plane", "/interpolate", ends=ends, steps=4, path="spherical")["z"])
    angle = torch.linspace(0, torch.pi / 2, 4)
    expected = 2 * torch.stack([angle.cos(), angle.sin()], -1)
    torch.testing.assert_close(z, expected)
    opposite = [{"z": [2.0, 0.0]}, {"z": [-2.0, 0.0]}]
    z = array(tell(client, "plane", "/interpolate", ends=opposite, steps=3, path="spherical")["z"])
    torch.testing.assert_close(z, torch.tensor([[2.0, 0.0], [0.0, 0.0], [-2.0, 0.0]]))


@pytest.mark.parametrize("path", ["straight", "spherical"])
def test_four_ends_are_the_corners_of_a_surface(client, path):
    corners = [[-1.0, 2.0], [1.0, 2.0], [-1.0, 0.5], [1.0, 0.5]]
    ends = [{"point": corner} for corner in corners]
    z = array(tell(client, "plane", "/interpolate", ends=ends, steps=3, path=path)["z"])
    found = z[[0, 0, -1, -1], [0, -1, 0, -1]]
    torch.testing.assert_close(found, torch.tensor(corners))


def test_the_history_and_the_evaluation_are_read(client, explored):
    found = ask(client, "plane", "/history")
    assert [epoch["elbo"] for epoch in found["epochs"]] == [-5.0]
    assert not found["live"]
    assert ask(client, "plane", "/evaluation") == {"evaluation": None}
    run = explored["plane"].run
    with run.locked():
        assert ask(client, "plane", "/history")["live"]


def test_methods_that_take_seconds_are_slow(client, explored, monkeypatch):
    def slow(name):
        return {m["name"] for m in ask(client, name)["methods"] if m["slow"]}

    assert slow("plane") == slow("space") == {"hmc"}
    monkeypatch.setattr(explored_run, "MOST_DENSE", 4)
    assert slow("plane") == {"hmc"}
    assert slow("space") == {"laplace", "svi", "sir", "hmc"}
    x = {"x": [0.0] * 36, "seen": [1] * 36}
    for method, expected in {"laplace": True, "encoder": False, None: True}.items():
        request = CompletionRequest(**x, method=method)
        assert is_slow(explored["space"], request) == expected
    assert not is_slow(explored["space"], SamplesRequest())
