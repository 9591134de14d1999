"""Convert gradient boosting with histograms to ONNX; skl2onnx 1.20 fails on its nodes."""

import numpy as np
from onnx import ModelProto, TensorProto, helper
from sklearn.ensemble import HistGradientBoostingClassifier


def convert(model: HistGradientBoostingClassifier) -> ModelProto:
    """Return a graph of one node. Its thresholds must be float32 values, see `penguins.training.snapshots`.

    The codes of categories are compared like other numbers; a missing number goes the way that its node has learned.
    """
    trees = [(label, tree.nodes) for trees in model._predictors for label, tree in enumerate(trees)]
    nodes = np.concatenate([each for _, each in trees])
    sizes = [len(each) for _, each in trees]
    leaf = nodes["is_leaf"] == 1
    tree_ids, node_ids = np.repeat(np.arange(len(trees)), sizes), np.concatenate([np.arange(size) for size in sizes])

    def inner(name: str) -> np.ndarray:
        return np.where(leaf, 0, nodes[name])

    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["features"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        nodes_treeids=tree_ids.tolist(),
        nodes_nodeids=node_ids.tolist(),
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_featureids=inner("feature_idx").tolist(),
        nodes_values=inner("num_threshold").tolist(),
        nodes_truenodeids=inner("left").tolist(),
        nodes_falsenodeids=inner("right").tolist(),
        nodes_missing_value_tracks_true=inner("missing_go_to_left").tolist(),
        class_treeids=tree_ids[leaf].tolist(),
        class_nodeids=node_ids[leaf].tolist(),
        class_ids=np.repeat([label for label, _ in trees], sizes)[leaf].tolist(),
        class_weights=nodes["value"][leaf].tolist(),
        classlabels_int64s=model.classes_.tolist(),
        base_values=np.ravel(model._baseline_prediction).tolist(),
        post_transform="LOGISTIC" if len(model.classes_) == 2 else "SOFTMAX",
    )
    rows = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, model.n_features_in_])
    label = helper.make_tensor_value_info("label", TensorProto.INT64, [None])
    probabilities = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, len(model.classes_)])
    graph = helper.make_graph([node], "histograms", [rows], [label, probabilities])
    versions = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=versions, ir_version=helper.find_min_ir_version_for(versions))
