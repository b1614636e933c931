"""The entries of tables and vectors, against integrals over a fine grid of z."""

import math

import msgspec
import numpy as np
import pandas as pd
import pytest
import torch
from starlette.testclient import TestClient

from elboroom.explorer import column_mixture
from elboroom.explorer.api import table as table_api
from elboroom.explorer.api.endpoints import is_slow
from elboroom.explorer.api.entries import EntriesRequest
from elboroom.explorer.column_axis import ColumnAxis
from elboroom.explorer.column_mixture import ColumnMixture
from elboroom.explorer.columns import Domain, VectorColumns, columns_of
from elboroom.explorer.number_array import NumberArray
from elboroom.explorer.server.app import application
from elboroom.model.likelihoods import LIKELIHOOD_CLASSES, TableModel
from elboroom.model.linear_algebra import product_grid
from elboroom.randomness import stream
from tests.explorer.asking import array, ask, tell
from tests.explorer.conftest import ADDRESS, PORT
from tests.support.explored_runs import open_tables
from tests.support.oracles import assert_rejected

COLUMNS = ("age", "income", "visits", "smoker", "region", "joined")
NUMBERS = ["age", "income", "joined"]
DRAWS = 2_000
ERRORS = 5  # Monte-Carlo standard errors


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    return open_tables(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def client(explored):
    with TestClient(application(explored, PORT), ADDRESS) as found:
        yield found


@pytest.fixture(scope="module")
def exact(explored):
    return FineGrid(explored["table"])


class FineGrid:
    """p(z) on a grid of step 1/8, on which every density of a table is a sum."""

    def __init__(self, explored):
        self.columns, model = columns_of(explored), explored.model
        self.z = product_grid(torch.arange(-48, 49) / 8.0, 2)
        with torch.no_grad():
            self.likelihood = model.decode(self.z[:, None])
        self.log_prior = torch.distributions.Normal(0.0, 1.0).log_prob(self.z).sum(-1).double()

    def log_p(self, name, values):
        """Return log p(x_j | z) of a column at values of the model, (Z, G)."""
        place = self.columns.place_of(name)
        x = torch.full((len(values), len(COLUMNS)), torch.nan)
        x[:, place] = torch.as_tensor(values)
        with torch.no_grad():
            return self.likelihood.log_prob_per_value(x, ~x.isnan())[..., place].double()

    def posterior(self, row, without=()):
        """Return the probability of each z given the entries of a row, (Z,)."""
        x, log_p = self.columns.encode(row), self.log_prior
        for name, value in zip(COLUMNS, x, strict=True):
            if not value.isnan() and name not in without:
                log_p = log_p + self.log_p(name, value[None])[:, 0]
        return log_p.softmax(0)

    def density(self, name, points, row, *, anew=False):
        """Return the density of a column given the others at points in its units, and its error.

        The error is that of draws of z given all entries, which are weighted, or that of draws
        given the others, which are inferred anew.
        """
        p = self.log_p(name, self.in_model(name, points)).exp()
        left = self.posterior(row, [name])
        drawn = left if anew else self.posterior(row)
        density = left @ p
        weights = left / drawn.clamp(min=1e-300)
        variance = (drawn * weights.square()) @ (p - density).square()
        return density, (variance / DRAWS).sqrt()

    def in_model(self, name, points):
        origin = self.columns.columns[self.columns.place_of(name)].origin
        return torch.as_tensor(points, dtype=torch.float64).float() - origin


def row_of(client, number=3, **changes):
    found = ask(client, "table", "/table", first=number, count=1)["rows"][0]
    return dict(zip(COLUMNS, found, strict=True)) | changes


def known_row(client):
    given = {"age": 61.5, "visits": 4, "smoker": "yes", "joined": "2021-03-09"}
    return row_of(client) | given | {"income": 52_000, "region": "south"}


def entries(client, row, name="table", **more):
    return tell(client, name, "/entries", values=row, **more)


def by_name(found):
    return {one["axis"]["name"]: one for one in found["columns"]}


def encoded(values):
    return msgspec.to_builtins(NumberArray.of(values))


def assert_entry(found, exact, row, *, anew=False):
    """Check the density of an entry at every eighth point."""
    axis, every = found["axis"], slice(None, None, 8)
    expected, error = exact.density(axis["name"], axis["points"][every], row, anew=anew)
    assert_density(array(found["density"]).double()[every], expected, error)


def assert_surprise(found, exact, row, *, anew=False):
    name = found["axis"]["name"]
    density, error = exact.density(name, [found["axis"]["observed"]], row, anew=anew)
    assert abs(found["surprise"] + density.log().item()) < ERRORS * (error / density).item() + 0.01


def assert_density(found, expected, error):
    assert ((found - expected).abs() <= ERRORS * error + 2e-4 * expected.max()).all()


def test_the_columns_and_their_rows_are_as_people_wrote_them(client, explored, tmp_path):
    columns = ask(client, "table", "/columns")["columns"]
    assert [column["name"] for column in columns] == list(COLUMNS)
    kinds = ["real", "positive", "count", "binary", "category", "date"]
    assert [column["type"] for column in columns] == kinds
    assert columns[4]["levels"] == ["north", "south", "west"]
    assert ask(client, "table")["views"] == ["map", "table", "run"]
    found = ask(client, "table", "/table", first=5, count=20)
    frame = pd.read_csv(explored["table"].run.config.data.source).astype(object)
    kept = frame.where(frame.notna(), None).iloc[explored["table"].part.numbers[5:25]]
    assert found["rows"] == kept.to_numpy().tolist()
    assert found["origins"][0] == f"row {explored['table'].part.numbers[5]}"


def test_the_last_page_is_shorter(client, monkeypatch):
    rows = ask(client, "table")["rows"]
    assert len(ask(client, "table", "/table", first=rows - 2)["rows"]) == 2
    monkeypatch.setattr(table_api, "_MOST_ENTRIES", 30)
    assert len(ask(client, "table", "/table")["rows"]) == 5


@pytest.mark.parametrize("seen", [COLUMNS, ("age", "region"), ()])
def test_a_density_is_the_integral_over_the_posterior(client, exact, seen):
    row = {name: entry if name in seen else None for name, entry in known_row(client).items()}
    for name, one in by_name(entries(client, row)).items():
        assert_entry(one, exact, row)
        assert (one["axis"]["observed"] is None) == (name not in seen)


@pytest.mark.parametrize("anew", [False, True])
def test_a_seen_entry_is_left_out_of_its_own_density(client, exact, monkeypatch, anew):
    row = known_row(client)
    monkeypatch.setattr(column_mixture, "RELIABLE_K_HAT", -math.inf if anew else math.inf)
    found = by_name(entries(client, row))
    for one in found.values():
        assert_entry(one, exact, row, anew=anew)
        assert_surprise(one, exact, row, anew=anew)
    age = found["age"]
    points = [row["age"], *age["axis"]["points"]]
    at_entry, *kept = exact.posterior(row) @ exact.log_p("age", torch.tensor(points)).exp()
    planted = {**age, "density": encoded(torch.stack(kept)), "surprise": -math.log(at_entry)}
    assert_rejected(lambda: assert_entry(planted, exact, row, anew=True))
    assert_rejected(lambda: assert_surprise(planted, exact, row, anew=True))


def test_a_surprising_entry_is_left_out_by_inference_anew(client, exact, monkeypatch):
    row = known_row(client) | {"age": 160.0}
    age = by_name(entries(client, row))["age"]
    assert_entry(age, exact, row, anew=True)
    monkeypatch.setattr(column_mixture, "RELIABLE_K_HAT", math.inf)
    weighted = by_name(entries(client, row))["age"]
    assert_rejected(lambda: assert_entry(weighted, exact, row, anew=True))


@pytest.mark.parametrize("seen", [COLUMNS, ()])
def test_densities_integrate_to_one_in_the_units_of_their_columns(client, seen):
    row = {k: v if k in seen else None for k, v in known_row(client).items()}
    for name, one in by_name(entries(client, row)).items():
        points, density = np.array(one["axis"]["points"]), array(one["density"]).numpy()
        if name in NUMBERS:
            assert_integral(density, points)
            assert_rejected(lambda d=density, p=points: assert_integral(12 * d, p))
            low, high = one["interval"]
            inside = (points >= low) & (points <= high)
            assert abs(np.trapezoid(density[inside], points[inside]) - 0.9) < 0.03
            assert abs(np.trapezoid(density * points, points) - one["mean"]) < 0.02 * np.ptp(points)
        else:
            assert abs(density.sum() - 1) < 2e-3
    incomes = by_name(entries(client, row))["income"]["axis"]
    assert incomes["kind"] == "logarithmic"
    steps = np.diff(np.log(incomes["points"]))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6)


