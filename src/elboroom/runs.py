"""The run folder: everything about a run, in files that people and programs can read."""

import json
import math
import platform
import subprocess
import tomllib
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tomli_w
import torch
from torch import Tensor

from elboroom import checkpoints
from elboroom.config import Config
from elboroom.data import Dataset, Identity, load_data
from elboroom.device import describe_device, resolve_device, resolve_precision
from elboroom.errors import RunError
from elboroom.likelihoods import likelihood_of, require_support
from elboroom.model import VAE
from elboroom.randomness import stream
from elboroom.storage import append_line, as_json, whole_lines, write_file
from elboroom.training import EpochMetrics, TrainState, new_state
from elboroom.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CONFIG, _METRICS, _EVALUATION, _PER_IMAGE, _REPORT = (
    "config.toml",
    "metrics.jsonl",
    "evaluation.json",
    "evaluation.npz",
    "report.html",
)


def new_model(config: Config, data: Dataset) -> VAE:
    """The model of `config` with its initial weights."""
    mean = data.train.mean if config.model.data_bias else None
    images = _some_images(config, data) if config.model.prior == "vamp" else None
    generator = stream(config.train.seed, "weights")
    return VAE.from_config(
        config.model, data.event_shape, generator=generator, mean=mean, images=images
    )


def _some_images(config: Config, data: Dataset) -> Tensor:
    """As many training images as the prior has components, the same again if there are fewer."""
    order = torch.randperm(len(data.train), generator=stream(config.train.seed, "pseudo-inputs"))
    rows = torch.arange(config.model.components) % len(order)
    return data.train.rows(order[rows].tolist()).x


