"""`elboroom completion`: the script by which a shell completes commands, options and values.

tyro lists the options. Its own scripts offer no files for arguments without an option, such as RUN,
and take each line of a help for a candidate. The scripts are therefore made by shtab.
"""

import ast
import inspect
import re
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import fields, is_dataclass
from io import StringIO
from typing import Any, get_args, get_type_hints

import shtab
from tyro.conf import Positional

from elboroom.cli.parsing import PROGRAM, parse_command
from elboroom.config.kinds import Shell

_SPEC = re.compile(r"^COMPLETION_SPEC = (.+)$", re.MULTILINE)
_FLAGS = ("flag", "boolean")


def script(commands: Sequence[type], shell: Shell) -> str:
    """Return the script that completes the commands in a shell."""
    parser = ArgumentParser(prog=PROGRAM)
    parser.add_argument("--version", action="store_true", help="print the version")
    added = parser.add_subparsers()
    options = _options(commands)
    for kind in commands:
        name = kind.__name__.lower()
        command = added.add_parser(name, help=_first_line(inspect.getdoc(kind) or ""))
        for option in options[name]:
            _add_option(command, option)
        for field, choices in _positionals(kind):
            _offer(command.add_argument(field, nargs="*", choices=choices or None), choices)
    return shtab.complete(parser, shell)


def _options(commands: Sequence[type]) -> dict[str, list[dict[str, Any]]]:
    """Return the options of each command as tyro describes them to a shell, but for --help."""
    written = StringIO()
    with redirect_stdout(written), suppress(SystemExit):
        asked = ["--tyro-write-completion", "bash", "-"]
        parse_command(commands, asked, description="", defaults={})
    found = _SPEC.search(written.getvalue())
    if found is None:
        raise RuntimeError("this version of tyro does not list the options for a shell")
    described = ast.literal_eval(found[1])["subcommands"]
    return {name: command["options"][1:] for name, command in described.items()}


def _add_option(command: ArgumentParser, option: dict[str, Any]) -> None:
    """Add an option as tyro describes it: its metavar, a dot, and its help."""
    if option["type"] in _FLAGS:
        text = _first_line(option["description"])
        command.add_argument(*option["flags"], action="store_true", help=text)
        return
    metavar, _, text = option["description"].partition(" • ")
    choices = _choices(metavar)
    added = command.add_argument(
        *option["flags"],
        nargs="*" if option["nargs"] == "*" else None,
        choices=choices or None,
        help=_first_line(text),
    )
    if "STR" in metavar or "PATH" in metavar:
        _offer(added, choices)


def _choices(metavar: str) -> list[str]:
    """Return the words that a metavar lists in braces; None stands for no word."""
    listed = [words.split(",") for words in re.findall(r"{([\w,.:-]+)}", metavar)]
    words = dict.fromkeys(word for some in listed for word in some)
    return [word for word in words if word != "None" and ":" not in word]


def _positionals(kind: type) -> Iterator[tuple[str, list[str]]]:
    """Yield each argument without an option: its name, and its choices."""
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        hint, *marks = get_args(hints[field.name]) or (hints[field.name],)
        if Positional in marks:
            yield field.name, [str(word) for word in get_args(hint) if isinstance(word, str)]
        elif is_dataclass(hint) and isinstance(hint, type):
            yield from _positionals(hint)


def _offer(argument: Any, choices: Sequence[str]) -> None:
    """Offer files for an argument that has no choices."""
    if not choices:
        argument.complete = shtab.FILE


def _first_line(text: str) -> str:
    """Return the first line of a help, in which argparse takes % for a format."""
    return text.strip().split("\n")[0].replace("%", "%%")