def assert_integral(density, points):
    assert abs(np.trapezoid(density, points) - 1) < 1e-3


def test_what_nothing_is_known_of_has_the_density_of_the_model(client):
    found = entries(client, {})
    assert abs(found["log_evidence"]["value"]) < 1e-3
    assert all(one["surprise"] is None for one in found["columns"])


def test_the_sum_over_one_column_of_a_pair_is_the_density_of_the_other(client):
    row = known_row(client) | {"age": None, "region": None}
    found = entries(client, row, pair=["age", "region"])
    alone, pair = by_name(found), found["pair"]
    joint = array(pair["log_density"]).double().exp().numpy()
    points = np.array(pair["across"]["points"])
    assert joint.shape == (3, len(points))
    age = alone["age"]
    expected = np.interp(points, age["axis"]["points"], array(age["density"]).numpy())
    np.testing.assert_allclose(joint.sum(0), expected, atol=2e-3 * expected.max())
    shares = np.trapezoid(joint, points, axis=1)
    np.testing.assert_allclose(shares, array(alone["region"]["density"]).numpy(), atol=1e-3)


def test_a_pair_is_given_the_other_seen_entries(client, exact):
    row, names = known_row(client), ("age", "income")
    pair = entries(client, row, pair=names)["pair"]
    axes = pair["across"], pair["up"]
    p = [
        exact.log_p(name, exact.in_model(name, axis["points"])).exp()
        for name, axis in zip(names, axes, strict=True)
    ]
    expected = (p[1] * exact.posterior(row, names)[:, None]).T @ p[0]
    found = array(pair["log_density"]).double().exp()

    def assert_joint(joint):
        assert (joint - expected).abs().max() < 0.2 * expected.max()

    assert_joint(found)
    assert_rejected(lambda: assert_joint(found.T))
    assert_rejected(lambda: assert_joint((p[1] * exact.posterior(row)[:, None]).T @ p[0]))
    assert [axis["observed"] for axis in axes] == [row["age"], row["income"]]
    draws = torch.tensor(pair["draws"]).double()
    for axis, drawn in zip(axes, draws.T, strict=True):
        inside = (drawn >= axis["points"][0]) & (drawn <= axis["points"][-1])
        assert inside.double().mean() > 0.98


