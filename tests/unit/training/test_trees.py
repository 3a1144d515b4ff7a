"""Ensembles of trees as ONNX, written from their node arrays: the same answers as scikit-learn's."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)

from autoops.training import trees

Inputs = npt.NDArray[np.float32]


def answers(model: onnx.ModelProto, inputs: Inputs) -> npt.NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"input": inputs})[0])


def some_inputs(rows: int, columns: int, seed: int) -> Inputs:
    """Some columns of whole numbers, which meet each other often, and one of small fractions."""
    draw = np.random.default_rng(seed)
    inputs = draw.integers(-4, 5, (rows, columns)).astype(np.float32)
    inputs[:, 0] = draw.uniform(0, 1e-3, rows)
    return inputs


@given(seed=st.integers(0, 2**31 - 1), size=st.integers(1, 6), depth=st.integers(1, 12), columns=st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_any_forest_answers_as_scikit_learn_does(seed: int, size: int, depth: int, columns: int) -> None:
    inputs = some_inputs(80, columns, seed)
    target = np.random.default_rng(seed).uniform(1, 60, len(inputs))
    fitted = RandomForestRegressor(size, max_depth=depth, random_state=seed, n_jobs=1).fit(inputs, target)
    assert trees.convertible(fitted)
    unseen = some_inputs(200, columns, seed + 1)
    converted = trees.convert(fitted)
    assert np.abs(answers(converted, unseen)[:, 0] - fitted.predict(unseen)).max() < 2e-5


@given(seed=st.integers(0, 2**31 - 1), most=st.integers(1, 400))
@settings(max_examples=20, deadline=None)
def test_a_forest_in_several_ensembles_answers_as_in_one(seed: int, most: int) -> None:
    inputs = some_inputs(80, 3, seed)
    fitted = RandomForestRegressor(8, random_state=seed, n_jobs=1).fit(inputs, inputs.sum(axis=1))
    unseen = some_inputs(200, 3, seed + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trees, "MOST_NODES", most)
        converted = trees.convert(fitted)
    ensembles = [node for node in converted.graph.node if node.op_type == "TreeEnsemble"]
    trees_of = [len(next(a for a in node.attribute if a.name == "tree_roots").ints) for node in ensembles]
    nodes = sum(estimator.tree_.node_count for estimator in fitted.estimators_)
    assert sum(trees_of) == 8
    assert len(ensembles) > 1 or nodes <= most
    assert np.abs(answers(converted, unseen)[:, 0] - fitted.predict(unseen)).max() < 2e-5


def test_inputs_at_and_beside_each_split_go_the_same_way() -> None:
    inputs = some_inputs(300, 2, 3)
    fitted = RandomForestRegressor(5, random_state=3, n_jobs=1).fit(inputs, np.arange(300.0))
    tree = fitted.estimators_[0].tree_
    inner = tree.children_left != trees.NO_CHILD
    splits = tree.threshold[inner].astype(np.float32)
    near = np.concatenate([splits, np.nextafter(splits, np.float32(-1)), np.nextafter(splits, np.float32(99))])
    rows = np.stack([near, np.tile(np.float32(4), len(near))], axis=1)
    rows = np.concatenate([rows, rows[:, ::-1]])
    assert np.abs(answers(trees.convert(fitted), rows)[:, 0] - fitted.predict(rows)).max() < 1e-4


@pytest.mark.parametrize(
    "estimator",
    [RandomForestRegressor(5, random_state=3), HistGradientBoostingRegressor(max_iter=5)],
    ids=["forest", "boosting"],
)
def test_the_more_frequent_child_of_each_node_is_the_right_one(estimator: Any) -> None:
    inputs = np.random.default_rng(3).exponential(1, (500, 3)).astype(np.float32)
    converted = trees.convert(estimator.fit(inputs, inputs.sum(axis=1)))
    tree = {attribute.name: helper.get_attribute_value(attribute) for attribute in converted.graph.node[-1].attribute}
    splits = numpy_helper.to_array(tree["nodes_splits"])
    lefts, rights = np.zeros(len(splits)), np.zeros(len(splits))
    for row in np.concatenate([inputs, -inputs], axis=1):
        for root in tree["tree_roots"]:
            node, leaf = root, False
            while not leaf:
                side, count = (
                    ("true", lefts) if row[tree["nodes_featureids"][node]] <= splits[node] else ("false", rights)
                )
                count[node] += 1
                node, leaf = tree[f"nodes_{side}nodeids"][node], tree[f"nodes_{side}leafs"][node]
    assert lefts.sum() < rights.sum() / 2
    if isinstance(estimator, HistGradientBoostingRegressor):
        assert np.all(lefts <= rights), "and boosting has seen all rows"


def test_the_model_is_valid_onnx_with_named_ends() -> None:
    fitted = ExtraTreesRegressor(3, max_depth=3, random_state=0).fit(some_inputs(50, 4, 0), np.arange(50.0))
    converted = trees.convert(fitted)
    onnx.checker.check_model(converted, full_check=True)
    assert [value.name for value in converted.graph.input] == ["input"]
    assert answers(converted, some_inputs(7, 4, 1)).shape == (7, 1)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_gradient_boosting_answers_as_scikit_learn_does(loss: str) -> None:
    inputs = some_inputs(400, 3, 5)
    fitted = HistGradientBoostingRegressor(loss=loss, max_iter=20).fit(inputs, inputs.sum(axis=1) * 3)
    assert trees.convertible(fitted)
    unseen = some_inputs(300, 3, 6)
    assert np.abs(answers(trees.convert(fitted), unseen)[:, 0] - fitted.predict(unseen)).max() < 2e-5


@pytest.mark.parametrize("fitted", [RandomForestRegressor(2), HistGradientBoostingRegressor(max_iter=2)])
def test_trees_without_a_split_answer_too(fitted: Any) -> None:
    fitted.fit(some_inputs(50, 2, 0), np.full(50, 7.0))
    assert answers(trees.convert(fitted), some_inputs(3, 2, 1))[:, 0] == pytest.approx(7)


@pytest.mark.parametrize(
    ("estimator", "outputs"),
    [
        (GradientBoostingRegressor(n_estimators=2), 1),
        (RandomForestRegressor(2), 2),
        (HistGradientBoostingRegressor(categorical_features=[1], max_iter=2), 1),
    ],
    ids=["another kind", "two outputs", "splits by sets"],
)
def test_what_the_operator_cannot_hold_is_left_to_skl2onnx(estimator: Any, outputs: int) -> None:
    target = np.arange(50.0) if outputs == 1 else np.tile(np.arange(50.0)[:, None], outputs)
    assert not trees.convertible(estimator.fit(some_inputs(50, 2, 0), target))