class Run:
    """A run folder that exists. `Run.create` makes one, `Run(path)` opens one.

    Raises:
        RunError: `path` is no run, or its config cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path = Path(path)
        try:
            tables = tomllib.loads((path / _CONFIG).read_bytes().decode())
            self.identity = Identity(**tables.pop("identity"))
            self.event_shape = tuple(tables.pop("event")["shape"])
            tables.pop("environment")
            self.config = Config.from_dict(tables)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RunError(
                f"{path} is not a run",
                why=f"it has no {_CONFIG}",
                fix="give the folder that `elboroom train` printed, such as runs/reference-…",
            ) from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise RunError(
                f"the config of {path} cannot be read",
                why=str(error),
                fix=f"restore {_CONFIG} from where the run was made",
            ) from error

    @classmethod
    def create(cls, path: str | Path, config: Config, data: Dataset) -> "Run":
        """Make the folder and write its config.

        Raises:
            RunError: something is in the way, or the folder cannot be made.
            DataError: the data has values that the likelihood cannot take.
        """
        path = Path(path)
        for part in (data.train, data.test):
            require_support(likelihood_of(config.model), part, data.identity.source)
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise RunError(
                    f"{path} is in the way",
                    why="a new run never writes over an old one",
                    fix=f"give another --out, or go on with `elboroom train --resume {path}`",
                )
            path.mkdir(parents=True, exist_ok=True)
            write_file(path / _CONFIG, tomli_w.dumps(_tables(config, data)).encode())
        except OSError as error:
            raise RunError(
                f"the run folder {path} cannot be made",
                why=str(error),
                fix="give an --out where you may write",
            ) from error
        return cls(path)

    def load_data(self) -> Dataset:
        """The data that the run was made from.

        Raises:
            IncomparableError: the data is no longer what it was.
        """
        data = load_data(self.config.data)
        self.identity.require_same(
            data.identity,
            what=f"the data of {self.path} has changed since it was trained",
            fix=f"put back the data that it was trained on at {self.config.data.source}",
        )
        return data

    def load_model(self) -> VAE:
        """The model of the newest whole checkpoint, bit for bit."""
        # the checkpoint brings what started at the data
        config = replace(self.config.model, data_bias=False)
        images = torch.zeros(config.components, *self.event_shape)
        generator = stream(self.config.train.seed, "weights")
        model = VAE.from_config(config, self.event_shape, generator=generator, images=images)
        checkpoints.load(self.path / "checkpoints", model)
        return model.eval()

    def new_training(self, data: Dataset) -> tuple[VAE, TrainState]:
        """The model and the state before the first step, on the device of the config."""
        model = new_model(self.config, data).to(resolve_device(self.config.train.device))
        return model, new_state(model)

    def load_training(self, data: Dataset) -> tuple[VAE, TrainState]:
        """The model and the state to go on from; metrics after that step are dropped."""
        model, state = self.new_training(data)
        if any((self.path / "checkpoints").glob("step-*")):  # else it stopped before its first
            checkpoints.load(self.path / "checkpoints", model, state)
        state.history = [m for m in self.history() if m.step <= state.step]
        lines = "".join(_line(m) + "\n" for m in state.history)
        write_file(self.path / _METRICS, lines.encode())
        return model, state

    def save(self, model: VAE, state: TrainState) -> None:
        """Write a checkpoint."""
        checkpoints.save(self.path / "checkpoints", model, state)

    def record(self, metrics: EpochMetrics) -> None:
        """Append one epoch's metrics."""
        append_line(self.path / _METRICS, _line(metrics))

    def history(self) -> list[EpochMetrics]:
        """The metrics of the epochs so far."""
        lines = whole_lines(self.path / _METRICS)
        return [EpochMetrics(**json.loads(line)) for line in lines]

    def write_evaluation(self, evaluation: dict[str, Any], per_image: dict[str, Tensor]) -> Path:
        """Write evaluation.json, and evaluation.npz with a value of each image."""
        buffer = BytesIO()
        arrays: dict[str, Any] = {name: values.numpy() for name, values in per_image.items()}
        np.savez(buffer, **arrays)
        self._write(_PER_IMAGE, buffer.getvalue())
        return self._write(_EVALUATION, as_json(evaluation).encode())

    def read_evaluation(self) -> dict[str, Any] | None:
        """What `write_evaluation` wrote, or None."""
        path = self.path / _EVALUATION
        return json.loads(path.read_text()) if path.exists() else None

    def write_figure(self, name: str, figure: "Figure") -> list[Path]:
        """Write figures/NAME.png and .svg."""
        (self.path / "figures").mkdir(exist_ok=True)
        paths = []
        for kind in ("png", "svg"):
            buffer = BytesIO()
            figure.savefig(buffer, format=kind, dpi=200)
            paths.append(self._write(f"figures/{name}.{kind}", buffer.getvalue()))
        return paths

    def figures(self) -> dict[str, Path]:
        """The PNG of every figure drawn so far, by name."""
        return {path.stem: path for path in sorted((self.path / "figures").glob("*.png"))}

    def holds(self, name: str) -> bool:
        """Whether the run has the file `name`, made since its newest checkpoint."""
        path = self.path / name
        steps = (self.path / "checkpoints").glob("step-*")
        newest = max((step.stat().st_mtime for step in steps), default=math.inf)
        return path.exists() and path.stat().st_mtime >= newest

    def write_report(self, html: str) -> Path:
        """Write report.html."""
        return self._write(_REPORT, html.encode())

    def _write(self, name: str, content: bytes) -> Path:
        write_file(self.path / name, content)
        return self.path / name


def _line(metrics: EpochMetrics) -> str:
    return json.dumps(asdict(metrics))


def _tables(config: Config, data: Dataset) -> dict[str, Any]:
    device, threads = resolve_device(config.train.device), config.train.threads
    environment = {
        "elboroom": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "device": describe_device(device),
        "precision": str(resolve_precision(config.train.precision, device)).removeprefix("torch."),
        "threads": torch.get_num_threads() if threads == "auto" else threads,
        **_revision(),
    }
    return {
        **_plain(asdict(config)),
        "event": {"shape": list(data.event_shape)},
        "identity": asdict(data.identity),
        "environment": environment,
    }


def _revision() -> dict[str, str]:
    """The git revision of elboroom, where it runs from a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"revision": found.stdout.strip()}


def _plain(value: Any) -> Any:
    """As TOML has it, which knows no null: an absent option is the None that is its default."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    return list(value) if isinstance(value, tuple) else value
