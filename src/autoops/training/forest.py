"""A scikit-learn forest as ONNX, written from its node arrays.

skl2onnx walks the nodes one by one in Python: a forest of 2 million nodes takes it 20 s and 90 MB. The `TreeEnsemble`
operator of ai.onnx.ml 5 takes the same nodes as tensors, in under a second and a third of the size; ONNX Runtime
computes the same from it. Whoever exports a model checks it against scikit-learn row by row.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, helper, numpy_helper
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

IR_VERSION, OPSET, ML_OPSET = 10, 21, 5
SUM, NO_TRANSFORM, LESS_OR_EQUAL = 1, 0, 0
NO_CHILD = -1


def convertible(estimator: Any) -> bool:
    """A forest with one output whose trees all have a split: a lone leaf does not fit the operator."""
    return (
        type(estimator) in (RandomForestRegressor, ExtraTreesRegressor)
        and estimator.n_outputs_ == 1
        and all(tree.tree_.node_count > 1 for tree in estimator.estimators_)
    )


def convert(estimator: Any) -> ModelProto:
    """float32 `input` [None, features] to float32 `output` [None, 1]."""
    trees = [tree.tree_ for tree in estimator.estimators_]
    node = helper.make_node("TreeEnsemble", ["input"], ["output"], domain="ai.onnx.ml", **_attributes(trees))
    graph = helper.make_graph(
        [node],
        "forest",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, estimator.n_features_in_])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="autoops")


def _attributes(trees: list[Any]) -> dict[str, Any]:
    inner = [tree.children_left != NO_CHILD for tree in trees]
    roots = np.cumsum([0] + [int(mask.sum()) for mask in inner])
    first_leaves = np.cumsum([0] + [int((~mask).sum()) for mask in inner])
    children = [
        _children(tree, mask, root, leaf)
        for tree, mask, root, leaf in zip(trees, inner, roots, first_leaves, strict=False)
    ]
    true_ids, true_leafs, false_ids, false_leafs = (
        np.concatenate(part).tolist() for part in zip(*children, strict=True)
    )
    splits = np.concatenate([tree.threshold[mask] for tree, mask in zip(trees, inner, strict=True)])
    weights = np.concatenate([tree.value[~mask, 0, 0] for tree, mask in zip(trees, inner, strict=True)]) / len(trees)
    features = np.concatenate([tree.feature[mask] for tree, mask in zip(trees, inner, strict=True)])
    return {
        "aggregate_function": SUM,
        "post_transform": NO_TRANSFORM,
        "n_targets": 1,
        "tree_roots": roots[:-1].tolist(),
        "nodes_featureids": features.tolist(),
        "nodes_modes": numpy_helper.from_array(np.full(len(splits), LESS_OR_EQUAL, dtype=np.uint8)),
        "nodes_splits": numpy_helper.from_array(_rounded_down(splits)),
        "nodes_truenodeids": true_ids,
        "nodes_trueleafs": true_leafs,
        "nodes_falsenodeids": false_ids,
        "nodes_falseleafs": false_leafs,
        "leaf_targetids": [0] * len(weights),
        "leaf_weights": numpy_helper.from_array(weights.astype(np.float32)),
    }


def _children(tree: Any, inner: npt.NDArray[np.bool_], root: int, first_leaf: int) -> tuple[npt.NDArray[np.int64], ...]:
    """Of each inner node: where its left child stands among all inner nodes or all leaves, and whether it is a
    leaf; the same of its right child."""
    place = np.where(inner, root + np.cumsum(inner) - 1, first_leaf + np.cumsum(~inner) - 1)
    left, right = tree.children_left[inner], tree.children_right[inner]
    return place[left], (~inner[left]).astype(np.int64), place[right], (~inner[right]).astype(np.int64)


def _rounded_down(splits: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """A float32 input is at most a float64 split exactly when it is at most the next float32 below the split."""
    rounded = splits.astype(np.float32)
    above = rounded.astype(np.float64) > splits
    rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
    return rounded
