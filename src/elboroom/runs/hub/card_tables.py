"""The tables of a model card: of the model, its training and its data."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from math import prod

from elboroom.config import ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.config.kinds import VALUE_KINDS
from elboroom.data import noun
from elboroom.model.likelihoods import TableModel, Units
from elboroom.model.vae import VAE
from elboroom.runs.checkpoints import listing
from elboroom.runs.hub.known_data import known_data
from elboroom.runs.hub.markdown import markdown
from elboroom.runs.hub.pretrained_config import PreparedData, StoredWeights
from elboroom.runs.run import Run
from elboroom.training.state import EpochMetrics

Rows = list[tuple[str, str]]


def shape(sizes: tuple[int, ...]) -> str:
    """Return a shape in words."""
    return " × ".join(map(str, sizes))


def likelihood(config: ModelConfig) -> str:
    """Return the name of the likelihood; without data "auto" is bernoulli."""
    return "bernoulli" if config.likelihood == "auto" else config.likelihood


def model_rows(config: ModelConfig, model: VAE) -> Rows:
    """Describe a model."""
    weights, noise = sum(p.numel() for p in model.parameters()), config.noise
    levels = [shape(level) for level in model.level_shapes]
    kinds = sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()})
    known = {
        "networks": _networks(config),
        "latents": f"{model.latents:,}" + f", in levels {', '.join(levels)}" * (len(levels) > 1),
        "prior p(z)": _prior(config),
        "q(z∣x)": config.posterior,
        "p(x∣z)": f"{likelihood(config)}{_column_kinds(config)}",
        "noise": "" if noise is None else f"fixed at {noise:g}",
        "weights": f"{weights:,} ({', '.join(kinds)})",
        "partial encoder": "" if model.partial_encoder is None else "with these files",
    }
    return [(name, text) for name, text in known.items() if text]


def _networks(config: ModelConfig) -> str:
    """Describe the networks; those of code of the user's by that alone."""
    if config.has_own_network:
        return "of its authors' code"
    maps = config.network in ("conv", "ladder")
    widths = {"channels": config.channels, "hidden layers": config.hidden}
    name = "channels" if maps else "hidden layers"
    found = widths[name]
    listed = found if isinstance(found, str) else ", ".join(map(str, found)) or "none"
    normalised = "" if config.normalisation == "none" else f", {config.normalisation} normalisation"
    return f"{config.network}, {name} {listed}, {config.activation}{normalised}"


def _prior(config: ModelConfig) -> str:
    many = f" of {config.components:,} components" * (config.prior in ("mixture", "vamp"))
    return f"{config.prior}{many}"


def _column_kinds(config: ModelConfig) -> str:
    """Count the columns of each likelihood, where there are any."""
    counts = Counter(name.partition(":")[0] for name in config.columns)
    listed = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
    return f": {listed}" if listed else ""


def training_rows(run: Run, weights: StoredWeights) -> Rows:
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


def data_rows(run: Run, data: PreparedData) -> Rows:
    """Describe the data of a run, without names of files."""
    known, config = known_data(run.identity), run.config.data
    values = "0 and 1" if data.values is None else VALUE_KINDS[data.values]
    named = "not named here" if known is None else f"{known.name} ({known.hub_id} on the Hub)"
    withheld = f"{config.withhold:g} of the known entries" if config.withhold else ""
    table = {
        "name": named,
        "one row": f"{noun(run.event_shape)} of shape {shape(run.event_shape)}, {values}",
        "binarisation": data.binarisation,
        "pictures": ", ".join(option.removeprefix("--") for option in config.picture_options),
        "split": data.split,
        "test part": f"{data.test_rows:,} {noun(run.event_shape)}s",
        "withheld": withheld,
        "SHA-256 of all values": f"`{data.sha256}`",
    }
    return [(name, text) for name, text in table.items() if text]


def held_of_data(run: Run, model: VAE) -> list[str]:
    """List what the files hold that was taken from the data."""
    return [*_held(run, model)]


def _held(run: Run, model: VAE) -> Iterator[str]:
    likelihood, config, word = model.likelihood, run.config.model, noun(run.event_shape)
    if isinstance(likelihood, TableModel):
        yield (
            "The names of its columns and of all their levels, the words that mean missing, the "
            "number of decimals, and the origin from which numbers and dates count, in "
            "`columns.toml`."
        )
        yield "In the weights, the location, the spread and the shares of each column."
    elif likelihood.units is not None:
        yield f"In the weights, the mean and the spread of its values, {_count(likelihood.units)}."
    if config.prior == "vamp":
        yield (
            f"In the weights, {config.components:,} pseudo-inputs of the prior. **They began as "
            f"{word}s of the training part, and may still show them.**"
        )
    if config.data_bias:
        yield f"In the initial bias of the decoder, the mean {word}."
    yield (
        f"The SHA-256 of its values, by which whoever has the data recognises them, and the number "
        f"of {word}s of the test part."
    )
    yield (
        f"{'No other' if config.prior == 'vamp' else 'No'} {word} of it. Still, a model may "
        f"reproduce {word}s that it was trained on; this one was not tested for that."
    )


def _count(units: Units) -> str:
    numbers = prod(units.scale.shape)
    return "one for all" if numbers == 1 else f"{numbers:,} of each"
