"""Predictions whose true class is known, as rows to train on."""

import hashlib
import logging
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from psycopg import Connection

from contract.encoding import codes
from contract.schema import Column, DataContract
from contract.segments import LoggedContract
from penguins.data.ingest import ProductionRows
from penguins.monitoring import predictions
from penguins.monitoring.windows import array_of, read_fixed

log = logging.getLogger(__name__)

MOST: Final = 1_000_000
"""Rows at most: the latest."""

_LABELLED: Final = """SELECT rows.features, array_position(%(classes)s::text[], said.class)
    FROM log.predictions AS rows JOIN log.truth AS said USING (prediction_id, row_index)
    WHERE rows.model = %(model)s AND said.model = %(model)s AND rows.contract = %(contract)s
        AND said.class = ANY(%(classes)s) ORDER BY prediction_id DESC, row_index DESC LIMIT %(most)s"""


def read_production_rows(connection: Connection[Any], contract: DataContract) -> ProductionRows | None:
    """Return the labelled rows of a contract's model in the prediction log; None if it wants none, or there are none.

    Only rows that were logged by this contract's features and classes count. Its other columns are empty.
    """
    if not contract.monitoring.use_production_rows:
        return None
    if left_out := [column.name for column in contract.features if not column.logged]:
        log.warning("no rows of Production join the training: the log leaves out %s", ", ".join(left_out))
        return None
    found = [
        _read(connection, contract, digest)
        for digest, document in predictions.contracts(connection, contract.name).items()
        if _is_of(document, contract)
    ]
    if not sum(map(len, found)):
        log.info("no prediction of %s has a known class yet", contract.training.registered_model)
        return None
    rows = np.concatenate(found)
    features, labels = rows["features"]["values"]["value"].astype(np.float32), rows["label"].astype(np.int64)
    columns = {
        column.name: _values(column, values) for column, values in zip(contract.features, features.T, strict=True)
    }
    classes = [True, False][::-1] if contract.target.type == "boolean" else list(contract.target.categories or ())
    columns[contract.target.name] = pa.array(classes).take(pa.array(labels - 1))
    digest = hashlib.sha256(features.tobytes() + labels.tobytes()).hexdigest()
    return ProductionRows(pa.RecordBatch.from_pydict(columns), digest)


def _is_of(document: LoggedContract, contract: DataContract) -> bool:
    """Tell whether rows mean the same by a logged contract as by the one of today."""
    logged = [(each.name, each.type, each.categories) for each in document.features]
    wanted = [(each.name, each.type, each.categories) for each in contract.features]
    return logged == wanted and document.classes == contract.classes and document.target == contract.target.name


def _read(connection: Connection[Any], contract: DataContract, digest: bytes) -> NDArray[np.void]:
    row = [("columns", ">i2"), ("features", array_of(len(contract.features))), ("size", ">i4"), ("label", ">i4")]
    values = {
        "classes": list(contract.classes),
        "model": contract.training.registered_model,
        "contract": digest,
        "most": MOST,
    }
    return read_fixed(connection, _LABELLED, values, np.dtype(row))


def _values(column: Column, numbers: np.ndarray) -> pa.Array:
    """Return the values of a feature as they stand in a source; null for missing ones."""
    if column.is_numeric:
        return pa.array(numbers.astype(np.float64), mask=np.isnan(numbers))
    known = list(codes(column))
    places = pa.array(numbers.astype(np.int64), mask=numbers >= len(known))
    return pa.array(known).take(places)
