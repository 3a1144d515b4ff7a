"""Ensembles of trees as ONNX, written from scikit-learn's node arrays.

skl2onnx converts the nodes one by one in Python: a forest of a million nodes takes it 10 s and 42 MB. The
`TreeEnsemble` operator of ai.onnx.ml 5 takes the same nodes as arrays, in half a second and 13 MB, and ONNX Runtime
computes the same from it. `export` checks every model against scikit-learn row by row.

ONNX Runtime keeps a node's right child next to the node, and its left one behind all that is below the right. A forest
is larger than the caches, so what a row costs is how often it goes left. Where more rows go left, the node therefore
asks the opposite question, of the negated input: the same predictions, in half the time.

ONNX Runtime needs some 220 bytes a node while it builds an ensemble, which is 20 times the file, and frees them before
it builds the next. A large forest is therefore several ensembles whose outputs are summed.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from sklearn._loss.link import IdentityLink, LogitLink, LogLink
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

IR_VERSION, OPSET, ML_OPSET = 10, 21, 5
# Codes of `aggregate_function`, of `post_transform`, and of BRANCH_LEQ in `nodes_modes`.
SUM, NO_TRANSFORM, LESS_OR_EQUAL = 1, 0, 0
NO_CHILD = -1

MOST_NODES = 500_000
"""Most nodes of one ensemble, inner nodes and leaves: 110 MB while it is built."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Tree:
    """Nodes as arrays of shape (nodes,).

    Where `inner`, an input of at most `split`, a float32, goes left. The rest are leaves with a `value`. `rows` counts
    the training rows that reached each node. A missing input goes left where `missing_left`.
    """

    inner: Array
    feature: Array
    split: Array
    left: Array
    right: Array
    value: Array
    rows: Array
    missing_left: Array


_FORESTS = (RandomForestRegressor, ExtraTreesRegressor, DecisionTreeRegressor)
_VOTES = (RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier)
BOOSTED = (HistGradientBoostingRegressor, HistGradientBoostingClassifier)
# From the sum of boosted trees to the prediction: of log losses its exponential, of odds the logistic function.
_OPERATORS: dict[type, str | None] = {IdentityLink: None, LogLink: "Exp", LogitLink: "Sigmoid"}


def convertible(estimator: Any) -> bool:
    """Return whether this is a tree or forest with one output, or scikit-learn's histogram gradient boosting.

    Of classifiers, those of two classes.
    """
    # Exact types, because a subclass may predict in another way.
    if type(estimator) in _FORESTS:
        return bool(estimator.n_outputs_ == 1)
    if type(estimator) in _VOTES:
        return bool(estimator.n_outputs_ == 1 and estimator.n_classes_ == 2)
    return (
        type(estimator) in BOOSTED
        # Categorical splits are sets of values, and have no threshold.
        and estimator.is_categorical_ is None
        and type(estimator._loss.link) in _OPERATORS
    )


def convert(estimator: Any, missing: bool = False) -> ModelProto:
    """Return a model from float32 `input` (rows, features) to float32 `output` (rows, 1).

    The output is the sum of the values of a row's leaves; of a classifier the probability of its second class. Only
    with `missing`, NaN goes the way that it went in training, which takes ONNX Runtime somewhat longer.
    """
    boosted = type(estimator) in BOOSTED
    trees = _of_boosting(estimator) if boosted else _of_forest(estimator)
    width = estimator.n_features_in_
    operator = _OPERATORS[type(estimator._loss.link)] if boosted else None
    trees = [_mostly_right(tree, width) if tree.inner[0] else _with_a_split(tree) for tree in trees]
    nodes = [
        helper.make_node("Neg", ["input"], ["negated"]),
        helper.make_node("Concat", ["input", "negated"], ["both"], axis=1),
        *_ensembles(_parts(trees), missing, "sum" if operator else "output"),
        *([helper.make_node(operator, ["sum"], ["output"])] if operator else []),
    ]
    graph = helper.make_graph(
        nodes,
        "trees",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="autoops")


def _of_forest(estimator: Any) -> list[Tree]:
    nodes = [tree.tree_ for tree in getattr(estimator, "estimators_", [estimator])]
    return [
        Tree(
            inner=n.children_left != NO_CHILD,
            feature=n.feature,
            split=rounded_down(n.threshold),
            left=n.children_left,
            right=n.children_right,
            # The operator sums the trees, a forest takes their mean.
            value=_value_of(estimator, n) / len(nodes),
            rows=n.n_node_samples,
            missing_left=n.missing_go_to_left.astype(bool),
        )
        for n in nodes
    ]


def _value_of(estimator: Any, nodes: Any) -> Array:
    """Return the value of each node: the mean target, or the share of the second class."""
    values = nodes.value[:, 0, :]
    return np.asarray(values[:, 1] / values.sum(axis=1) if type(estimator) in _VOTES else values[:, 0])


def _of_boosting(estimator: Any) -> list[Tree]:
    """Return the trees of gradient boosting, with the baseline in the leaves of the first."""
    baselines = [float(estimator._baseline_prediction[0, 0])] + [0.0] * (len(estimator._predictors) - 1)
    nodes = [predictors[0].nodes for predictors in estimator._predictors]
    return [
        Tree(
            inner=n["is_leaf"] == 0,
            feature=n["feature_idx"],
            split=rounded_down(n["num_threshold"]),
            left=n["left"],
            right=n["right"],
            value=n["value"] + baseline,
            rows=n["count"],
            missing_left=n["missing_go_to_left"].astype(bool),
        )
        for n, baseline in zip(nodes, baselines, strict=True)
    ]


