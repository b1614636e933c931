"""A report of a run: one self-contained HTML page, which fetches nothing and runs no script."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from elboroom.config.typed_tables import read
from elboroom.data import noun
from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.evaluation import label, notes
from elboroom.evaluation.latent_usage import level_cells
from elboroom.evaluation.sampled_bounds import Partial, Subset
from elboroom.runs.checkpoints import listing
from elboroom.runs.pages import png_url, templates
from elboroom.runs.read_errors import read_errors
from elboroom.runs.results import EVALUATION
from elboroom.runs.run import Run
from elboroom.untrusted import read_bytes

_LARGEST_FIGURE = 8 << 20  # bytes
_CAPTIONS = {
    "samples": "Generated: z drawn from the prior. Above, the means of p(x|z); below, one draw.",
    "reconstructions": "Images, and below them the means of p(x|z) at their posterior means.",
    "latent": "The encoder's posterior means of z, one point for each {noun}, coloured by class "
    "if there are classes.",
    "interpolation": "Means of p(x|z) along the line between two posterior means.",
    "traversal": "Means of p(x|z) as one latent after another is walked through the prior, the "
    "others at its mean. The latents that change the image most come first.",
    "contours": "True posterior of z given the observed half, and the Gaussian that variational "
    "inference fits to it: contours at equal depths below the true maximum.",
    "posteriors": "The same posterior by several methods. In two dimensions: with the true "
    "posterior and the exact KL divergence of each method. In more: marginals of the latents that "
    "the observed part determines best.",
    "completion": "The observed half, the posterior mean of the rest, draws, and the original.",
    "levels": "Images drawn again where only the upper levels of a ladder keep their latents, and "
    "the others come from the prior: each row keeps one level less.",
    "manifold": "Means of p(x|z) over the latent plane, at equal steps of prior probability.",
    "curves": "Training: the ELBO, its two terms, and the held-out ELBO.",
}


@dataclass(frozen=True)
class LevelSummary:
    """The use of a level of a ladder, as evaluation.json has it.

    Attributes:
        shape: shape of its latents.
        active: number of latents in use.
        kl: mean and standard error of the KL given the levels above.
    """

    shape: tuple[int, ...]
    active: int
    kl: dict[str, float | None]


@dataclass(frozen=True)
class EvaluationSummary:
    """The part of evaluation.json that a report shows.

    Attributes:
        step: step of the model.
        k: samples per image of the importance-weighted bound.
        estimates: mean and standard error of each quantity.
        unit: unit of the estimates.
        kl_sampled: True if the KL divergence was estimated from samples.
        images: number of images or rows; 0 in evaluations that do not state it.
        bits_per_dimension: mean and standard error, by the importance-weighted bound; None for a
            density.
        subset: the subset that has k samples, as JSON; None if all rows have.
        partial: how much was finished of an evaluation that was stopped early, as JSON; else None.
        latents: the use of the latents, as JSON; None in evaluations that do not state it.
    """

    step: int
    k: int
    estimates: dict[str, dict[str, float | None]]
    unit: str
    kl_sampled: bool
    images: int = 0
    bits_per_dimension: dict[str, float | None] | None = None
    subset: dict[str, int | float | None] | None = None
    partial: dict[str, int | None] | None = None
    latents: dict[str, Any] | None = None

    @property
    def levels(self) -> list[tuple[str, str, str]]:
        """The latents of each level of a ladder, those in use, and their KL."""
        found = [read(LevelSummary, each) for each in (self.latents or {}).get("levels", [])]
        return [level_cells(each.shape, each.active, self._estimate(each.kl)) for each in found]

    @property
    def notes(self) -> list[str]:
        """The subset, and how much was finished, in a line each."""
        subset = None if self.subset is None else read(Subset, self.subset)
        partial = None if self.partial is None else read(Partial, self.partial)
        return notes(self.k, self.unit.split()[-1], subset, partial)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The label and the estimate of each quantity."""
        rows = {label(name, self.k, self.kl_sampled): e for name, e in self.estimates.items()}
        found = [(name, str(self._estimate(each))) for name, each in rows.items()]
        if self.bits_per_dimension is None:
            return found
        return [*found, ("bits per dimension", f"{self._estimate(self.bits_per_dimension):.3f}")]

    def _estimate(self, table: dict[str, float | None]) -> Estimate:
        """Read an estimate, and say why its error is unknown."""
        return Estimate.read(table, f"one {self.unit.split()[-1]}" if self.images == 1 else None)


