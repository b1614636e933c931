"""What inference found, as tables for people and as JSON for programs."""

from typing import Any

from rich.table import Table

from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.inference_gap import Evidence, Gaps
from elboroom.infer.diagnostics import RELIABLE_K_HAT

EVIDENCE = {"elbo": "ELBO", "log_evidence": "log p(seen)"}
"""What tables call the two things that a method may know of log p(x_seen)."""

_GAPS = {
    "log_evidence": "log p(seen)",
    "amortisation": "amortisation gap, {best} − encoder",
    "approximation": "approximation gap, log p(seen) − {best}",
    "inference": "inference gap, their sum",
}


def completions(found: list[dict[str, Any]], mask: str, step: int) -> Table:
    """A row for each image and method: what is known of log p(seen), and the score."""
    numbers = ("seen part", "log p(unseen | seen)", "ESS")
    table = _table(f"{mask} seen, step {step:,}", "image", "method", numbers=numbers)
    table.caption = "nats, ± one standard error; of a few effective samples a score is too low"
    for row in found:
        evidence = [f"{label} {row[n]:.2f}" for n, label in EVIDENCE.items() if n in row]
        score = Estimate(row["score"], row["score_standard_error"])
        worth = f"{row['score_ess']:,.0f}"
        table.add_row(row["image"], row["method"], *(evidence or [""]), str(score), worth)
    return table


def posteriors(asked: dict[str, Any], known: dict[str, dict[str, float]]) -> Table:
    """A row for each thing that is known of the posteriors, over images."""
    title = f"{_title(asked)}, {asked['method']}"
    table = _table(title, "", numbers=("mean", "smallest", "largest"))
    table.caption = "± one standard error over images; ELBO and log p in nats"
    for name, values in known.items():
        mean = Estimate(values["mean"], values["standard_error"])
        ends = (f"{values[end]:.2f}" for end in ("smallest", "largest"))
        table.add_row(EVIDENCE.get(name, name.replace("_", " ")), str(mean), *ends)
    return table


def fits(asked: dict[str, Any], found: Gaps) -> Table:
    """A row for each fit: its ELBO, its gap, and how often its k̂ is small."""
    numbers = ("ELBO", "gap to log p(seen)", f"k̂ < {RELIABLE_K_HAT}")
    table = _table(f"{_title(asked)}, K = {asked['k']:,}", "", numbers=numbers)
    for method in found.fits:
        fit = found.summary_of(method)
        table.add_row(method, str(fit["elbo"]), fine(fit["gap"]), _share(fit["reliable"]))
    return table


def gaps(found: Gaps) -> str:
    """log p(seen), how well it is known, and the gaps, a line each."""
    lines = [
        f"{_GAPS[name].format(best=found.best)}: {fine(estimate)} nats"
        for name, estimate in found.summary().items()
    ]
    return "\n".join([*lines, _quality(found.evidence)])


def _quality(evidence: Evidence) -> str:
    found = f"log p(seen) by {evidence.by}, to {evidence.error.mean():.4f} nats an image"
    if evidence.by == "grid":
        return found
    return f"{found}; k̂ < {RELIABLE_K_HAT} in {evidence.reliable:.0%} of them"


def _title(asked: dict[str, Any]) -> str:
    data, mask = asked["identity"], asked["mask"]
    return (
        f"{data['source']}, {data['binarisation']} binarisation, {data['split']} split, "
        f"{asked['images']:,} {asked['part']} images, {'all' if mask is None else mask} seen, "
        f"step {asked['step']:,}"
    )


def fine(estimate: Estimate) -> str:
    """With the decimals that good fits differ by."""
    return f"{estimate.mean:.3f} ± {estimate.standard_error:.3f}"


def _share(estimate: Estimate) -> str:
    return f"{estimate.mean:.0%} ± {estimate.standard_error:.0%}"


def _table(title: str, *labels: str, numbers: tuple[str, ...]) -> Table:
    """An empty table with columns of labels, then of numbers."""
    table = Table(title=title, title_justify="left", caption="nats, ± one standard error")
    for header in labels:
        table.add_column(header)
    for header in numbers:
        table.add_column(header, justify="right")
    return table
