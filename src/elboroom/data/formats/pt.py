"""Tensors that `torch.save` wrote, read without unpickling.

A `.pt` is a zip: one member is a pickle of the objects, in which each tensor names the member that
holds its values. PyTorch believes the sizes in that pickle, also with `weights_only`. Here the few
operations of a pickle of tensors are carried out one by one, and every size is checked.
"""

import math
import pickletools
import zipfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from elboroom.data.formats.errors import COPIES, UnreadableArrayError, cannot_read, fits
from elboroom.data.formats.zip_files import open_zip
from elboroom.errors import DataError
from elboroom.untrusted import require_dense

_PICKLE = "/data.pkl"
_LARGEST_PICKLE = 1 << 16  # bytes; a dict of tensors takes some hundred for each
_CHUNK = 1 << 18
_STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_TENSOR, _PARAMETER, _DICT = "_rebuild_tensor_v2", "_rebuild_parameter", "OrderedDict"
_NAMES = {
    **{f"torch {name}": name for name in _STORAGES},
    **{f"torch._utils {name}": name for name in (_TENSOR, _PARAMETER)},
    f"collections {_DICT}": _DICT,
}
"""The only functions and classes that a pickle may name."""
_FIX = "save tensors by name: torch.save({'x_train': x, 'y_train': y}, file)"

Read = Callable[[str], bytes]


@dataclass(frozen=True)
class _Storage:
    """The values of a tensor in a member of the zip."""

    kind: str
    values: np.ndarray


@dataclass
class _Machine:
    """The stack and the memory of a pickle, and the members that tensors name.

    Attributes:
        read: returns the bytes of a member.
        order: the byte order of all values.
        memory: GiB that two copies of all tensors may take.
        packed: bytes of the file.
        size: bytes of the tensors so far.
        storages: values by the member that holds them.
    """

    read: Read
    order: Literal["<", ">"]
    memory: float
    packed: int
    size: int = 0
    storages: dict[str, bytes] = field(default_factory=dict)
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)


def is_pt(start: bytes) -> bool:
    """Return whether a file that begins with `start` is a zip that PyTorch wrote."""
    length = int.from_bytes(start[26:28], "little")
    return start.startswith(b"PK\3\4") and start[30 : 30 + length].endswith(_PICKLE.encode())


