"""Media types, and the codec for each."""

from functools import cache
from importlib.util import find_spec

from contract.manifest import Contract
from serving.codecs.codec import TableCodec
from serving.codecs.csv import CsvCodec
from serving.codecs.scoring import ScoredTable

JSON = "application/json"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
TABLES = (CSV, ARROW, PARQUET)
SCORED_CSV, SCORED_PARQUET = f"{CSV}; scoring", f"{PARQUET}; scoring"
"""Tables that are answered in MLflow's scoring protocol."""


def is_json(media_type: str) -> bool:
    """Return whether a body of this media type is JSON."""
    kind, _, subtype = media_type.partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


@cache
def has_codec(media_type: str) -> bool:
    """Return whether there is a codec for one of `TABLES`: all but CSV need pyarrow."""
    return media_type == CSV or find_spec("pyarrow") is not None


def table_codec(media_type: str, contract: Contract, version: str, prediction_id: str = "") -> TableCodec:
    """Return the codec for one of `TABLES`, or of those in MLflow's scoring protocol, for one model version.

    Args:
        prediction_id: id of the request, which Arrow and Parquet have in the metadata of the schema; empty for none.
    """
    if media_type == CSV:
        return CsvCodec(contract, version)
    if media_type == SCORED_CSV:
        return ScoredTable(CsvCodec(contract, version, refuse_unknown=False))
    from serving.codecs.arrow import ArrowCodec, ParquetCodec  # pyarrow may be missing

    if media_type == SCORED_PARQUET:
        return ScoredTable(ParquetCodec(contract, version, refuse_unknown=False))
    return (ArrowCodec if media_type == ARROW else ParquetCodec)(contract, version, prediction_id)
