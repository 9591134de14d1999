"""The integers of a struct in Thrift's compact protocol, in which Parquet's footer and page headers are written."""

from collections.abc import Iterator

# Types of a field or an element.
BOOLEANS, BYTE, INTEGERS, DOUBLE, BINARY, LISTS, STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 12
LONG_LIST = 15

Place = tuple[int, int]
"""Begin and end of an integer or a length, a varint."""


def integers(content: bytes, start: int) -> list[Place]:
    """Return the places of all integers and lengths in the struct at `start`."""
    return [place for place in _Walk(content, start).struct() if place[0] < place[1]]


def varint(value: int) -> bytes:
    """Write an unsigned number in groups of seven bits, the lowest first."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def signed(value: int) -> int:
    """Return the unsigned number that stands for a signed one."""
    return value << 1 if value >= 0 else (-value << 1) - 1


class _Walk:
    """A position in a struct. Maps and universal ids, which Parquet hasn't, aren't read."""

    def __init__(self, content: bytes, start: int) -> None:
        self._content, self._at = content, start

    def struct(self) -> Iterator[Place]:
        """Yield the places of a struct, and go to its end."""
        while header := self._byte():
            if header < 0x10:  # the field's number doesn't follow from the one before
                self._varint()
            yield from self._value(header & 0x0F, is_field=True)

    def _value(self, kind: int, is_field: bool = False) -> Iterator[Place]:
        if kind in INTEGERS:
            yield self._varint()
        elif kind == BINARY:
            yield self._varint()
            self._at += self._read
        elif kind in LISTS:
            yield from self._list()
        elif kind == STRUCT:
            yield from self.struct()
        elif kind == BYTE or (kind in BOOLEANS and not is_field):
            self._at += 1
        elif kind == DOUBLE:
            self._at += 8

    def _list(self) -> Iterator[Place]:
        header = self._byte()
        size = header >> 4
        if size == LONG_LIST:
            yield self._varint()
            size = self._read
        for _ in range(size):
            yield from self._value(header & 0x0F)

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _varint(self) -> Place:
        begin, self._read, shift = self._at, 0, 0
        while True:
            byte = self._byte()
            self._read |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return begin, self._at