def test_a_hidden_entry_is_compared_and_not_used(client):
    row = known_row(client)
    hidden, unseen = (
        entries(client, row, hidden=["age", "smoker"]),
        entries(client, row | {"age": None, "smoker": None}),
    )
    assert hidden["log_evidence"] == unseen["log_evidence"]
    one, other = by_name(hidden)["smoker"], by_name(unseen)["smoker"]
    assert one["density"] == other["density"]
    assert (one["axis"]["observed"], other["axis"]["observed"]) == (1.0, None)
    assert one["surprise"] == pytest.approx(-math.log(array(one["density"])[1]), abs=1e-4)
    assert other["surprise"] is None


def test_the_values_of_vectors_are_columns(client, explored):
    columns = ask(client, "vectors", "/columns")["columns"]
    assert [columns[i]["name"] for i in (0, 29)] == ["x₁", "x₃₀"]
    row = ask(client, "vectors", "/table", first=2, count=1)["rows"][0]
    expected = explored["vectors"].part.x[2]
    torch.testing.assert_close(torch.tensor(row), expected)
    values = {column["name"]: value for column, value in zip(columns, row, strict=True)}
    found = entries(client, values, "vectors", pair=["x₁", "x₃₀"], columns=["x₃₀", "x₂"])
    assert list(by_name(found)) == ["x₃₀", "x₂"]
    for one in found["columns"]:
        points = np.array(one["axis"]["points"])
        assert abs(np.trapezoid(array(one["density"]).numpy(), points) - 1) < 1e-3
    assert len(entries(client, values, "vectors")["columns"]) == 24
    bits = entries(client, {"x₁": "1", "x₂": 0}, "bits")["columns"]
    assert [one["axis"]["observed"] for one in bits[:3]] == [1.0, 0.0, None]
    assert all(abs(array(one["density"]).sum() - 1) < 1e-5 for one in bits)


