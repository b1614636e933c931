"""A run as one HTML page that holds everything it shows: nothing is fetched, nothing runs."""

import base64
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import jinja2

from elboroom.config.typed_tables import read
from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.likelihood import label
from elboroom.runs.provenance import mark
from elboroom.runs.run import Run
from elboroom.untrusted import read_bytes

_LARGEST_FIGURE = 8 << 20  # bytes
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


@dataclass(frozen=True)
class Told:
    """What is told of evaluation.json; once that did not say the last three."""

    k: int
    estimates: dict[str, dict[str, float | None]]
    unit: str = "nats per image"
    kl_sampled: bool = False
    step: int | None = None

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What each quantity is called, and its estimate."""
        rows = self.estimates.items()
        return [(label(n, self.k, self.kl_sampled), str(Estimate.read(e))) for n, e in rows]


def render(run: Run, evaluation: dict[str, Any] | None = None) -> str:
    """The page of one checkpoint, with the figures that the run has of it.

    Args:
        run: that is shown.
        evaluation: of that checkpoint; by default the one that the run keeps.

    Raises:
        RunError: a file of the run is not what elboroom writes there.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    evaluation = run.read_evaluation() if evaluation is None else evaluation
    found = Told(0, {}) if evaluation is None else told(run, evaluation)
    with run.reading("evaluation.json"):
        rows = found.rows
    step = run.step() if found.step is None else found.step
    drawn = _drawn(run, step)
    figures = [(name, _CAPTIONS[name], _data_url(run, path)) for name, path in drawn.items()]
    return environment.get_template("report.html.j2").render(
        name=run.path.resolve().name,
        evaluation=rows,
        unit=found.unit,
        step=found.step,
        mark=None if found.step is None else mark(found.step, run.model_of(found.step)),
        identity=asdict(run.identity),
        epochs=len(run.history()),
        figures=figures,
        options=_options(run),
    )


def told(run: Run, evaluation: dict[str, Any]) -> Told:
    """What an evaluation of a run tells.

    Raises:
        RunError: it is none that elboroom writes.
    """
    known = {f.name for f in fields(Told)}
    with run.reading("evaluation.json"):
        return read(Told, {name: value for name, value in evaluation.items() if name in known})


def _drawn(run: Run, step: int | None) -> dict[str, Path]:
    """The figures of that step: one of another may be left that could not be drawn anew."""
    paths = run.figures()
    of_step = (n for n in _CAPTIONS if n in paths and run.is_of(f"figures/{n}.png", step))
    return {name: paths[name] for name in of_step}


def _data_url(run: Run, path: Path) -> str:
    with run.reading(f"figures/{path.name}"):
        content = read_bytes(path, _LARGEST_FIGURE)
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _options(run: Run) -> dict[str, dict[str, Any]]:
    """The options by table; those outside of any stand under "run"."""
    options = asdict(run.config)
    tables = {name: table for name, table in options.items() if isinstance(table, dict)}
    return tables | {"run": {n: value for n, value in options.items() if n not in tables}}
