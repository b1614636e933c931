"""A run as one HTML page that holds everything it shows: nothing is fetched, nothing runs."""

import base64
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2

from elboroom.evaluation import Estimate, label
from elboroom.runs import Run

_CAPTIONS = {
    "samples": "Generated: z drawn from the prior. Above, the means of p(x|z); below, one draw.",
    "latent": "The encoder's posterior means of the test images, coloured by class.",
    "interpolation": "Means of p(x|z) along the line between two posterior means.",
    "contours": "True posterior of z given the seen half, and the Gaussian that variational "
    "inference fits to it: contours at equal depths below the true maximum.",
    "posteriors": "The same posterior by several methods: in two dimensions beside the truth, with "
    "the exact KL of each; beyond, as the marginals of the latents of which the seen part tells "
    "most.",
    "completion": "The seen half, the mean of what the model believes of the rest, draws, and the "
    "original.",
    "manifold": "Means of p(x|z) over the latent plane, at equal steps of prior probability.",
    "curves": "Training: the ELBO, its two terms, and the held-out ELBO.",
}


def render(run: Run) -> str:
    """The page of an evaluated run, with the figures that it has."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn, evaluation = run.figures(), run.read_evaluation()
    figures = [(n, text, _data_url(drawn[n])) for n, text in _CAPTIONS.items() if n in drawn]
    return environment.get_template("report.html.j2").render(
        name=run.path.resolve().name,
        evaluation=_rows(evaluation),
        unit=(evaluation or {}).get("unit", "nats per image"),
        identity=asdict(run.identity),
        epochs=len(run.history()),
        figures=figures,
        options=_options(run),
    )


def _rows(evaluation: dict[str, Any] | None) -> list[tuple[str, str]]:
    if evaluation is None:
        return []
    estimates = evaluation["estimates"].items()
    k, sampled = evaluation["k"], evaluation.get("kl_sampled", False)  # once it was not said
    return [(label(name, k, sampled), str(Estimate.read(e))) for name, e in estimates]


def _data_url(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _options(run: Run) -> dict[str, dict[str, Any]]:
    """The options by table; those outside of any stand under "run"."""
    options = asdict(run.config)
    tables = {name: table for name, table in options.items() if isinstance(table, dict)}
    return tables | {"run": {n: value for n, value in options.items() if n not in tables}}