DOMAINS = [
    ("continuous-bernoulli", "linear", 0),
    ("discretized-logistic", "steps", 0),
    ("bernoulli", "levels", 2),
]


@pytest.mark.parametrize(("likelihood", "kind", "count"), DOMAINS)
def test_vectors_have_the_domain_of_their_likelihood(likelihood, kind, count):
    columns = VectorColumns.of_values(2, LIKELIHOOD_CLASSES[likelihood])
    domain = columns.domain(1)
    assert (domain.kind, domain.low, domain.high) == (kind, 0.0, 1.0)
    assert len(columns.columns[1].levels) == count


def test_of_many_counts_some_are_shown_evenly():
    model = TableModel(("poisson",)).requires_grad_(False)
    model.location.fill_(math.log(1e5))
    column = ColumnMixture(model(torch.zeros(500, 1, 1)), torch.full((500,), -math.log(500)))
    domain = Domain("steps", low=0.0, step=1.0)
    axis = ColumnAxis.of(domain, column, stream(0, "test"))
    (stride,) = axis.points.diff().unique().tolist()
    assert stride > 1
    assert len(axis.points) <= 202
    density = axis.log_density(column).exp().mean(0)
    assert (stride * density).sum().item() == pytest.approx(1, abs=1e-3)
    low, high = axis.interval(density)
    # N(10⁵, 10⁵) has 90 % within 1.645 standard deviations.
    assert (high - low) / 2 == pytest.approx(1.645 * math.sqrt(1e5), abs=2 * stride)


def test_a_slow_method_is_slow_for_entries(explored):
    assert is_slow(explored["table"], EntriesRequest(values={}, method="hmc"))
    assert not is_slow(explored["table"], EntriesRequest(values={}))


REFUSED = [
    ({"values": {"weight": 1.0}}, 422, "there is no column weight"),
    ({"values": {}, "hidden": ["weight"]}, 422, "there is no column weight"),
    ({"values": {}, "columns": ["weight"]}, 422, "there is no column weight"),
    ({"values": {}, "pair": ["age", "weight"]}, 422, "there is no column weight"),
    ({"values": {}, "pair": ["age", "age"]}, 422, "one column twice"),
    ({"values": {}, "pair": ["age"]}, 400, "schema"),
    ({"values": {}, "columns": ["age"] * 25}, 400, "schema"),
    ({"values": {"region": "east"}}, 422, "column region cannot be used"),
    ({"values": {"region": 3}}, 422, "column region cannot be used"),
    ({"values": {"age": "old"}}, 422, "column age cannot be used"),
    ({"values": {"age": True}}, 422, "column age cannot be used"),
    ({"values": {"age": 1e300}}, 422, "out of range"),
    ({"values": {"age": [1]}}, 400, "schema"),
    ({"values": {"visits": -1}}, 422, "column visits cannot be used"),
    ({"values": {"income": 0}}, 422, "column income cannot be used"),
    ({"values": {"joined": "yesterday"}}, 422, "column joined cannot be used"),
    ({"values": {}, "method": "partial-encoder"}, 422, "not offered"),
    ({"values": {}, "more": 1}, 400, "schema"),
    ({}, 400, "schema"),
]


@pytest.mark.parametrize(("body", "status", "what"), REFUSED)
def test_entries_that_do_not_fit_are_refused_in_words(client, body, status, what):
    answer = client.post("/api/runs/table/entries", json=body)
    assert answer.status_code == status, answer.text
    assert what in answer.json()["error"]["what"]
    assert all(answer.json()["error"].values())


@pytest.mark.parametrize(
    ("query", "status"),
    [("first=30", 422), ("count=101", 400), ("count=0", 400), ("first=-1", 400), ("row=1", 400)],
)
def test_rows_that_there_are_none_of_are_refused(client, query, status):
    answer = client.get(f"/api/runs/table/table?{query}")
    assert answer.status_code == status, answer.text


def test_an_entry_of_a_vector_is_a_number(client):
    for name, value in {"vectors": "much", "bits": 0.5}.items():
        answer = client.post(f"/api/runs/{name}/entries", json={"values": {"x₁": value}})
        assert answer.status_code == 422
        assert "x₁" in answer.json()["error"]["what"]
