"""Read the processed rows of a contract, with categories and booleans as codes."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
from psycopg import Connection, sql

from contract.encoding import encode, missing_value
from contract.schema import SOURCE_ROW, Column, DataContract
from penguins.data.contract import or_penguins
from penguins.data.runs import Run, find_table
from penguins.errors import UserError


def read_processed(
    connection: Connection[Any], contract: DataContract | None = None, run: Run | None = None
) -> pd.DataFrame:
    """Read the processed table of a run: the features (float64) and the label, ordered by source row.

    The labels are made of the classes, as the features' codes are of their categories: those in the table follow the
    contract of preprocess, which may have had another order.

    Args:
        run: None for the published table.

    Raises:
        UserError: the run's table was dropped, or has a value that the contract doesn't know any more.
    """
    contract = or_penguins(contract)
    target = contract.target
    names = (*contract.feature_names, target.name)
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in names)
    text = io.BytesIO()
    with connection.transaction(), connection.cursor() as cursor:
        table = find_table(connection, contract, "processed", run)
        statement = sql.SQL("COPY (SELECT {} FROM {} ORDER BY {}) TO STDOUT (FORMAT csv, HEADER)").format(
            columns, table, sql.Identifier(SOURCE_ROW)
        )
        with cursor.copy(statement) as copy:
            for block in copy:
                text.write(block)
    text.seek(0)
    options = pyarrow.csv.ConvertOptions(
        column_types={column.name: _type(column) for column in (*contract.features, target)},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        true_values=["t"],
        false_values=["f"],
    )
    rows = pyarrow.csv.read_csv(text, convert_options=options)
    labels = _encode(target, rows.column(target.name), contract).astype(np.int64)
    if all(column.is_numeric and column.required for column in contract.features):
        return pd.DataFrame(rows.drop_columns(target.name).to_pandas()).assign(**{contract.label_column: labels})
    encoded = {column.name: _encode(column, rows.column(column.name), contract) for column in contract.features}
    return pd.DataFrame(encoded | {contract.label_column: labels})


def count_production_rows(connection: Connection[Any], contract: DataContract, run: Run | None = None) -> int:
    """Count the rows of the prediction log in the processed table of a run: they are the first ones, by their numbers.

    Raises:
        UserError: as `read_processed`.
    """
    with connection.transaction():
        table = find_table(connection, contract, "processed", run)
        query = sql.SQL("SELECT count(*) FROM {} WHERE {} < 0").format(table, sql.Identifier(SOURCE_ROW))
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _type(column: Column) -> pa.DataType:
    if column.is_numeric:
        return pa.float64()
    return {"string": pa.string(), "integer": pa.int64(), "boolean": pa.bool_()}[column.type]


def _encode(column: Column, values: pa.ChunkedArray, contract: DataContract) -> np.ndarray:
    """Return the numbers of a column; each different value of a category is encoded once."""
    if column.is_numeric:
        return np.asarray(values.to_numpy())  # null is NaN
    array = pa.chunked_array(values).combine_chunks().dictionary_encode()
    try:
        codes = encode(column, array.dictionary.to_pylist())
    except KeyError as error:
        raise UserError(
            f"{contract.table('processed')}: {column.name} has {error}, which the contract doesn't know any more. "
            "Run or clear preprocess too."
        ) from error
    missing = np.append(codes, missing_value(column))
    return np.asarray(missing[array.indices.fill_null(len(codes)).to_numpy()])
