"""Structs in the compact protocol of Thrift, of which only the wanted fields are kept.

See "Thrift Compact protocol encoding", Apache Thrift.
"""

from collections.abc import Mapping
from mmap import mmap
from typing import Any, TypeAlias

Wanted: TypeAlias = Mapping[int, "Wanted"]
"""Numbers of fields, each with those that are wanted within it."""

_DEEPEST = 32
_LONGEST_INTEGER = 10  # bytes
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS = (4, 5, 6)
_SIZES = {_TRUE: 1, _FALSE: 1, _BYTE: 1, _DOUBLE: 8}
"""Bytes of each value of a list, by its type."""


class ThriftReader:
    """A reader of bytes.

    Attributes:
        place: the place of the next byte.
    """

    def __init__(self, content: bytes | mmap, place: int = 0) -> None:
        self._content, self.place = content, place

    def struct(self, wanted: Wanted, depth: int = 0) -> dict[int, Any]:
        """Read a struct; return its wanted fields: integers, lists and structs of these.

        Raises:
            ValueError: if it is no struct, or too deep.
            IndexError: if it is cut short.
        """
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        found, number = dict[int, Any](), 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            value = self._field(head & 0x0F, wanted.get(number, {}), depth)
            if number in wanted:
                found[number] = value
        return found

    def _field(self, kind: int, wanted: Wanted, depth: int) -> Any:
        """Read a field, whose type says the value of a boolean."""
        return kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, wanted, depth)

    def _value(self, kind: int, wanted: Wanted, depth: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind in _SIZES:
            return self._skip(_SIZES[kind])
        if kind == _BINARY:
            return self._skip(self._unsigned())
        if kind in (_LIST, _SET):
            return self._list(wanted, depth + 1)
        if kind == _MAP:
            return self._map(depth + 1)
        if kind == _STRUCT:
            return self.struct(wanted, depth + 1)
        raise ValueError(f"it has a field of the unknown type {kind}")

    def _list(self, wanted: Wanted, depth: int) -> list[Any]:
        head = self._byte()
        size, kind = head >> 4, head & 0x0F
        size = self._unsigned() if size == 0x0F else size
        if kind in _SIZES:
            self._skip(size * _SIZES[kind])
            return []
        return [self._value(kind, wanted, depth) for _ in range(size)]

    def _map(self, depth: int) -> None:
        size = self._unsigned()
        kinds = self._byte() if size else 0
        for _ in range(size):
            self._value(kinds >> 4, {}, depth)
            self._value(kinds & 0x0F, {}, depth)

    def _integer(self) -> int:
        coded = self._unsigned()  # zigzag: 0, −1, 1, −2, …
        return (coded >> 1) ^ -(coded & 1)

    def _unsigned(self) -> int:
        value = 0
        for number in range(_LONGEST_INTEGER):
            byte = self._byte()
            value |= (byte & 0x7F) << 7 * number
            if byte < 0x80:
                return value
        raise ValueError("an integer is too long")

    def _byte(self) -> int:
        self.place += 1
        return self._content[self.place - 1]

    def _skip(self, size: int) -> None:
        self.place += size
        if self.place > len(self._content):
            raise IndexError("it is cut short")
