"""The commands of the command line: one dataclass each, which tyro parses.

Heavy libraries are imported only when a command runs, so that `--help` is fast.
"""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import tyro
from tyro.conf import FlagCreatePairsOff, Positional, arg

from elboroom import __version__
from elboroom.cli.presets import default_preset
from elboroom.config import (
    PRESETS,
    AmortiseConfig,
    CompleteConfig,
    Config,
    EvaluateConfig,
    ExploreConfig,
    ExportConfig,
    FiguresConfig,
    GapsConfig,
    ImputeConfig,
    InferConfig,
    PackConfig,
    ScoreConfig,
    TrackOption,
)
from elboroom.config.kinds import JsonCommand, Shell

if TYPE_CHECKING:
    from elboroom.runs.run import Run

    Preset = str
else:
    Preset = tyro.extras.literal_type_from_choices(PRESETS)


@dataclass(frozen=True, kw_only=True)
class Command:
    """The options of every command."""

    is_shared: ClassVar[bool] = False
    """True if several processes that torchrun starts can share the work."""

    debug: FlagCreatePairsOff[bool] = False
    """Print the traceback of an error."""


@dataclass(frozen=True, kw_only=True)
class RunCommand(Command):
    """The options of every command that uses the model of a run."""

    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run folder."""
    best: FlagCreatePairsOff[bool] = False
    """Use the checkpoint of the largest held-out ELBO instead of the newest."""
    trust: FlagCreatePairsOff[bool] = False
    """Run the code that makes the networks of RUN, if its config names code. It can do anything
    that you can: know it first."""

    def open(self) -> "Run":
        """Open the run folder."""
        from elboroom.runs.run import Run

        return Run(self.run_folder, trust=self.trust)


@dataclass(frozen=True, kw_only=True)
class MeasuringCommand(RunCommand):
    """The options of every command that measures many rows and prints the results."""

    is_shared = True

    quiet: FlagCreatePairsOff[bool] = False
    """Show no progress; results, notes and warnings are printed all the same."""
    json: FlagCreatePairsOff[bool] = False
    """Print the results as JSON."""


@dataclass(frozen=True, kw_only=True)
class TrainDefaults:
    """The options that decide the defaults of the other options of `elboroom train`."""

    preset: Preset | None = None
    """The preset that the other options start from. By default it is pictures for a folder, an
    archive, a table or a packed array of pictures, own for other data of your own, and reference
    for mnist."""
    resume: Path | None = None
    """Resume this run with its own options, as if it had never stopped."""
    trust: FlagCreatePairsOff[bool] = False
    """Run the code that makes the networks of the run to resume, if its config names code."""


@dataclass(frozen=True, kw_only=True)
class Train(Command, TrainDefaults):
    """Train a model in a run folder.

    Example: elboroom train --preset mnist --epochs 20 --out runs/first

    Several processes share each batch: torchrun --nproc-per-node 4 -m elboroom train …

    Ctrl-C, SIGTERM and SIGUSR1 stop after the current step and save the run. A second Ctrl-C stops
    at once without saving.
    """

    is_shared = True

    out: Path | None = None
    """The new run folder; by default runs/PRESET-DATE-TIME."""
    resume_or_start: Path | None = None
    """Resume this run if it exists, which must have been started with the same options, else start
    it there. With `torchrun --max-restarts` training survives the loss of a process."""
    track: TrackOption = ()
    quiet: FlagCreatePairsOff[bool] = False
    """Print neither what was read nor progress; only notes on the data, warnings and errors."""
    explain: FlagCreatePairsOff[bool] = False
    """Print how this machine would train, and why, and make no run."""
    config: Annotated[Config, arg(name="")] = field(default_factory=Config)

    @property
    def chosen_preset(self) -> tuple[str, str]:
        """The preset that was named, or that the data take, and the reason in words."""
        if self.preset is not None:
            return self.preset, "as asked"
        return default_preset(self.config.data)

    def run(self) -> int:
        """Train, and return 0, or 128 + the number of the signal that stopped it."""
        began = time.perf_counter()
        from elboroom.cli import train as train_command

        if self.explain:
            train_command.explain(self.config, self.chosen_preset)
            return 0
        return train_command.train(
            self.config,
            self.chosen_preset,
            out=self.out,
            resume=self.resume,
            resume_or_start=self.resume_or_start,
            trust=self.trust,
            track=self.track,
            quiet=self.quiet,
            began=began,
        )


@dataclass(frozen=True, kw_only=True)
class Evaluate(MeasuringCommand):
    """Print and store the held-out likelihood of a run, its standard errors and its reliability.

    Example: elboroom evaluate runs/first --ais 100 --certify 100 --compare runs/second

    Writes RUN/evaluation.json, and RUN/evaluation.npz with the values of each test row, its number
    in the source and its file. Other parts and new data are only printed, and kept with --out.

    Ctrl-C, SIGTERM and SIGUSR1 stop it. It then prints and stores the estimates by the rows that
    are finished, which are a random sample, and marks them as partial.
    """

    compare: tuple[Path, ...] = ()
    """Other runs on the same data; their paired differences from RUN are printed."""
    config: Annotated[EvaluateConfig, arg(name="")] = field(default_factory=EvaluateConfig)

    def run(self) -> int:
        """Evaluate the run, and return 0, or 128 + the number of the signal that stopped it."""
        from elboroom.cli import evaluate
        from elboroom.runs.run import Run

        return evaluate.evaluate(
            self.open(),
            self.config,
            best=self.best,
            compare=tuple(Run(other, trust=self.trust) for other in self.compare),
            quiet=self.quiet,
            as_json=self.json,
        )


@dataclass(frozen=True, kw_only=True)
class Figures(RunCommand):
    """Draw the figures of a run into RUN/figures, as PNG and SVG.

    Example: elboroom figures runs/first --only samples contours

    Figures of rows are named latent-PART for another --part, and latent-new-FILE for new --data.
    """

    config: Annotated[FiguresConfig, arg(name="")] = field(default_factory=FiguresConfig)

    def run(self) -> int:
        """Draw the figures."""
        from elboroom.cli import figures

        figures.figures(self.open(), self.config, best=self.best)
        return 0


@dataclass(frozen=True, kw_only=True)
class Complete(MeasuringCommand):
    """Infer z from the seen part of rows and fill in the rest, by one method or several.

    Example: elboroom complete runs/first --mask top --index 0 1 2 --method svi hmc

    Draws RUN/figures/complete-MASK.png and .svg, if the rows are images. Prints each ELBO or
    log p(seen), and the log probability of the unseen values by each method. Without --mask it
    fills in what is missing in the data. With --out it writes the filled data to a file instead.
    """

    config: Annotated[CompleteConfig, arg(name="")] = field(default_factory=CompleteConfig)

    def run(self) -> int:
        """Complete the rows, or write them with --out."""
        from elboroom.cli import complete, fill

        options = {"best": self.best, "quiet": self.quiet, "as_json": self.json}
        if self.config.out is None:
            complete.complete(self.open(), self.config, **options)
        else:
            out = self.config.out
            fill.fill(self.open(), out, self.config, **options)
        return 0


@dataclass(frozen=True, kw_only=True)
class Infer(MeasuringCommand):
    """Infer the posterior of z of many rows, and write draws and diagnostics into a file.

    Example: elboroom infer runs/first --mask top --method laplace --out top.npz

    The file holds z (chain, draw, row, latent), mean (row, latent), mask, summary, and elbo or
    log_evidence in nats and every diagnostic (row). It names the rows by index in the part, by row
    in the source, and by file. Methods without chains have one chain. ArviZ reads it with:
    arviz_base.dict_to_dataset({"z": numpy.load("top.npz")["z"]})
    """

    config: Annotated[InferConfig, arg(name="")]

    def run(self) -> int:
        """Infer the posteriors."""
        from elboroom.cli import infer

        infer.infer(self.open(), self.config, best=self.best, quiet=self.quiet, as_json=self.json)
        return 0


@dataclass(frozen=True, kw_only=True)
class Amortise(RunCommand):
    """Train a partial encoder: one pass through a network infers z from any seen part of a row.

    Example: elboroom amortise runs/first --minutes 5

    The model of RUN stays as it is. Writes RUN/partial-encoder.safetensors, which infer, complete
    and gaps then use: by the methods partial-encoder and sir-encoder, and where other methods
    start. Called again, it goes on from there, and keeps the better one.

    Ctrl-C, SIGTERM and SIGUSR1 stop after the current step; the best so far is kept.
    """

    quiet: FlagCreatePairsOff[bool] = False
    """Show no progress; results, notes and warnings are printed all the same."""
    json: FlagCreatePairsOff[bool] = False
    """Print the results as JSON."""
    config: Annotated[AmortiseConfig, arg(name="")] = field(default_factory=AmortiseConfig)

    def run(self) -> int:
        """Train the partial encoder, and return 0, or 128 + the number of the signal."""
        from elboroom.cli import amortise

        options = {"best": self.best, "quiet": self.quiet, "as_json": self.json}
        return amortise.amortise(self.open(), self.config, **options)


@dataclass(frozen=True, kw_only=True)
class Gaps(MeasuringCommand):
    """Print how far the encoder's ELBO is below log p(x), and why (Cremer et al., 2018).

    Example: elboroom gaps runs/first --mask top --images 200

    Fitting a q of the encoder's family to each row closes the amortisation gap. Only another
    family closes the approximation gap. With one or two latents log p(x) is exact.
    """

    config: Annotated[GapsConfig, arg(name="")] = field(default_factory=GapsConfig)

    def run(self) -> int:
        """Print the gaps."""
        from elboroom.cli import gaps

        gaps.gaps(self.open(), self.config, best=self.best, quiet=self.quiet, as_json=self.json)
        return 0


@dataclass(frozen=True, kw_only=True)
class Impute(Command):
    """Fill in the gaps of a table, and report how far that can be trusted.

    Example: elboroom impute patients.csv --out filled.csv --draws 20

    Trains models of the table's own columns, a minute for 10,000 rows of 30 columns. Writes the
    table with its own types, order, names and formatting, the uncertainty of each filled entry, and
    a page with the errors and the coverage of entries that were hidden on purpose. With --run, new
    rows are filled in by models that are trained already.
    """

    trust: FlagCreatePairsOff[bool] = False
    """Run the code that makes the networks of --run, if its config names code."""
    quiet: FlagCreatePairsOff[bool] = False
    """Show no progress; notes, doubts and warnings are printed all the same."""
    json: FlagCreatePairsOff[bool] = False
    """Print the results as JSON."""
    config: Annotated[ImputeConfig, arg(name="")]

    def run(self) -> int:
        """Impute the table."""
        from elboroom.cli import impute

        impute.impute(self.config, trust=self.trust, quiet=self.quiet, as_json=self.json)
        return 0


@dataclass(frozen=True, kw_only=True)
class Score(RunCommand):
    """Print how usual the rows of a table are: log p(row), and the surprise of each entry.

    Example: elboroom score runs/impute-20260101-120000 new.csv --out scores.csv

    RUN is a run on a table, or the folder of models of `elboroom impute`. Rows that are unlike
    those of the training have a small log p; its surprising entries say why.
    """

    quiet: FlagCreatePairsOff[bool] = False
    """Show no progress; results, notes and warnings are printed all the same."""
    json: FlagCreatePairsOff[bool] = False
    """Print the results as JSON."""
    config: Annotated[ScoreConfig, arg(name="")]

    def run(self) -> int:
        """Score the rows."""
        from elboroom.cli import score

        options = {"best": self.best, "trust": self.trust, "quiet": self.quiet}
        score.score(self.run_folder, self.config, **options, as_json=self.json)
        return 0


@dataclass(frozen=True, kw_only=True)
class Report(RunCommand):
    """Write RUN/report.html, one self-contained page on one checkpoint.

    Example: elboroom report runs/first

    Draws the figures that are missing or show another checkpoint. It also evaluates with 20
    samples per row if needed; such an evaluation never replaces one with more.
    """

    data: str | None = None
    """Where the run's data are now, if they were moved or renamed."""

    def run(self) -> int:
        """Write the report."""
        from elboroom.cli import report

        report.report(self.open(), best=self.best, data=self.data)
        return 0


