"""The manifest describes the model to the service."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from penguins.data.contract import FEATURE_NAMES, SPECIES
from penguins.data.dataset import Dataset, split
from penguins.registry.manifests import SCATTER_ROWS, build_manifest


def fitted(data: Dataset) -> RandomForestClassifier:
    forest = RandomForestClassifier(2, random_state=0)
    return forest.fit(data.features.iloc[data.train], data.labels[data.train])


def test_the_examples_are_the_models_answers_to_the_hold_out(data: Dataset) -> None:
    model = fitted(data)
    manifest = build_manifest(model, data)
    assert [feature.name for feature in manifest.features] == list(FEATURE_NAMES)
    assert manifest.classes == SPECIES
    expected = model.predict_proba(pd.DataFrame(manifest.example.inputs, columns=FEATURE_NAMES))
    assert np.array(manifest.example.probabilities) == pytest.approx(expected)
    assert manifest.example.labels == expected.argmax(axis=1).tolist()
    held_out = data.features.iloc[data.holdout].to_numpy().tolist()
    assert all(row in held_out for row in manifest.example.inputs)


def test_ranges_and_points_are_those_of_the_training_part(data: Dataset) -> None:
    manifest = build_manifest(fitted(data), data)
    training = data.features.iloc[data.train]
    assert [feature.max for feature in manifest.features] == training.max().tolist()
    assert manifest.scatter is not None
    assert manifest.scatter.inputs == training.to_numpy().tolist()


def test_the_points_of_a_large_training_part_are_limited(data: Dataset) -> None:
    rows = pd.concat([data.features.assign(label=data.labels)] * 5, ignore_index=True)
    large = split(rows, 0.2, 42)
    assert len(large.train) > SCATTER_ROWS
    manifest = build_manifest(fitted(large), large)
    assert manifest.scatter is not None
    assert SCATTER_ROWS / 2 < len(manifest.scatter.inputs) <= SCATTER_ROWS
