"""Tables as bodies: Arrow, and data frames through it."""

from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ARROW = "application/vnd.apache.arrow.stream"
_BATCH_BYTES = 2**24  # the service takes batches of up to 64 MiB


def encode(table: Any) -> bytes:
    """Return a table of pyarrow, or a data frame of pandas or polars, as a stream of Arrow.

    Raises:
        ImportError: pyarrow isn't installed.
        TypeError: it is something else.
    """
    import pyarrow as pa  # so that rows need no pyarrow

    found = _arrow(table)
    rows = max(1, len(found) * _BATCH_BYTES // max(1, found.nbytes))
    stream = BytesIO()
    with pa.ipc.new_stream(stream, found.schema) as writer:
        writer.write_table(found, max_chunksize=rows)
    return stream.getvalue()


def decode(stream: bytes, like: Any) -> Any:
    """Return a stream of Arrow as a table of the kind of `like`; a frame of pandas has its index."""
    import pyarrow as pa

    table = pa.ipc.open_stream(stream).read_all()
    kind = _kind(like)
    if kind == "pandas":
        frame = table.to_pandas()
        frame.index = like.index
        return frame
    if kind == "polars":
        import polars

        return polars.from_arrow(table)
    return table


def _arrow(table: Any) -> "pa.Table":
    import pyarrow as pa

    kind = _kind(table)
    if kind == "pandas":
        return pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    if kind == "polars":
        return table.to_arrow()
    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    if isinstance(table, pa.Table):
        return table
    raise TypeError(f"a {type(table).__name__} isn't a table: send one of pyarrow, or a data frame of pandas or polars")


def _kind(table: Any) -> str:
    return type(table).__module__.partition(".")[0] if type(table).__name__ == "DataFrame" else ""