@dataclass(frozen=True, kw_only=True)
class Explore(RunCommand):
    """Open a page in the browser to look inside a trained model, and to play with it.

    Example: elboroom explore runs/first

    The page shows the encoded rows on a map of the latent space, completes what is not seen and
    draws the posterior of it, interpolates, samples, and follows the training. It is served on this
    machine alone, changes nothing, and needs no network. /openapi.json describes its JSON.

    Ctrl-C ends it.
    """

    others: Annotated[Positional[tuple[Path, ...]], arg(metavar="[RUN ...]")] = ()
    """Further run folders, to compare with the first."""
    config: Annotated[ExploreConfig, arg(name="")] = field(default_factory=ExploreConfig)

    def run(self) -> int:
        """Serve the page until Ctrl-C."""
        from elboroom.cli import explore
        from elboroom.runs.run import Run

        runs = [self.open(), *(Run(folder, trust=self.trust) for folder in self.others)]
        explore.explore(runs, self.config, best=self.best)
        return 0


@dataclass(frozen=True, kw_only=True)
class Export(RunCommand):
    """Write a trained model in a form that others can use.

    Example: elboroom export runs/first --to onnx --out first-onnx

    onnx and torch write the networks, encoder and decoder, and model.json, which says what they
    take and return, and how to sample and to compute log p(x | z). They take data in their own
    units, any number of rows and of samples, and are compared with the model before they are
    written. Open a .pt2 file only if you trust who made it: PyTorch unpickles some of it.

    The folder for the Hub has the weights, the options and a model card; send it by
    `hf upload OWNER/NAME FOLDER`. Paths and names of files are left out. The card, README.md, lists
    what is of the data: read it first.

    The web export is the page of `elboroom explore` for any web host, with no server: the browser
    computes the decoder, the encoder, and with one or two latents the exact posterior. It holds the
    model's weights, and the first 2,000 rows of the test part for everybody to see. It has fully
    connected networks of binary or real values, of up to 8 million weights.
    """

    config: Annotated[ExportConfig, arg(name="")]

    def run(self) -> int:
        """Write the export."""
        from elboroom.cli import export

        export.export(self.open(), self.config, best=self.best)
        return 0