def _mostly_right(tree: Tree, width: int) -> Tree:
    """Return the tree with `x <= split` turned into `-x <= just below -split` where more rows go left.

    The children are exchanged there; the negated inputs stand behind the `width` inputs.
    """
    left, right = tree.left, tree.right
    # A leaf's child ids name no nodes; what they select here is masked by `inner`.
    turned = tree.inner & (tree.rows[left] > tree.rows[right])
    return replace(
        tree,
        feature=np.where(turned, tree.feature + width, tree.feature),
        # x > s is -x < -s, which for float32 is -x <= the number just below -s.
        split=np.where(turned, np.nextafter(-tree.split, np.float32(-np.inf)), tree.split),
        left=np.where(turned, right, left),
        right=np.where(turned, left, right),
        missing_left=tree.missing_left ^ turned,
    )


def _with_a_split(leaf: Tree) -> Tree:
    """Return a tree that leads to the leaf's value whichever way a row goes: the operator takes no lone leaf."""
    return Tree(
        inner=np.array([True, False, False]),
        feature=np.zeros(3, dtype=np.int64),
        split=np.zeros(3, dtype=np.float32),
        left=np.array([1, NO_CHILD, NO_CHILD]),
        right=np.array([2, NO_CHILD, NO_CHILD]),
        value=np.repeat(leaf.value[:1], 3),
        rows=np.repeat(leaf.rows[:1], 3),
        missing_left=np.zeros(3, dtype=bool),
    )


def _parts(trees: list[Tree]) -> list[list[Tree]]:
    """Return the trees in groups of at most MOST_NODES nodes, or of one tree."""
    parts: list[list[Tree]] = []
    nodes = 0
    for tree in trees:
        if not parts or nodes + len(tree.inner) > MOST_NODES:
            parts.append([])
            nodes = 0
        parts[-1].append(tree)
        nodes += len(tree.inner)
    return parts


def _ensembles(parts: list[list[Tree]], missing: bool, output: str) -> list[NodeProto]:
    """Return one ensemble for each part, and the sum of their outputs where there are several."""
    outputs = [output] if len(parts) == 1 else [f"part_{index}" for index in range(len(parts))]
    nodes = [
        helper.make_node("TreeEnsemble", ["both"], [name], domain="ai.onnx.ml", **_attributes(part, missing))
        for part, name in zip(parts, outputs, strict=True)
    ]
    return nodes if len(parts) == 1 else [*nodes, helper.make_node("Sum", outputs, [output])]


def _attributes(trees: list[Tree], missing: bool) -> dict[str, Any]:
    # Node 0 of every tree is inner (`_with_a_split`), so each root is its tree's first inner node.
    roots = np.cumsum([0] + [int(tree.inner.sum()) for tree in trees])
    first_leaves = np.cumsum([0] + [int((~tree.inner).sum()) for tree in trees])
    children = [_children(*each) for each in zip(trees, roots[:-1], first_leaves[:-1], strict=True)]
    true_ids, true_leafs, false_ids, false_leafs = (
        np.concatenate(part).tolist() for part in zip(*children, strict=True)
    )
    values = np.concatenate([tree.value[~tree.inner] for tree in trees])
    splits = np.concatenate([tree.split[tree.inner] for tree in trees])
    tracks = [int(way) for tree in trees for way in tree.missing_left[tree.inner]]
    return {
        **({"nodes_missing_value_tracks_true": tracks} if missing else {}),
        "aggregate_function": SUM,
        "post_transform": NO_TRANSFORM,
        "n_targets": 1,
        "tree_roots": roots[:-1].tolist(),
        "nodes_featureids": np.concatenate([tree.feature[tree.inner] for tree in trees]).tolist(),
        "nodes_modes": numpy_helper.from_array(np.full(len(splits), LESS_OR_EQUAL, dtype=np.uint8)),
        "nodes_splits": numpy_helper.from_array(splits),
        "nodes_truenodeids": true_ids,
        "nodes_trueleafs": true_leafs,
        "nodes_falsenodeids": false_ids,
        "nodes_falseleafs": false_leafs,
        "leaf_targetids": [0] * len(values),
        "leaf_weights": numpy_helper.from_array(values.astype(np.float32)),
    }


def _children(tree: Tree, root: int, first_leaf: int) -> tuple[Array, Array, Array, Array]:
    """Return the positions of all left children, whether each is a leaf, and the same of the right children.

    The order is that of the inner nodes; a position is among all inner nodes, or among all leaves.
    """
    inner = tree.inner
    place = np.where(inner, root + np.cumsum(inner) - 1, first_leaf + np.cumsum(~inner) - 1)
    left, right = tree.left[inner].astype(np.int64), tree.right[inner].astype(np.int64)
    return place[left], (~inner[left]).astype(np.int64), place[right], (~inner[right]).astype(np.int64)


def rounded_down(splits: Array) -> npt.NDArray[np.float32]:
    """Return for each split the largest float32 that is not above it.

    A float32 input is at most a float64 split exactly when it is at most that float32.
    """
    rounded = splits.astype(np.float32)
    above = rounded.astype(np.float64) > splits
    rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
    return rounded
