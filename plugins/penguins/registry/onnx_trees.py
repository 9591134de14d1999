"""Trees: their thresholds, and what skl2onnx leaves out of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, helper
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline


def complete(proto: ModelProto, model: ClassifierMixin, may_be_missing: bool) -> None:
    """Give a forest the way of missing numbers, and the votes for both classes where there are two.

    With the votes for the second class only, ONNX Runtime compares their sum with 0.5, which half of the votes needn't
    add up to in float32. The sums of both classes are rounded alike, so that a tie remains one.
    """
    if not isinstance(model, RandomForestClassifier):
        return
    (node,) = (node for node in proto.graph.node if node.op_type == "TreeEnsembleClassifier")
    trees = [each.tree_ for each in model.estimators_]
    if may_be_missing:
        ways = np.concatenate([np.where(tree.children_left < 0, 0, tree.missing_go_to_left) for tree in trees])
        _replace(node, "nodes_missing_value_tracks_true", ways.astype(int).tolist())
    if len(model.classes_) == 2:
        votes = np.concatenate([tree.value[tree.children_left < 0, 0] for tree in trees]) / len(trees)
        _replace(node, "class_weights", votes.astype(np.float32).ravel().tolist())
        _replace(node, "class_ids", [0, 1] * len(votes))
        for name in ("class_nodeids", "class_treeids"):
            _replace(node, name, np.repeat(_attribute(node, name), 2).tolist())
        node.output[0] = "unused"  # it is the second class for any vote
        proto.graph.node.append(helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0))


def _attribute(node: NodeProto, name: str) -> list[int]:
    return next(list(each.ints) for each in node.attribute if each.name == name)


def _replace(node: NodeProto, name: str, values: list[Any]) -> None:
    others = [each for each in node.attribute if each.name != name]
    del node.attribute[:]
    node.attribute.extend([*others, helper.make_attribute(name, values)])


def thresholds(model: ClassifierMixin) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, for each tree of a model, the columns that its nodes compare and the numbers they compare them with."""
    last = model[-1] if isinstance(model, Pipeline) else model
    for tree in np.ravel(getattr(last, "estimators_", [])):
        inner = tree.tree_.children_left >= 0
        yield tree.tree_.feature[inner], tree.tree_.threshold[inner]
    for tree in (tree for trees in getattr(last, "_predictors", []) for tree in trees):
        inner = tree.nodes[tree.nodes["is_leaf"] == 0]
        yield inner["feature_idx"], inner["num_threshold"]