@dataclass(frozen=True, kw_only=True)
class Pack(Command):
    """Make one array, or shards, of many pictures, which train from disk without decoding again.

    Example: elboroom pack photos photos.npy --size 64 && elboroom train --data photos.npy

    Writes OUT.npy, uint8 (N, C, H, W), and beside it OUT.rows.npz with the file, the part and the
    class of each row, which readers of OUT.npy take up: keep them together. Memory holds some
    pictures at a time. Both files appear whole or not at all.

    With --shard-rows N, OUT is a folder of numbered .npy files with N rows each, and rows.npz among
    them. Under torchrun each process reads its share of them. The folder appears whole or not at
    all.
    """

    quiet: FlagCreatePairsOff[bool] = False
    """Show no progress; results, notes and warnings are printed all the same."""
    config: Annotated[PackConfig, arg(name="")]

    def run(self) -> int:
        """Pack the pictures."""
        from elboroom.cli import pack

        pack.pack(self.config, quiet=self.quiet)
        return 0


@dataclass(frozen=True, kw_only=True)
class Doctor(Command):
    """Check this machine, and check that a run is complete and consistent.

    Example: elboroom doctor runs/first

    Reads every file of RUN and compares it with the others; changes nothing. Each line is ok, a
    note with advice, or damage. The exit code is 1 if something is damaged.
    """

    run_folder: Annotated[Positional[Path | None], arg(metavar="[RUN]")] = None
    """The run folder; without one, only the machine is checked."""
    json: FlagCreatePairsOff[bool] = False
    """Print the findings as JSON."""

    def run(self) -> int:
        """Print the findings, and return 1 if the run is damaged."""
        from elboroom.cli import doctor

        return 0 if doctor.diagnose(self.run_folder, as_json=self.json) else 1


