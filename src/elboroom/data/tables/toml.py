"""TOML of columns, one line for each option.

tomli_w spreads an array over lines, which a reader that bounds the dots of a key takes for keys.
"""

import json
import re
from collections.abc import Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_DOT = "\\u002E"  # a quoted name may have more dots than a key may have parts


def toml_table(name: str, options: Mapping[str, object]) -> str:
    """Return a table with its header."""
    lines = [f"{key} = {toml_value(value)}" for key, value in options.items()]
    return "\n".join([f"[{toml_key(name)}]", *lines, ""])


def toml_key(name: str) -> str:
    """Return a name as a key."""
    return name if _BARE.fullmatch(name) else toml_value(name).replace(".", _DOT)


def toml_value(value: object) -> str:
    """Return text, a number, or a list of these as a value."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007F")
