"""Tables of named columns ⇄ encoded rows of numbers."""

from elboroom.data.tables.column import Column
from elboroom.data.tables.files import read_frame, table_bytes, write_frame
from elboroom.data.tables.frames import as_frame
from elboroom.data.tables.schema import Schema

__all__ = ["Column", "Schema", "as_frame", "read_frame", "table_bytes", "write_frame"]