@dataclass(frozen=True, kw_only=True)
class Schema(Command):
    """Print the JSON Schema of what a command prints with --json.

    Example: elboroom schema evaluate > evaluate.schema.json

    It has every key with its meaning and its unit. That of evaluate describes RUN/evaluation.json
    too.
    """

    of: Positional[JsonCommand]
    """The command."""

    def run(self) -> int:
        """Print the schema."""
        import json

        from elboroom.cli import schema

        text = json.dumps(schema.schema(self.of), indent=2, ensure_ascii=False)
        sys.stdout.write(f"{text}\n")
        return 0


@dataclass(frozen=True, kw_only=True)
class Completion(Command):
    """Print the script by which a shell completes commands, options and their values.

    Example: elboroom completion fish | source

    For every new shell write that line into ~/.config/fish/config.fish. In ~/.bashrc, and in
    ~/.zshrc after compinit, it is: eval "$(elboroom completion bash)", or zsh.
    """

    shell: Positional[Shell]
    """The shell."""

    def run(self) -> int:
        """Print the script."""
        from elboroom.cli import completion

        sys.stdout.write(completion.script(COMMANDS, self.shell))
        return 0


@dataclass(frozen=True, kw_only=True)
class Version(Command):
    """Print the version.

    Example: elboroom version
    """

    def run(self) -> int:
        """Print the version."""
        sys.stdout.write(f"elboroom {__version__}\n")
        return 0


COMMANDS = (
    Train,
    Evaluate,
    Figures,
    Complete,
    Infer,
    Amortise,
    Gaps,
    Impute,
    Score,
    Report,
    Explore,
    Export,
    Pack,
    Doctor,
    Schema,
    Completion,
    Version,
)
