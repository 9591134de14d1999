"""Descriptions of a model's input and output: for the service, and for MLflow."""

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from contract import manifest
from contract.schema import Column
from penguins.data.dataset import Dataset


def describe_contract(data: Dataset) -> manifest.Contract:
    """Describe the model's input and output; see docs/reference/contract.md."""
    contract, seen = data.contract, data.features.iloc[data.train]
    return manifest.Contract(
        name=contract.name,
        title=contract.title,
        target=contract.target,
        log_fraction=contract.training.log_fraction,
        features=[_describe_feature(column, seen[column.name]) for column in contract.features],
    )


def _describe_feature(column: Column, values: pd.Series) -> manifest.Feature:
    low, high = values.min(), values.max()  # NaN if all are missing
    has_range = column.is_numeric and pd.notna(low)
    return manifest.Feature(
        **dict(column), min=float(low) if has_range else None, max=float(high) if has_range else None
    )


def model_signature(data: Dataset) -> ModelSignature:
    """Return the types of the matrix that the model sees: codes are numbers, and only numbers may be missing."""
    columns = [(column.name, column.required or not column.is_numeric) for column in data.contract.features]
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.double, name, required) for name, required in columns]),
        outputs=Schema([ColSpec(DataType.long)]),
    )
