"""Media types, and the codec for each."""

from contract.manifest import Contract
from serving.codecs.base import TableCodec
from serving.codecs.csv import CsvCodec

JSON = "application/json"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
TABLES = (CSV, ARROW, PARQUET)


def is_json(media_type: str) -> bool:
    """Return whether a body of this media type is JSON."""
    kind, _, subtype = media_type.partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


def table_codec(media_type: str, contract: Contract, version: str) -> TableCodec:
    """Return the codec for one of `TABLES`, for one model version.

    Raises:
        ImportError: the media type needs pyarrow, which isn't installed.
    """
    if media_type == CSV:
        return CsvCodec(contract, version)
    from serving.codecs.arrow import ArrowCodec, ParquetCodec  # pyarrow is large: loaded for the first such table

    return ArrowCodec(contract, version) if media_type == ARROW else ParquetCodec(contract, version)
