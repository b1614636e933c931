"""The commands, as the command line takes them: one dataclass each, read by tyro.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional, arg

from elboroom import __version__
from elboroom.config import (
    PRESETS,
    CompleteConfig,
    Config,
    EvaluateConfig,
    FiguresConfig,
    GapsConfig,
    InferConfig,
)

if TYPE_CHECKING:
    Preset = str
else:
    Preset = tyro.extras.literal_type_from_choices(PRESETS)


@dataclass(frozen=True, kw_only=True)
class Command:
    """What every command takes."""

    debug: bool = False
    """Show the traceback of an error."""


@dataclass(frozen=True, kw_only=True)
class Look(Command):
    """What every command takes that looks at the model of a run."""

    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run folder."""
    best: bool = False
    """Use the checkpoint of the largest held-out ELBO instead of the newest."""


@dataclass(frozen=True, kw_only=True)
class TrainDefaults:
    """Where the defaults of `elboroom train` come from; read before the other options are."""

    preset: Preset = "reference"
    """The preset that the other options start from."""
    resume: Path | None = None
    """Go on with this run, with its own options, as if it had never stopped."""


@dataclass(frozen=True, kw_only=True)
class Train(Command, TrainDefaults):
    """Train a model and keep it in a run folder.

    Example: elboroom train --preset mnist --epochs 20 --out runs/first

    Ctrl-C, SIGTERM and SIGUSR1 stop after the running step and keep the run (exit codes 130, 143,
    138); a second Ctrl-C ends at once.
    """

    out: Path | None = None
    """The run folder to make; by default runs/PRESET-DATE-TIME."""
    quiet: bool = False
    """Show no progress."""
    explain: bool = False
    """Say how this machine would train, and why; no run is made. --minutes are timed first."""
    config: Annotated[Config, arg(name="")] = field(default_factory=Config)

    def run(self) -> int:
        """Train; 128 + the number of the signal that stopped it."""
        from elboroom.cli import train as train_command

        if self.explain:
            train_command.explain(self.config)
            return 0
        return train_command.train(
            self.config, self.preset, out=self.out, resume=self.resume, quiet=self.quiet
        )


@dataclass(frozen=True, kw_only=True)
class Evaluate(Look):
    """Print and store the held-out likelihood of a run, with standard errors, and what it is worth.

    Example: elboroom evaluate runs/first --ais 100 --certify 100 --compare runs/second

    Writes RUN/evaluation.json, and RUN/evaluation.npz with a value of each test image.
    """

    compare: tuple[Path, ...] = ()
    """Other runs on the same data, whose paired differences from RUN are shown."""
    quiet: bool = False
    """Show no progress."""
    json: bool = False
    """Print the figures as JSON."""
    config: Annotated[EvaluateConfig, arg(name="")] = field(default_factory=EvaluateConfig)

    def run(self) -> int:
        """Evaluate."""
        from elboroom.cli import evaluate

        evaluate.evaluate(
            self.run_folder,
            self.config,
            best=self.best,
            compare=self.compare,
            quiet=self.quiet,
            as_json=self.json,
        )
        return 0


@dataclass(frozen=True, kw_only=True)
class Figures(Look):
    """Draw the figures of a run into RUN/figures, as PNG and SVG.

    Example: elboroom figures runs/first --only samples contours
    """

    config: Annotated[FiguresConfig, arg(name="")] = field(default_factory=FiguresConfig)

    def run(self) -> int:
        """Draw."""
        from elboroom.cli import figures

        figures.figures(self.run_folder, self.config, best=self.best)
        return 0


@dataclass(frozen=True, kw_only=True)
class Complete(Look):
    """Infer z from the seen part of images and fill in the rest, by one method or several.

    Example: elboroom complete runs/first --mask top --index 0 1 2 --method svi hmc

    Draws RUN/figures/complete-MASK.png and .svg. Prints each ELBO or log p(seen), and the log
    probability that each method gave to the pixels withheld.
    """

    json: bool = False
    """Print the figures as JSON."""
    config: Annotated[CompleteConfig, arg(name="")]

    def run(self) -> int:
        """Complete."""
        from elboroom.cli import complete

        complete.complete(self.run_folder, self.config, best=self.best, as_json=self.json)
        return 0


@dataclass(frozen=True, kw_only=True)
class Infer(Look):
    """Infer the posterior of z of test images, and write draws and diagnostics into a file.

    Example: elboroom infer runs/first --mask top --method laplace --out top.npz

    The file holds z (chain, draw, image, latent), mean (image, latent), index, mask, summary, and
    elbo or log_evidence in nats and every diagnostic (image). One chain stands for methods that
    have none. ArviZ 1 reads it with:
    arviz.from_dict({"posterior": {"z": numpy.load("top.npz")["z"]}})
    """

    quiet: bool = False
    """Show no progress."""
    json: bool = False
    """Print the summary as JSON."""
    config: Annotated[InferConfig, arg(name="")]

    def run(self) -> int:
        """Infer."""
        from elboroom.cli import infer

        infer.infer(
            self.run_folder,
            self.config,
            best=self.best,
            quiet=self.quiet,
            as_json=self.json,
        )
        return 0


@dataclass(frozen=True, kw_only=True)
class Gaps(Look):
    """Print how far the encoder's ELBO is below log p(x), and why (Cremer et al., 2018).

    Example: elboroom gaps runs/first --mask top --images 200

    The amortisation gap is closed by fitting a q of the encoder's family to each image, the
    approximation gap only by another family. With one or two latents log p(x) is exact.
    """

    quiet: bool = False
    """Show no progress."""
    json: bool = False
    """Print the table as JSON."""
    config: Annotated[GapsConfig, arg(name="")] = field(default_factory=GapsConfig)

    def run(self) -> int:
        """Take the gap apart."""
        from elboroom.cli import gaps

        gaps.gaps(
            self.run_folder,
            self.config,
            best=self.best,
            quiet=self.quiet,
            as_json=self.json,
        )
        return 0


@dataclass(frozen=True, kw_only=True)
class Report(Look):
    """Write RUN/report.html, one self-contained page of one checkpoint.

    Example: elboroom report runs/first

    Draws what is missing or of another checkpoint. So it evaluates too, by 20 samples an image,
    which never replace an evaluation that took longer.
    """

    def run(self) -> int:
        """Report."""
        from elboroom.cli import report

        report.report(self.run_folder, best=self.best)
        return 0


@dataclass(frozen=True, kw_only=True)
class Doctor(Command):
    """Say what this machine can do, and whether a run is whole.

    Example: elboroom doctor runs/first

    Every file of RUN is read and held against the others; nothing is changed. A line is ok, a note
    of what can be done, or damage. Exit code 1 where something is damaged.
    """

    run_folder: Annotated[Positional[Path | None], arg(metavar="[RUN]")] = None
    """The run folder; without one, only the machine is looked at."""
    json: bool = False
    """Print the findings as JSON."""

    def run(self) -> int:
        """Look; 1 if the run is not whole."""
        from elboroom.cli import doctor

        return 0 if doctor.diagnose(self.run_folder, as_json=self.json) else 1


@dataclass(frozen=True, kw_only=True)
class Version(Command):
    """Print the version.

    Example: elboroom version
    """

    def run(self) -> int:
        """Print."""
        sys.stdout.write(f"elboroom {__version__}\n")
        return 0


COMMANDS = (Train, Evaluate, Figures, Complete, Infer, Gaps, Report, Doctor, Version)
