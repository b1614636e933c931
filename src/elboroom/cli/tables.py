"""Results of the commands as tables that are printed."""

import math
from collections.abc import Iterator
from typing import Any

from rich.table import Table

from elboroom import html_table
from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.evaluation import Evaluation, label
from elboroom.evaluation.inference_gap import Gaps
from elboroom.infer.completion_score import score_text
from elboroom.infer.diagnostics import MIXED_RHAT
from elboroom.infer.posterior import quantity

_SEEN = {"elbo": "ELBO", "log_evidence": "log p"}
"""What a method may know of log p(x_seen), short, for the column of the seen part."""


def evaluation(
    heading: str,
    found: Evaluation,
    differences: dict[str, dict[str, Estimate]],
) -> Table:
    """Lay out a row for each estimate of an evaluation.

    Args:
        heading: heading of the estimates.
        found: the evaluation.
        differences: by the name and the step of another run, the mean differences from it.
    """
    headings = (f"− {other}" for other in differences)
    table = _table(found.title, "quantity", numbers=(heading, *headings), unit=found.unit)
    for name, estimate in found.estimates.items():
        cells = (str(difference[name]) for difference in differences.values())
        table.add_row(label(name, found.k, found.kl_sampled), str(estimate), *cells)
    return table


def levels(found: Evaluation) -> Table:
    """Lay out a row for each level of a ladder: its latents, those in use, and its KL."""
    return _printed("", found.information.table(found.noun), labels=2)


def annealing(content: dict[str, Any], noun: str) -> Iterator[str]:
    """Yield lines on the tables `ais` and `certificate` of evaluation.json, where it has them."""
    if "ais" in content:
        found, means = content["ais"], _read_estimates(content["ais"])
        rows = _count(found["images"], noun)
        yield f"AIS, {_chains(found)}, first {rows}: {means['log_evidence']}"
        difference = f"AIS − IWAE {means['difference']:.3f}"
        yield f"IWAE bound of the same {rows}: {means['iwae']}; {difference}"
    if "certificate" in content:
        found, means = content["certificate"], _read_estimates(content["certificate"])
        yield (
            f"BDMC, {_chains(found)}, {_count(found['images'], noun)} drawn from the model: "
            f"{means['lower']} ≤ log p(x) ≤ {means['upper']}; AIS is too low by at most "
            f"{means['gap']:.3f}"
        )


def _count(rows: int, noun: str) -> str:
    return f"{rows:,} {noun}{'s' * (rows != 1)}"


def _chains(found: dict[str, Any]) -> str:
    return f"{found['distributions']:,} distributions × {found['chains']} chains"


def _read_estimates(found: dict[str, Any]) -> dict[str, Estimate]:
    return {name: Estimate.read(values) for name, values in found["estimates"].items()}


def completions(found: list[dict[str, Any]], noun: str, mask: str, model: str) -> Table:
    """Lay out a row for each row of the data and method: its ELBO or log p(seen), and its scores.

    Without withheld values there are no scores, and no columns of them.
    """
    scored = any("score" in row for row in found)
    numbers = ("seen part", *(("log p(unseen | seen)", "own q(unseen)") if scored else ()))
    labels = (noun, "source", "method")
    table = _table(f"{mask} seen, {model}", *labels, numbers=numbers)
    table.caption, table.padding = "nats", (0, 0)
    if scored:
        table.caption += (
            ", ± one standard error; ≥ too low on average; ( ) unreliable; own q(unseen) is how "
            "probable the method's own posterior found the rest"
        )
    for row in found:
        known = next((f"{text} {row[n]:z.2f}" for n, text in _SEEN.items() if n in row), "")
        cells = (_score(row, "score"), _score(row, "own_score")) if scored else ()
        table.add_row(row["name"], row["source"], row["method"], known, *cells)
    return table


def _score(row: dict[str, Any], name: str) -> str:
    """Return the cell of a score, written as what it is."""
    return score_text(row[name], row[f"{name}_kind"], row[f"{name}_standard_error"])


def unmixed(found: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each row and method whose chains have not mixed."""
    for row in found:
        rhat = row.get("own_score_rhat", math.nan)
        if rhat >= MIXED_RHAT:
            yield f"{row['name']}, {row['method']}: its chains have not mixed, R̂ {rhat:.2f}"


def posteriors(
    title: str, known: dict[str, dict[str, Any]], kept: int | None, stored: int
) -> Table:
    """Lay out a row for each quantity that is known of the posteriors, summarised over rows.

    Args:
        title: title of the table.
        known: the summary of each quantity.
        kept: number of draws of a row that the quantities are of; None if they are of a fit.
        stored: how many draws of a row the file has.
    """
    table = _table(title, "", numbers=("mean", "smallest", "largest"))
    table.caption = "± one standard error of the mean; rows of the source; ELBO, log p in nats"
    if kept is not None:
        table.caption += f"\nfrom {kept:,} draws of each row; the file has {stored:,}"
    for name, values in known.items():
        mean = Estimate.read(values)
        extremes = (_extreme(values, end) for end in ("smallest", "largest"))
        table.add_row(quantity(name), str(mean), *extremes)
    return table


def _extreme(values: dict[str, Any], end: str) -> str:
    """Return the cell of an extreme value, with its row in the source unless all are equal."""
    number = f"{values[end]:z.2f}"
    is_single = values["smallest"] == values["largest"]
    return number if is_single else f"{number}, row {values[f'{end}_row']:,}"


def fits(title: str, found: Gaps) -> Table:
    """Lay out a row for each fit: its ELBO, its gap, and the share of rows with a small k̂."""
    return _printed(title, found.table())


def _printed(title: str, table: html_table.Table, labels: int = 1) -> Table:
    """Return a table that notebooks show too, for a terminal; its first columns are labels."""
    printed = Table(title=title, title_justify="left", caption=table.caption)
    for place, heading in enumerate(table.headings):
        printed.add_column(heading, justify="left" if place < labels else "right")
    for row in table.rows:
        printed.add_row(*map(str, row))
    return printed


def _table(title: str, *labels: str, numbers: tuple[str, ...], unit: str = "nats") -> Table:
    """Make an empty table with columns of labels, then columns of numbers."""
    table = Table(title=title, title_justify="left", caption=f"{unit}, ± one standard error")
    for header in labels:
        table.add_column(header)
    for header in numbers:
        table.add_column(header, justify="right")
    return table
