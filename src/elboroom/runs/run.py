"""The run folder: everything about a run, in files that people and programs can read."""

import warnings
from contextlib import AbstractContextManager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import cast

from elboroom.config import Config, ModelConfig, PartName
from elboroom.config.checks import require
from elboroom.config.run import require_options
from elboroom.data import Dataset, require_dataset
from elboroom.device import resolve_device
from elboroom.errors import (
    DiskError,
    RunError,
    UsageError,
    command,
    require_callable,
    require_instance,
)
from elboroom.html_table import Shown, Summary
from elboroom.model.factory import NetworkFactory, name_of
from elboroom.model.likelihoods import likelihood_class, require_support
from elboroom.model.vae import VAE, least_weights
from elboroom.runs import (
    atomic,
    checkpoints,
    columns_file,
    lock,
    partial_encoder_file,
    training_values,
)
from elboroom.runs.checkpoints import Checkpoint, listing
from elboroom.runs.chosen_part import ChosenPart
from elboroom.runs.config_file import CONFIG, read_config, write_config, write_epochs
from elboroom.runs.empty_model import empty_model
from elboroom.runs.environment import warn_of_changes
from elboroom.runs.metrics_file import METRICS, MetricsFile
from elboroom.runs.own_networks import known_factory, require_known
from elboroom.runs.results import Results
from elboroom.runs.run_data import RunData
from elboroom.runs.run_summary import run_summary
from elboroom.training.augmentation import require_pictures
from elboroom.training.initial_model import new_model
from elboroom.training.limits.memory import require_memory, require_memory_for_weights
from elboroom.training.progress import Progress
from elboroom.training.schedule import augments, learning_rate, steps_per_epoch
from elboroom.training.state import TrainState, new_state

RUNS = Path("runs")
"""Folder of new runs, unless another one is named."""


