"""The command line: parse the arguments, run the command, print errors, exit."""

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import tyro

from elboroom.cli.commands import COMMANDS, Command, Train, TrainDefaults
from elboroom.cli.parsing import PROGRAM, parse_command
from elboroom.cli.presets import default_preset
from elboroom.cli.signals import SIGNALS, Interrupted, ended_by_signals, exit_code
from elboroom.config import PRESETS, Config, DataConfig
from elboroom.errors import ElboroomError, UsageError, printable

_BY_SIGNALS = ", ".join(f"{exit_code(number)} by {number.name}" for number in SIGNALS)
_DESCRIPTION = f"""Variational autoencoders and stochastic variational inference.

Example: elboroom train --out runs/first && elboroom report runs/first

`elboroom --version` prints the version, and `elboroom COMMAND --help` the options of a command.

Exit codes: 0 done, 1 the run failed, 2 wrong usage; ended by signals: {_BY_SIGNALS}.
SIGINT is Ctrl-C.
"""
_READER_GONE = (errno.EPIPE, errno.EINVAL)  # Windows reports the second


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the `elboroom` command, and exit."""
    bound_openmp_spinning()
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        encode(stream)
    warnings.showwarning = _warn if _rank() in ("", "0") else _ignore
    try:
        try:
            code = _run(list(sys.argv[1:] if arguments is None else arguments))
        finally:
            sys.stdout.flush()
    except OSError as error:
        code = _output_failed(error)
    _leave_others(code)
    sys.exit(code)


def _replace_closed_streams() -> None:
    """Discard what would be written to a stream that is closed, as by `>&-` in a shell."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def encode(stream: TextIO) -> None:
    """Let a stream take every character, whatever its encoding.

    Output into a file or a pipe is the same on every system: UTF-8, with the line ends of POSIX,
    unless PYTHONIOENCODING names another encoding. What an encoding lacks is escaped.
    """
    if not isinstance(stream, TextIOWrapper):
        return
    if not stream.isatty() and "PYTHONIOENCODING" not in os.environ:
        stream.reconfigure(encoding="utf-8", newline="\n")
    stream.reconfigure(errors="backslashreplace")


def _output_failed(error: OSError) -> int:
    """Discard what cannot be printed, and return the exit code.

    No error is printed if the reader is gone, as in `elboroom train --help | head -1`.
    """
    # Python flushes stdout again at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno in _READER_GONE:
        return 1
    what = f"the output cannot be written\n  why: {printable(str(error))}"
    return _fail(f"{what}\n  fix: write it to another disk", 1)


def _leave_others(code: int) -> None:
    """End this process at once if it has failed along with others.

    Threads that still wait for them would abort Python at its end, or keep it from ending.
    """
    if not code or not _rank():
        return
    from elboroom.device import world  # loads PyTorch, which is loaded if there is a world

    if world().size > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def bound_openmp_spinning() -> None:
    """Let OpenMP threads spin only briefly at barriers, unless the user has set for how long.

    While another process keeps a core, spinning for a thread that does not run makes PyTorch 20 to
    50 times slower. OpenMP reads the variable when PyTorch is loaded, so this must come first.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        arguments = ["version"]
    try:
        with ended_by_signals():
            return _run_by_all(parse([_expand(argument) for argument in arguments]))
    except Interrupted as end:
        return _fail(str(end), end.exit_code)
    except BrokenPipeError:
        raise
    except Exception as error:  # users see no bare traceback
        if _is_of_output(error):
            raise
        if "--debug" in arguments:
            traceback.print_exc()
        return _fail(*_message_and_code(error))


def _is_of_output(error: Exception) -> bool:
    """Return whether an unbuffered stream could not be written; of a file its name is known."""
    if not isinstance(error, OSError) or error.filename is not None:
        return False
    return error.errno in (errno.ENOSPC, errno.EBADF, errno.EIO)


def _run_by_all(command: Any) -> int:
    """Run a command in this process, or along with those that torchrun started."""
    if not _rank():
        return command.run()
    if not command.is_shared:
        raise UsageError(
            f"`elboroom {type(command).__name__.lower()}` is for one process",
            why=f"torchrun started {os.environ['WORLD_SIZE']}",
            fix="run it without torchrun",
        )
    from elboroom.device import joined  # loads PyTorch

    with joined():
        return command.run()


def _rank() -> str:
    """Return the number of this process among several that torchrun started; empty if alone."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return os.environ.get("RANK", "") if several else ""


def _expand(argument: str) -> str:
    """Expand `~` at the start of a path, which a shell leaves as it is after `--option=`."""
    if not argument.startswith("--"):
        return os.path.expanduser(argument)
    option, sign, value = argument.partition("=")
    return option + sign + os.path.expanduser(value)


def _message_and_code(error: Exception) -> tuple[str, int]:
    """Return the message of an error and the exit code."""
    if isinstance(error, ElboroomError):
        return str(error), error.exit_code
    what = printable(f"{type(error).__name__}: {error}")
    from elboroom.training.limits.out_of_memory import is_out_of_memory

    if is_out_of_memory(error):
        fix = "ask for fewer rows, --draws or samples at a time, or free memory"
        return f"memory ran out\n  why: {what}\n  fix: {fix}", 1
    return f"{what}\n  fix: run it again with --debug to see where", 1


def _fail(message: str, code: int) -> int:
    rank = f"rank {_rank()}: " if _rank() else ""
    sys.stderr.write(f"error: {rank}{message}\n")
    return code


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    sys.stderr.write(f"warning: {printable(str(message))}\n")


def _ignore(*_: Any, **__: Any) -> None:
    """Leave a warning to the first process, which has the same."""


def parse(arguments: list[str]) -> Any:
    """Parse the arguments into a command; exit with code 2 if that fails."""
    defaults: dict[type[Command], Train] = (
        {Train: _train_defaults(arguments[1:])} if arguments[:1] == ["train"] else {}
    )
    return parse_command(COMMANDS, arguments, description=_DESCRIPTION, defaults=defaults)


@dataclass(frozen=True, kw_only=True)
class _DefaultsOptions(TrainDefaults):
    """The options that the defaults of `elboroom train` depend on."""

    data: str = DataConfig.source
    unused: tuple[str, ...] = DataConfig.unused
    init_from: Path | None = None
    minutes: float | None = None


def _preset_config(options: _DefaultsOptions) -> Config:
    """Return the preset, but for data other than MNIST with their default split and values.

    Beside --minutes the epochs of a preset set no limit.
    """
    data = DataConfig(source=options.data, unused=options.unused)
    config = PRESETS[options.preset or default_preset(data)[0]]
    if options.init_from is not None:
        config = replace(config, model=_config_of(options.init_from).model)
    if options.minutes is not None:
        config = replace(config, train=replace(config.train, epochs="auto"))
    if options.data == DataConfig.source:
        return config
    defaults = {"split": DataConfig.split, "binarisation": DataConfig.binarisation}
    return replace(config, data=replace(config.data, **defaults))


def _train_defaults(arguments: list[str]) -> Train:
    """Return the defaults of all options under the preset or run that the command line names."""
    options, _ = tyro.cli(
        _DefaultsOptions,
        prog=f"{PROGRAM} train",
        args=arguments,
        return_unknown_args=True,
        add_help=False,
    )
    # With a preset next to --resume, training must find other options than the run's and refuse.
    if options.resume is None or options.preset != TrainDefaults.preset:
        return Train(preset=options.preset, config=_preset_config(options))
    return Train(resume=options.resume, config=_config_of(options.resume))


def _config_of(run: Path) -> Config:
    from elboroom.runs.run import Run

    return Run(run).config
