"""The training of a model as its card describes it."""

from datetime import UTC, datetime

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import noun
from elboroom.runs.checkpoints import listing
from elboroom.runs.hub.markdown import markdown
from elboroom.runs.hub.pretrained_config import StoredWeights
from elboroom.runs.run import Run
from elboroom.training.state import EpochMetrics


def training_rows(run: Run, weights: StoredWeights) -> list[tuple[str, str]]:
    """Describe the training of a run until the weights were as they are."""
    train, word = run.config.train, noun(run.event_shape)
    history = history_of(run, weights)
    known = {
        "epochs": f"{history[-1].epoch:,}" if history else "",
        "steps": f"{weights.step:,}{_earlier(weights)}, of {train.batch_size} {word}s each"
        + (f"; {history[0].step // history[0].epoch:,} in an epoch" if history else ""),
        "objective": _objective(run.config.objective),
        "optimiser": f"{train.optimiser}, learning rate {train.learning_rate:g}, {train.schedule}",
        "average of the weights": f"decay {train.ema:g}" if train.ema else "",
        "moved or hidden": _augmentation(train),
        "started from": "the weights of another run" if run.config.init_from else "",
        **_elbos(history, f"nats per {word}"),
        **_environment(run),
        "date": _date(run, weights.step),
    }
    return [(name, text) for name, text in known.items() if text]


def history_of(run: Run, weights: StoredWeights) -> list[EpochMetrics]:
    """Return the metrics of the epochs after which the weights were as they are."""
    last = weights.step if weights.weights_step is None else weights.weights_step
    return [metrics for metrics in run.metrics.history() if metrics.step <= last]


def _earlier(weights: StoredWeights) -> str:
    """Return the step of the best weights, if training has returned to them."""
    if weights.weights_step in (None, weights.step):
        return ""
    return f" with the best weights, of step {weights.weights_step:,}"


def _objective(config: ObjectiveConfig) -> str:
    """Describe the bound, with the options that are not default."""
    default = ObjectiveConfig()
    names = ("k", "m", "alpha", "gradient", "beta", "free_bits", "consistency")
    changed = [name for name in names if getattr(config, name) != getattr(default, name)]
    return ", ".join([config.objective, *(f"{n} {getattr(config, n)}" for n in changed)])


def _augmentation(config: TrainConfig) -> str:
    """Describe how rows were changed at each visit, by the options that are not default."""
    default, names = TrainConfig(), ("flip", "shift", "rotate", "zoom", "hide")
    changed = [name for name in names if getattr(config, name) != getattr(default, name)]
    return ", ".join(f"{name} {getattr(config, name)}" for name in changed)


def _elbos(history: list[EpochMetrics], unit: str) -> dict[str, str]:
    """Return the last ELBO of the training part, and the last held-out one."""
    found = dict[str, str]()
    for metrics in history:
        epoch = metrics.epoch
        found["training ELBO"] = f"{metrics.elbo:.2f} {unit}, in epoch {epoch}"
        if metrics.held_out_elbo is not None:
            found["held-out ELBO"] = f"{metrics.held_out_elbo:.2f} {unit}, after epoch {epoch}"
    return found


def _environment(run: Run) -> dict[str, str]:
    """Return the device and the versions at the start of training."""
    known = {name: markdown(str(value)) for name, value in run.environment.items()}
    versions = ("elboroom", "torch", "numpy", "python", "revision")
    listed = (f"{name} {known[name]}" for name in versions if name in known)
    device = (known[name] for name in ("precision", "device") if name in known)
    return {"precision and device": ", ".join(device), "versions": ", ".join(listed)}


def _date(run: Run, step: int) -> str:
    """Return the date of the file of the checkpoint, as the disk has it."""
    path = listing.newest_at(run.checkpoints, step)
    if path is None:
        return ""
    return f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%d}, of the checkpoint's file"