class Run(Shown):
    """A run folder that exists. `Run.create` makes one, `Run(path)` opens one.

    Attributes:
        path: the folder.
        checkpoints: folder of its checkpoints.
        config: every option.
        identity: identity of the data.
        event_shape: shape of one image.
        environment: versions, device and precision at the start of training.
        metrics: metrics of the finished epochs.
        data: its data, wherever they are now, and new data.
        results: evaluation, figures and report.

    Args:
        path: the folder.
        network: makes the networks of a run whose config names a factory.
        trust: import and run the factory that the config names. Do so only for runs whose code
            you know.

    Raises:
        RunError: if `path` is not a run, or its config cannot be read.
        UsageError: if an argument has another type, if `trust` is given and the factory cannot be
            imported, or if `network` is given for a run that elboroom's own networks make.

    Example:
        >>> from elboroom import Config, DataConfig, Run, train_run
        >>> config = Config(DataConfig(split="reference"), networks, train=replace(brief, epochs=1))
        >>> run = Run.create("runs/first", config, mnist)
        >>> trained, _ = train_run(run, mnist)
        >>> again = Run("runs/first").load_model()  # at any later time
        >>> torch.equal(again.posterior(x).mean, trained.posterior(x).mean)
        True
    """

    def __init__(
        self, path: str | Path, *, network: NetworkFactory | None = None, trust: bool = False
    ) -> None:
        self.path = _as_path(path)
        self.checkpoints = self.path / "checkpoints"
        self.config, self.identity, self.event_shape, self.environment = read_config(self.path)
        self.metrics = MetricsFile(self.path / METRICS)
        self.results = Results(self.path, self.checkpoints)
        options = self.config.data, self.config.model
        self.data = RunData(self.path, *options, self.identity, self.event_shape)
        self._factory = known_factory(self.config.model, self.path, network, trust=trust)

    def _summary(self) -> Summary:
        parts = self.identity, self.event_shape, self.metrics, self.results
        return run_summary(self.path, self.config, *parts)

    @classmethod
    def create(
        cls,
        path: str | Path,
        config: Config,
        data: Dataset,
        *,
        network: NetworkFactory | None = None,
    ) -> "Run":
        """Make the folder and write its config.

        Args:
            path: the folder, which must not exist.
            config: every option.
            data: the data that the run is trained on.
            network: makes the networks, or the whole model; the config records its name.

        Raises:
            UsageError: if an argument has another type, or what is moved are not pictures.
            RunError: if something is in the way, or the folder cannot be made or locked.
            DiskError: if it cannot be written.
            DataError: if the likelihood cannot take the values of the data.
        """
        path = _as_path(path)
        require_options(config, Config)
        require_dataset(data)
        if network is not None and not config.model.has_own_network:
            require_callable(network=network)
            model = replace(config.model, network=name_of(network))
            config = replace(config, model=model)
        require_pictures(config.train, data.event_shape)
        require_values_of(config, data)
        _require_free(path)
        weights, averages = least_weights(config.model, data.event_shape), config.train.ema > 0
        checkpoints.require_disk_space(path, weights, averages=averages)
        with atomic.disk_errors(path):
            atomic.make_folder(path, parents=True)
            with lock.locked(path):
                _require_free(path)  # another process may have made the same run meanwhile
                training_values.write(path, data.train)
                columns_file.write(path, data)
                write_config(path, config, data)
        return cls(path, network=network)

    @property
    def runs_code(self) -> bool:
        """True if the model is made by code that the config names, and nobody has trusted."""
        return self.config.model.has_own_network and self._factory is None

    def _network(self) -> NetworkFactory | None:
        """Return the factory of the networks; None if they are elboroom's own.

        Raises:
            RunError: if they are made by code that nobody has trusted.
        """
        fix = "use --trust; in Python, Run(path, network=function) or Run(path, trust=True)"
        require_known(self.config.model, self.path, self._factory, fix)
        return self._factory

    def locked(self) -> AbstractContextManager[None]:
        """Hold the lock of a process that trains the run; reading needs none.

        Raises:
            RunError: if another process holds it.
        """
        return lock.locked(self.path)

    def extend(self, epochs: int) -> None:
        """Raise the number of epochs, so that training goes on after the last one.

        Warn if the learning rate follows a schedule, which then ends later, or if images are moved
        again.

        Raises:
            UsageError: if `epochs` is no number, or less than the run has, or if the run is trained
                by time.
            DiskError: if the config cannot be written.
        """
        if self.config.train.minutes is not None:
            raise UsageError(
                f"{self.path} is trained by time, and cannot be extended",
                why="its learning rate and all else that follows the progress end with its minutes",
                fix="train a new run from its weights, with --init-from",
            )
        before, now = self.config.train, self.config.train.resolved_epochs
        after = replace(before, epochs=epochs)
        require(after.resolved_epochs >= now, "epochs", epochs, f"{now}, as now, or more")
        write_epochs(self.path, epochs)
        self.config = replace(self.config, train=after)
        if before.schedule != "constant":
            was, rate = (learning_rate(c, Progress.of_epochs(now, c)) for c in (before, after))
            warnings.warn(
                f"the {before.schedule} schedule now ends after epoch {epochs}: after epoch "
                f"{now} the learning rate is {rate:.2g}, and was {was:.2g}",
                stacklevel=2,
            )
        if after.augment_until < 1 and augments(after, Progress.of_epochs(now, after)):
            warnings.warn(
                f"images are moved again until epoch {after.augment_until * epochs:g}, the share "
                f"{after.augment_until:g} of all {epochs}",
                stacklevel=2,
            )

    def load_data(self, source: str | None = None) -> Dataset:
        """Load the data that the run was made from, as `RunData.load` does."""
        return self.data.load(source)

    def choose_part(self, name: PartName | None = None, source: str | None = None) -> ChosenPart:
        """Load a part of the run's own data, or new data, as `RunData.choose_part` does."""
        return self.data.choose_part(name, source)

    def load_model(self, *, best: bool = False) -> VAE:
        """Load the model of the newest whole checkpoint, bit for bit.

        It holds its partial encoder, if the run has one of these weights.

        Args:
            best: take the checkpoint with the largest held-out ELBO instead.

        Raises:
            RunError: if there is none, or the config describes larger networks than it holds.
        """
        model = self.load_model_and_step(best=best)[0]
        self.load_partial_encoder(model)
        return model

    def load_partial_encoder(self, model: VAE) -> None:
        """Give a model of this run its partial encoder, if there is one of its weights.

        Warn of one of other weights.

        Raises:
            RunError: if it cannot be read.
        """
        found = partial_encoder_file.read(self.path, self.config.model, model)
        model.partial_encoder = None if found is None else found[0]

    def load_model_and_step(self, *, best: bool = False) -> tuple[VAE, int]:
        """Load a model without its partial encoder, and return it with the step of its checkpoint.

        Raises:
            RunError: as in `load_model`.
        """
        network = self._network()
        self._require_room()
        model = empty_model(self.config.model, self.event_shape, self.config.train.seed, network)
        step = checkpoints.load(self.checkpoints, model, best=best)
        return model.eval(), step

    def _require_room(self) -> None:
        """Check that a checkpoint can hold the weights of the config, before a model is made."""
        weights = least_weights(self.config.model, self.event_shape)
        checkpoints.require_room(self.checkpoints, weights)

    def new_training(self, data: Dataset) -> tuple[VAE, TrainState]:
        """Make the model and the state before the first step, on the device of the config.

        Raises:
            UsageError: if `data` is not a Dataset, or training does not fit into the free memory.
            IncomparableError: if they are not the data of the run.
            RunError: if the weights of `init_from` do not fit the model.
        """
        self.data.require(data)
        require_memory_for_weights(self.config, self.event_shape)
        model = new_model(self.config, data, self._network())
        require_memory(model, data, self.config.train, self.config.objective)
        return self.start(model)

    def start(self, model: VAE) -> tuple[VAE, TrainState]:
        """Make the state before the first step of an initial model, as `new_training` does.

        Args:
            model: the model of the config, whose memory has been checked, as `resolve` leaves it.

        Raises:
            RunError: if the weights of `init_from` do not fit the model.
        """
        if self.config.init_from is not None:
            self._take_weights(model, Run(self.config.init_from, network=self._factory))
        model.to(resolve_device(self.config.train.device))
        return model, new_state(model, self.config.train)

    def _take_weights(self, model: VAE, other: "Run") -> None:
        """Take the newest weights of another run; how data are standardised stays as it is."""
        mine, theirs = ((r.config.model, r.event_shape) for r in (self, other))
        if mine != theirs:
            raise RunError(
                f"the weights of {other.path} do not fit this model",
                why=f"found {_differences(*theirs, *mine)}",
                fix="give the new run the model options of the old one, and data of its shape",
            )
        columns_file.require_same_columns(self.path, other.path)
        of_data = {name for name, _ in model.named_buffers() if name.startswith("likelihood.")}
        weights = other.load_model().state_dict()
        model.load_state_dict({n: t for n, t in weights.items() if n not in of_data}, strict=False)

    def load_training(self, data: Dataset) -> tuple[VAE, TrainState]:
        """Load the model and the state to resume from, and drop the metrics after that step.

        Warn of metrics before it that are missing or cannot be read.

        Raises:
            RunError: if there are checkpoints, and none can be used.
            UsageError: if `data` is not a Dataset.
            IncomparableError: if they are not the data of the run.
            DiskError: if the metrics cannot be written.
        """
        self.data.require(data)
        warn_of_changes(self.path, self.environment, self.config.train)
        saved = listing.newest_first(self.checkpoints)  # none if it stopped before its first
        if saved:
            self._require_room()
        model, state = self.new_training(data)
        if saved:
            checkpoints.load(self.checkpoints, model, state)
        per_epoch = steps_per_epoch(self.config.train, data.train)
        state.history = self.metrics.rewind(state.step, per_epoch)
        return model, state

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, after any metrics that are still pending.

        The newest two are kept, and the best.

        Raises:
            DiskError: if it cannot be written. The error names the checkpoint that training can
                be resumed from; earlier checkpoints are unchanged.
        """
        try:
            self.metrics.write_pending()
            checkpoints.write(self.checkpoints, checkpoint)
        except DiskError as error:
            kept = listing.newest_first(self.checkpoints)
            start = f"its checkpoint {kept[0].name}" if kept else "its start"
            resume = command("train", "--resume", self.path)
            fix = f"{error.fix}; `{resume}` then resumes from {start}"
            raise DiskError(error.what, why=error.why, fix=fix) from error


def require_values_of(config: Config, data: Dataset) -> None:
    """Check that the likelihood of a new run takes the values of its data.

    Raises:
        DataError: if it does not.
    """
    other = None
    if config.init_from is not None:
        other = (
            f"give data with values like those of {config.init_from}, whose weights start the run, "
            "or train a new run without --init-from"
        )
    for part in (data.train, data.test):
        require_support(likelihood_class(config.model), part, data.identity.source, other)


def _as_path(path: object) -> Path:
    """Return the path of a run; `~` is expanded."""
    require_instance("path", path, str, PathLike, fix="give the folder of the run")
    return Path(cast(str, path)).expanduser()


def _differences(
    found: ModelConfig,
    shape: tuple[int, ...],
    expected: ModelConfig,
    expected_shape: tuple[int, ...],
) -> str:
    """Describe how two models differ."""
    options = [
        f"{name} {value}; expected {wanted}"
        for (name, value), wanted in zip(vars(found).items(), vars(expected).values(), strict=True)
        if value != wanted
    ]
    shapes = (
        [f"events of shape {shape}; expected {expected_shape}"] if shape != expected_shape else []
    )
    return "; ".join([*options, *shapes])


def _require_free(path: Path) -> None:
    """Check that a new run may take `path`.

    A process that was killed before it wrote a config may have left a lock there.
    """
    files = (*lock.FILES, training_values.FILE, columns_file.FILE)
    leftovers = {*files, *(f".{name}.part" for name in (*files, CONFIG))}
    if path.is_dir() and {inner.name for inner in path.iterdir()} <= leftovers:
        return
    if path.exists():
        raise RunError(
            f"{path} is in the way",
            why="a new run never writes over an old one",
            fix=f"give another --out, or resume it with `{command('train', '--resume', path)}`",
        )
