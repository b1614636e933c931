"""The command line: arguments → a command, its exit code, and what is said of errors."""

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Union

import tyro
from tyro import MISSING_NONPROP
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, subcommand

from elboroom.cli.commands import COMMANDS, Command, Train, TrainDefaults
from elboroom.cli.signals import Interrupted, ended_by_signals
from elboroom.config import PRESETS, Config, DataConfig
from elboroom.errors import ElboroomError, printable

_DESCRIPTION = """Variational autoencoders and stochastic variational inference.

Example: elboroom train --out runs/first && elboroom report runs/first

Exit codes: 0 done, 1 the run failed, 2 wrong usage, 130 interrupted by Ctrl-C,
143 by SIGTERM, 138 by SIGUSR1.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The `elboroom` command: runs it and exits."""
    bound_openmp_spinning()
    warnings.showwarning = _warn
    try:
        try:
            code = _run(list(sys.argv[1:] if arguments is None else arguments))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read has left, as in `elboroom train --help | head -1`
        # Python flushes stdout once more as it exits: what is left then goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def bound_openmp_spinning() -> None:
    """Let OpenMP threads spin only briefly at barriers, unless the user has set for how long.

    While another process keeps a core, spinning for a thread that does not run makes PyTorch 20 to
    50 times slower. OpenMP reads the variable when PyTorch is loaded, so this must come first.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def _run(arguments: list[str]) -> int:
    try:
        with ended_by_signals():
            return parse(arguments).run()
    except Interrupted as end:
        return _fail(str(end), end.exit_code)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  # the last line of defence against a bare traceback
        if "--debug" in arguments:
            traceback.print_exc()
        return _fail(*_explained(error))


def _explained(error: Exception) -> tuple[str, int]:
    """What is said of an error, and the exit code."""
    if isinstance(error, ElboroomError):
        return str(error), error.exit_code
    what = f"{type(error).__name__}: {error}"
    return f"{what}\n  fix: run it again with --debug to see where", 1


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"error: {message}\n")
    return code


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    sys.stderr.write(f"warning: {printable(str(message))}\n")


def parse(arguments: list[str]) -> Any:
    """The command that the arguments spell; exits 2 if they spell none."""
    defaults: dict[type[Command], Train] = (
        {Train: _train_defaults(arguments[1:])} if arguments[:1] == ["train"] else {}
    )
    kinds = tuple(
        Annotated[
            kind,
            subcommand(
                kind.__name__.lower(),
                prefix_name=False,
                default=defaults.get(kind, MISSING_NONPROP),
            ),
        ]
        for kind in COMMANDS
    )
    return tyro.cli(
        Union[kinds],  # type: ignore[arg-type]  # noqa: UP007  # built at run time
        prog="elboroom",
        description=_DESCRIPTION,
        args=arguments,
        config=(OmitArgPrefixes, FlagCreatePairsOff),
    )


@dataclass(frozen=True, kw_only=True)
class _Named(TrainDefaults):
    """What the defaults of `elboroom train` depend on."""

    data: str = DataConfig.source


def _preset(named: _Named) -> Config:
    """The preset; the reference split is of MNIST, other data keeps its own test part."""
    config = PRESETS[named.preset]
    if named.data == DataConfig.source:
        return config
    return replace(config, data=replace(config.data, split=DataConfig.split))


def _train_defaults(arguments: list[str]) -> Train:
    """The options' defaults under the preset or the run that the command line names."""
    start, _ = tyro.cli(
        _Named, prog="elboroom train", args=arguments, return_unknown_args=True, add_help=False
    )
    # A preset beside --resume is no default of that run: training refuses the options it brings.
    if start.resume is None or start.preset != TrainDefaults.preset:
        return Train(preset=start.preset, config=_preset(start))
    from elboroom.runs.run import Run

    return Train(resume=start.resume, config=Run(start.resume).config)
