"""From files to pixels and back, with all that a file says beside them; the only room that imports a codec."""

from .picture import Meta, Picture, ReadOptions, WriteOptions
from .reading import read
from .writing import check_fits, encode, write, write_notes

__all__ = [
    "Meta",
    "Picture",
    "ReadOptions",
    "WriteOptions",
    "check_fits",
    "encode",
    "read",
    "write",
    "write_notes",
]