def load_pt(path: Path, memory: float, unused: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Load a tensor as `images`, or a dict of tensors by name.

    Args:
        path: the file.
        memory: GiB that two copies of the tensors may take.
        unused: names that are left out; each is an empty array.

    Raises:
        DataError: if it is damaged or hostile, takes more memory, or holds anything but tensors.
    """
    try:
        with open_zip(path, memory, copies=COPIES, wanted=lambda name: True) as opened:
            content = _unpickled(opened.archive, memory, path.stat().st_size)
    except DataError:
        raise
    except UnreadableArrayError as error:
        raise cannot_read(path, str(error), error.fix) from error
    except Exception as error:  # a damaged file also raises errors of zipfile and pickletools
        raise cannot_read(path, str(error) or "it is damaged", _FIX) from error
    if isinstance(content, _Tensor):
        return {"images": content.read()}
    if isinstance(content, dict):
        return {name: _tensor(name, value, unused) for name, value in content.items()}
    raise cannot_read(path, f"it holds a {type(content).__name__}; expected tensors by name", _FIX)


def _tensor(name: str, value: object, unused: Collection[str]) -> np.ndarray:
    if name in unused:
        return np.empty(0)
    if isinstance(value, _Tensor):
        return value.read()
    raise DataError(
        f"{name} is not a tensor",
        why=f"found a {type(value).__name__}; expected a tensor",
        fix=f"leave it out by --unused {name}, or save it as a tensor",
    )


def _unpickled(archive: zipfile.ZipFile, memory: float, packed: int) -> Any:
    """Return the object in a zip of PyTorch, with the places of each tensor."""
    names = {member.filename: member for member in archive.infolist()}
    pickles = [name for name in names if name.endswith(_PICKLE)]
    if len(pickles) != 1 or names[pickles[0]].file_size > _LARGEST_PICKLE:
        raise ValueError("it does not hold one pickle of at most 64 KiB")
    root = pickles[0].removesuffix(_PICKLE)

    def read(name: str) -> bytes:
        return _read(archive, names[f"{root}/{name}"])

    is_big = f"{root}/byteorder" in names and read("byteorder") == b"big"
    machine = _Machine(read, ">" if is_big else "<", memory, packed)
    for operation, argument, _ in pickletools.genops(read(_PICKLE[1:])):
        _step(machine, operation.name, argument)
    return machine.stack[-1]


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Read a member a little at a time, as the reader of the zip permits."""
    with archive.open(member) as file:
        return b"".join(iter(lambda: file.read(_CHUNK), b""))


def _step(machine: _Machine, name: str, argument: Any) -> None:
    """Carry out one operation of a pickle of tensors."""
    if name not in _OPERATIONS:
        raise UnreadableArrayError(
            f"its pickle has the operation {name}; only tensors are read", _FIX
        )
    _OPERATIONS[name](machine, argument)


def _push(machine: _Machine, value: Any) -> None:
    machine.stack.append(value)


def _popped(machine: _Machine, count: int) -> list[Any]:
    if count > len(machine.stack):
        raise ValueError("its pickle is damaged")
    place = len(machine.stack) - count
    values = machine.stack[place:]
    del machine.stack[place:]
    return values


def _since_mark(machine: _Machine) -> list[Any]:
    return _popped(machine, len(machine.stack) - machine.marks.pop())


def _tuple(count: int) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: _push(machine, tuple(_popped(machine, count)))


def _set_items(machine: _Machine, items: list[Any]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, dict) or any(type(name) is not str for name in items[::2]):
        raise ValueError("it has a dict whose names are not text")
    target.update(zip(items[::2], items[1::2], strict=True))


def _append(machine: _Machine, items: list[Any]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, list):
        raise ValueError("its pickle is damaged")
    target.extend(items)


def _global(machine: _Machine, name: str) -> None:
    if name not in _NAMES:
        raise UnreadableArrayError(
            f"it holds {name.replace(' ', '.')}; only tensors are read", _FIX
        )
    _push(machine, _Name(_NAMES[name]))


@dataclass(frozen=True)
class _Name:
    """A function or a class that a pickle names."""

    name: str


def _storage(machine: _Machine, _: Any) -> None:
    """Replace the description of a storage by its values, whose number is checked."""
    (description,) = _popped(machine, 1)
    _, kind, key, _, count = description
    if type(key) is not str:
        raise ValueError("its pickle is damaged")
    dtype = np.dtype(_STORAGES[kind.name]).newbyteorder(machine.order)
    if key not in machine.storages:
        machine.storages[key] = machine.read(f"data/{key}")
    values = np.frombuffer(machine.storages[key], dtype)
    if values.size != count:
        raise ValueError(f"a tensor promises {count} values, found {values.size}")
    _push(machine, _Storage(kind.name, values))


def _call(machine: _Machine, _: Any) -> None:
    function, arguments = _popped(machine, 2)
    if function == _Name(_DICT) and arguments == ():
        _push(machine, {})
    elif function == _Name(_PARAMETER):
        _push(machine, arguments[0])
    elif function == _Name(_TENSOR):
        _push(machine, _strided(machine, *arguments[:4]))
    else:
        raise ValueError("its pickle is damaged")


def _strided(
    machine: _Machine,
    storage: _Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
) -> "_Tensor":
    """Return the tensor at some places of a storage, all of which are checked to be within it."""
    if any(type(n) is not int or n < 0 for n in (offset, *shape, *strides)):
        raise ValueError("a tensor has a negative size")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if 0 not in shape and last >= storage.values.size:
        raise ValueError(f"a tensor reaches value {last} of {storage.values.size}")
    machine.size += storage.values.itemsize * math.prod(shape)
    require_dense(machine.packed, machine.size)
    if not fits(machine.size, machine.memory):
        raise ValueError(f"its tensors take {machine.size:,} bytes, which pass --memory")
    return _Tensor(storage, offset, shape, strides)


@dataclass(frozen=True)
class _Tensor:
    """Some places of a storage, which are within it and are not yet copied."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self) -> np.ndarray:
        """Copy the values."""
        values = self.storage.values[self.offset :]
        steps = [step * values.itemsize for step in self.strides]
        if 0 in self.shape:
            return np.empty(self.shape, values.dtype)
        view = np.lib.stride_tricks.as_strided(values, self.shape, steps)
        return _native(np.ascontiguousarray(view).reshape(self.shape), self.storage.kind)


def _native(values: np.ndarray, kind: str) -> np.ndarray:
    """Return values as a type of numpy; bfloat16 is the upper half of float32."""
    if kind == "BFloat16Storage":
        return (values.astype(np.uint32) << 16).view(np.float32)
    if kind == "BoolStorage":
        return values.view(np.uint8) != 0
    return values.astype(values.dtype.newbyteorder("="))


def _build(machine: _Machine, _: Any) -> None:
    """Pass over the attributes of a dict, which the state of a module has."""
    _popped(machine, 1)
    if not isinstance(machine.stack[-1], dict):
        raise ValueError("its pickle is damaged")


_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "STOP", "FRAME"), lambda machine, _: None),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE", "BINFLOAT"),
        _push,
    ),
    "NONE": lambda machine, _: _push(machine, None),
    "NEWTRUE": lambda machine, _: _push(machine, True),
    "NEWFALSE": lambda machine, _: _push(machine, False),
    "EMPTY_DICT": lambda machine, _: _push(machine, {}),
    "EMPTY_LIST": lambda machine, _: _push(machine, []),
    "EMPTY_TUPLE": lambda machine, _: _push(machine, ()),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "TUPLE": lambda machine, _: _push(machine, tuple(_since_mark(machine))),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "SETITEM": lambda machine, _: _set_items(machine, _popped(machine, 2)),
    "SETITEMS": lambda machine, _: _set_items(machine, _since_mark(machine)),
    "APPEND": lambda machine, _: _append(machine, _popped(machine, 1)),
    "APPENDS": lambda machine, _: _append(machine, _since_mark(machine)),
    "BINPUT": lambda machine, key: machine.memo.update({key: machine.stack[-1]}),
    "LONG_BINPUT": lambda machine, key: machine.memo.update({key: machine.stack[-1]}),
    "BINGET": lambda machine, key: _push(machine, machine.memo[key]),
    "LONG_BINGET": lambda machine, key: _push(machine, machine.memo[key]),
    "GLOBAL": _global,
    "BINPERSID": _storage,
    "REDUCE": _call,
    "BUILD": _build,
}