def render(run: Run, evaluation: dict[str, Any] | None = None) -> str:
    """Render the page of one checkpoint, with the figures that were made from it.

    Args:
        run: run to show.
        evaluation: evaluation of that checkpoint; by default the stored one. Without any, the page
            shows the newest checkpoint.

    Raises:
        RunError: if a file of the run is not what elboroom writes there.
    """
    environment = templates(Path(__file__).parent)
    evaluation = run.results.read_evaluation() if evaluation is None else evaluation
    summary = None if evaluation is None else summarise(run, evaluation)
    step = listing.newest_step(run.checkpoints) if summary is None else summary.step
    word, paths = noun(run.event_shape), _figures(run, step)
    figures = [(n, _CAPTIONS[n].format(noun=word), _data_url(p)) for n, p in paths.items()]
    return environment.get_template("report.html.j2").render(
        name=run.path.resolve().name,
        evaluation=summary,
        rows=_rows(run, summary),
        notes=_notes(run, summary),
        levels=_levels(run, summary),
        provenance=None if summary is None else run.results.made_from(summary.step).description,
        identity=run.identity,
        noun=word,
        epochs=len(run.metrics.history()),
        figures=figures,
        options=_options(run),
    )


def summarise(run: Run, evaluation: dict[str, Any]) -> EvaluationSummary:
    """Return the part of an evaluation of a run that a report shows.

    Raises:
        RunError: if elboroom does not write such an evaluation.
    """
    known = {f.name for f in fields(EvaluationSummary)}
    with read_errors(run.path / EVALUATION):
        shown = {name: value for name, value in evaluation.items() if name in known}
        return read(EvaluationSummary, _without_reasons(shown))


def _without_reasons(content: Any) -> Any:
    """Leave out the reasons why numbers are unknown, which the page gives in its own words."""
    if isinstance(content, list):
        return [_without_reasons(each) for each in content]
    if not isinstance(content, dict):
        return content
    return {name: _without_reasons(each) for name, each in content.items() if name != "reason"}


def _rows(run: Run, summary: EvaluationSummary | None) -> list[tuple[str, str]]:
    with read_errors(run.path / EVALUATION):
        return [] if summary is None else summary.rows


def _notes(run: Run, summary: EvaluationSummary | None) -> list[str]:
    with read_errors(run.path / EVALUATION):
        return [] if summary is None else summary.notes


def _levels(run: Run, summary: EvaluationSummary | None) -> list[tuple[str, str, str]]:
    with read_errors(run.path / EVALUATION):
        return [] if summary is None else summary.levels


def _figures(run: Run, step: int | None) -> dict[str, Path]:
    """Return the figures of a step. Others are left over from a step that could be drawn."""
    paths, results = run.results.figures(), run.results
    names = (n for n in _CAPTIONS if n in paths and results.matches(f"figures/{n}.png", step))
    return {name: paths[name] for name in names}


def _data_url(path: Path) -> str:
    with read_errors(path):
        content = read_bytes(path, _LARGEST_FIGURE)
    return png_url(content)


def _options(run: Run) -> dict[str, dict[str, Any]]:
    """Return the options by table; those outside of any table are listed as "run"."""
    options = asdict(run.config)
    tables = {name: table for name, table in options.items() if isinstance(table, dict)}
    return tables | {"run": {n: value for n, value in options.items() if n not in tables}}
