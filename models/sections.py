"""Flat arrays as one memory-mappable file.

::

    header     magic, a number, a Unicode version, length of each section
    sections   little-endian arrays in a fixed order, each at a multiple of 64 bytes
"""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["ArraysError", "Format", "Packed", "header", "map_file"]

_ALIGNMENT = 64


class ArraysError(ValueError):
    """Bytes that are no such file; the message is one line."""


class Packed(NamedTuple):
    """What a file holds; the sections are by name."""

    number: int
    unicode: str
    sections: dict[str, NDArray[Any]]


class Format(NamedTuple):
    """One kind of file: how it begins, what its number counts (1 to `most`), and its sections' types by that number."""

    magic: bytes
    counts: str
    most: int
    dtypes: Callable[[int], Mapping[str, np.dtype[Any]]]

    def pack(self, number: int, unicode: str, sections: Mapping[str, NDArray[Any]]) -> bytes:
        """The file; the same arrays give the same bytes."""
        dtypes = self.dtypes(number)
        arrays = [np.ascontiguousarray(sections[name], dtype=dtype) for name, dtype in dtypes.items()]
        lengths = [len(array) for array in arrays]
        data = bytearray(header(len(arrays)).pack(self.magic, number, unicode.encode("ascii"), *lengths))
        for array in arrays:
            data += bytes(-len(data) % _ALIGNMENT)
            data += array.tobytes()
        return bytes(data)

    def unpack(self, buffer: bytes | memoryview) -> Packed:
        """Read-only views into `buffer`, every size checked; raises ArraysError.

        Nothing is copied, so a memory-mapped file is shared by the processes that map it.
        """
        data = memoryview(buffer).cast("B").toreadonly()
        head = header(len(self.dtypes(1)))
        if len(data) < head.size:
            raise ArraysError(f"a model of {len(data)} bytes is shorter than its header; copy it again")
        magic, number, unicode, *lengths = head.unpack_from(data)
        if magic != self.magic:
            raise ArraysError(
                f"a model begins with {self.magic!r}, this with {magic!r}; train it again with this version"
            )
        if not 1 <= number <= self.most:
            raise ArraysError(f"a model of {number} {self.counts}; 1 to {self.most} are possible: copy it again")
        sections: dict[str, NDArray[Any]] = {}
        end = head.size
        for (name, dtype), length in zip(self.dtypes(number).items(), lengths, strict=True):
            start = end + -end % _ALIGNMENT
            end = start + length * dtype.itemsize
            if end > len(data):
                raise ArraysError(f"section {name} ends at byte {end}, the model at {len(data)}; copy it again")
            sections[name] = np.frombuffer(data[start:end], dtype=dtype)
        if end != len(data):
            raise ArraysError(f"the sections end at byte {end}, the model at {len(data)}; copy it again")
        try:
            return Packed(number, unicode.rstrip(b"\0").decode("ascii"), sections)
        except UnicodeDecodeError:
            raise ArraysError(f"{unicode!r} is no Unicode version; copy the model again") from None


def header(sections: int) -> struct.Struct:
    """The header of a file of so many sections."""
    return struct.Struct(f"<8sQ16s{sections}Q")


def map_file(path: Path) -> memoryview:
    """A whole file, mapped to be read; raises OSError, and ValueError for an empty one."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
