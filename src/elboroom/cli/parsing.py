"""The arguments of the command line, parsed by tyro into one of its commands."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union

import tyro
from tyro import MISSING_NONPROP
from tyro.conf import OmitArgPrefixes, subcommand

PROGRAM = "elboroom"


def parse_command(
    commands: Sequence[type],
    arguments: Sequence[str],
    *,
    description: str,
    defaults: Mapping[type, Any],
) -> Any:
    """Parse arguments into one of the commands; exit with code 2 if that fails.

    Args:
        commands: dataclasses, each of them a command of its name in lower case.
        arguments: the words after the name of the program.
        description: the text above the help of the whole.
        defaults: by command, the defaults of its options, where they are not those of the class.
    """
    kinds = tuple(
        Annotated[
            kind,
            subcommand(
                kind.__name__.lower(),
                prefix_name=False,
                default=defaults.get(kind, MISSING_NONPROP),
            ),
        ]
        for kind in commands
    )
    return tyro.cli(
        Union[kinds],  # type: ignore[arg-type]  # noqa: UP007  # built at run time
        prog=PROGRAM,
        description=description,
        args=arguments,
        config=(OmitArgPrefixes,),
    )
