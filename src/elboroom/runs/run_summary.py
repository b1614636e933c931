"""The summary of a run folder that notebooks show; what cannot be read is said, not raised."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from elboroom.config import Config
from elboroom.data import Identity, noun
from elboroom.data.summary import counted
from elboroom.errors import ElboroomError
from elboroom.html_table import Summary, Table
from elboroom.runs.checkpoints import listing
from elboroom.runs.metrics_file import MetricsFile
from elboroom.runs.results import REPORT, Results
from elboroom.training.metrics import History

_Found = TypeVar("_Found")
_BROKEN = ElboroomError, OSError, ValueError, TypeError, KeyError, AttributeError


def run_summary(
    path: Path,
    config: Config,
    identity: Identity,
    event_shape: tuple[int, ...],
    metrics: MetricsFile,
    results: Results,
) -> Summary:
    """Summarise a run from its small files: neither data nor weights are read."""
    notes = list[str]()
    history = _read(metrics.history, History(), notes)
    evaluation = _read(lambda: _estimates(results), {}, notes)
    step = listing.newest_step(path / "checkpoints")
    facts: dict[str, object] = {
        "data": f"{identity.source}, {identity.reading}, {identity.split} split",
        "x": f"{noun(event_shape)} of {' × '.join(map(str, event_shape))}",
        "model": _model(config),
        "trained": _trained(config, history),
        "newest checkpoint": "none" if step is None else f"step {step:,}",
        **evaluation,
        "figures": ", ".join(results.figures()) or None,
        "report": path / REPORT if (path / REPORT).exists() else None,
    }
    tables: list[Table] = [history.table()] if history else []
    return Summary(str(path), facts, tables, notes)


def _model(config: Config) -> str:
    model = config.model
    parts = f"{model.network}, prior {model.prior}, posterior {model.posterior}"
    return f"{model.likelihood}, {model.latents} latents, {parts}"


def _trained(config: Config, history: History) -> str:
    done, minutes = counted(len(history), "epoch"), config.train.minutes
    return f"{done} of {config.train.epochs}" if minutes is None else f"{done}, {minutes:g} minutes"


def _estimates(results: Results) -> dict[str, object]:
    """Return the estimates of the evaluation of the run, if it has one."""
    from elboroom.evaluation.estimate import Estimate  # training does not need it
    from elboroom.evaluation.evaluation import label

    found: dict[str, Any] | None = results.read_evaluation()
    if found is None:
        return {"evaluation": "none"}
    named = {label(n, found["k"], found["kl_sampled"]): e for n, e in found["estimates"].items()}
    made = f"{results.step_name(found['step'])}, in {found['unit']}"
    return {"evaluation": made, **{name: Estimate.read(e) for name, e in named.items()}}


def _read(read: Callable[[], _Found], otherwise: _Found, notes: list[str]) -> _Found:
    try:
        return read()
    except _BROKEN as error:
        of_ours = isinstance(error, ElboroomError)
        notes.append(f"{error.what}: {error.why}" if of_ours else f"cannot be read: {error!r}")
        return otherwise
