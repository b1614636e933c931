"""The evaluation of a model as its card shows it."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from elboroom.config.typed_tables import require_type
from elboroom.data import noun
from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.evaluation import label
from elboroom.infer.diagnostics import RELIABLE_K_HAT
from elboroom.model.vae import VAE
from elboroom.runs.read_errors import read_errors
from elboroom.runs.report import EvaluationSummary, summarise
from elboroom.runs.results import EVALUATION
from elboroom.runs.run import Run


class Metric(NamedTuple):
    """A metric of the front matter."""

    type: str
    name: str
    value: str
    k: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class CardEvaluation:
    """The part of an evaluation that a card shows; empty if there is none.

    Attributes:
        title: what was evaluated, and how.
        part: the part of the data.
        unit: the unit of the bounds.
        metrics: those of the front matter.
        rows: a label and a text for each quantity.
        notes: how a part of it was estimated, a line each.
        reliable: share of the rows whose importance weights are reliable; None if not known.
    """

    title: str = ""
    part: str = ""
    unit: str = ""
    metrics: list[Metric] = field(default_factory=list)
    rows: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reliable: float | None = None

    @classmethod
    def of(cls, run: Run, model: VAE, found: dict[str, Any] | None) -> "CardEvaluation":
        """Return what a card shows of the content of evaluation.json.

        Raises:
            RunError: if elboroom does not write such an evaluation.
        """
        if found is None:
            return cls()
        summary = summarise(run, found)
        with read_errors(run.path / EVALUATION):
            part, seed, quality = _settings(found)
            share = quality.get("reliable")
            return cls(
                title=_title(run, summary, part, seed),
                part=part,
                unit=summary.unit,
                metrics=_metrics(summary, seed),
                rows=[*summary.rows, *_quality(quality, summary, model)],
                notes=summary.notes,
                reliable=None if share is None else Estimate.read(share).mean,
            )


def _settings(found: dict[str, Any]) -> tuple[str, int, dict[str, dict[str, Any]]]:
    """Return the part, the seed and the quality; some are missing in evaluations of old.

    Raises:
        UsageError: if one is of another type.
    """
    values = found.get("part", "test"), found.get("seed", 0), found.get("quality", {})
    kinds = {"part": str, "seed": int, "quality": dict[str, dict[str, Any]]}
    for (name, kind), value in zip(kinds.items(), values, strict=True):
        require_type(name, value, kind)
    return values


def _title(run: Run, summary: EvaluationSummary, part: str, seed: int) -> str:
    """Return what was evaluated, and how, in a sentence."""
    rows = summary.images or run.identity.test_images
    word = noun(run.event_shape) + "s" * (rows != 1)
    how = f"K = {summary.k:,} samples of each, seed {seed}"
    return f"{rows:,} {word} of the {part} part, {run.identity.reading}; {how}."


def _metrics(summary: EvaluationSummary, seed: int) -> list[Metric]:
    """Return the bounds, and bits per dimension if they are known."""
    bounds = {name: label(name, summary.k) for name in ("elbo", "iwae")}
    found = [
        Metric(name, f"{text} ({summary.unit})", str(Estimate.read(table)), summary.k, seed)
        for name, text in bounds.items()
        if (table := summary.estimates.get(name)) is not None
    ]
    if summary.bits_per_dimension is None:
        return found
    bits = f"{Estimate.read(summary.bits_per_dimension):.3f}"
    return [*found, Metric("bpd", "bits per dimension", bits, summary.k, seed)]


def _quality(
    quality: dict[str, dict[str, Any]], summary: EvaluationSummary, model: VAE
) -> list[tuple[str, str]]:
    """Describe how far the samples can be trusted, and the use of the latents."""
    latents, found = summary.latents or {}, list[tuple[str, str]]()
    if "ess" in quality:
        ess = f"{Estimate.read(quality['ess']):.1f} of {summary.k:,}"
        found.append(("effective sample size of the weights", ess))
    if "reliable" in quality:
        share = Estimate.read(quality["reliable"]).mean
        found.append((f"share with reliable weights, k̂ < {RELIABLE_K_HAT}", f"{share:.1%}"))
    if "active" in latents:
        found.append(("active latents", f"{latents['active']} of {model.latents:,}"))
    if "mutual_information" in latents:
        mutual = str(Estimate.read(latents["mutual_information"]))
        found.append(("mutual information of z and x, in nats", mutual))
    return found
