"""Fitted estimators as ONNX, from float32 inputs (rows, features) to one float32 output (rows, 1).

Forests and scikit-learn's boosting are written by `trees`, all else of scikit-learn by skl2onnx, with the converters
that XGBoost, LightGBM and CatBoost have. A package adds a converter for its own estimators by an entry point of the
group `autoops.converters`: its name is the package in which the estimators' classes are, its object a function from the
fitted estimator and the number of inputs to a `ModelProto`. Of a classifier, the output is the probability of the
second class.
"""

import sys
import tempfile
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from sklearn.base import is_classifier

from autoops.errors import BundleError
from autoops.training import trees

GROUP = "autoops.converters"
MOST_CHARACTERS = 300
# The converters of XGBoost and LightGBM write the tree operators of ai.onnx.ml 3.
OPSETS = {"": 18, "ai.onnx.ml": 3}

Converter = Callable[[Any, int], ModelProto]


def to_onnx(estimator: Any, width: int, missing: bool) -> ModelProto:
    """Return the fitted estimator as ONNX for inputs of shape (rows, width), of which some are NaN if `missing`.

    Raises:
        BundleError: it cannot be converted; the message says why.
    """
    try:
        if trees.convertible(estimator):
            return trees.convert(estimator, missing=missing)
        return _converter_of(estimator)(estimator, width)
    except Exception as error:  # the many converters raise no common class
        why = str(error).strip().partition("\n")[0][:MOST_CHARACTERS].rstrip(".")
        raise BundleError(
            f"{type(estimator).__name__} cannot be converted to ONNX: {why or type(error).__name__}"
        ) from error


def package_of(estimator: Any) -> str:
    """Return the package in which the class of the estimator is."""
    return type(estimator).__module__.partition(".")[0]


def _converter_of(estimator: Any) -> Converter:
    package = package_of(estimator)
    if type(estimator) in trees.BOOSTED:
        raise ValueError("splits by categorical_features are sets of values, which have no threshold; leave it out")
    if package == "catboost":
        return _of_catboost
    for found in entry_points(group=GROUP, name=package):
        converter: Converter = found.load()
        return converter
    return _of_skl2onnx


def _of_skl2onnx(estimator: Any, width: int) -> ModelProto:
    _register_boosters(frozenset({"xgboost", "lightgbm"} & sys.modules.keys()))
    types = [("input", FloatTensorType([None, width]))]
    if not is_classifier(estimator):
        return convert_sklearn(estimator, initial_types=types, target_opset=OPSETS)
    options = {id(estimator): {"zipmap": False}}
    converted = convert_sklearn(estimator, initial_types=types, target_opset=OPSETS, options=options)
    return _of_positive(converted, "probabilities")


@cache
def _register_boosters(packages: frozenset[str]) -> None:
    """Make XGBoost and LightGBM known to skl2onnx, alone and inside a Pipeline, as onnxmltools documents it."""
    if "xgboost" in packages:
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
        from xgboost import XGBClassifier, XGBRegressor

        _register(XGBRegressor, XGBClassifier, convert_xgboost, {})
    if "lightgbm" in packages:
        from lightgbm import LGBMClassifier, LGBMRegressor
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

        _register(LGBMRegressor, LGBMClassifier, partial(_with_splits_rounded_down, convert_lightgbm), {"split": None})


def _with_splits_rounded_down(convert: Any, scope: Any, operator: Any, container: Any) -> None:
    """Convert, with splits as the largest float32 that is not above LightGBM's float64.

    The converter rounds to the nearest: an input that lies between the two goes the wrong way.
    """
    add_node = container.add_node

    def add(*node: Any, **attributes: Any) -> None:
        if "nodes_values" in attributes:
            splits = np.array(attributes["nodes_values"], dtype=np.float64)
            attributes["nodes_values"] = trees.rounded_down(splits).tolist()
        add_node(*node, **attributes)

    container.add_node = add
    try:
        convert(scope, operator, container)
    finally:
        container.add_node = add_node


def _register(regressor: Any, classifier: Any, converter: Any, options: dict[str, None]) -> None:
    update_registered_converter(
        regressor, f"Autoops{regressor.__name__}", calculate_linear_regressor_output_shapes, converter, options=options
    )
    update_registered_converter(
        classifier,
        f"Autoops{classifier.__name__}",
        calculate_linear_classifier_output_shapes,
        converter,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )


def _of_catboost(estimator: Any, width: int) -> ModelProto:
    """Return CatBoost's own ONNX with one output of the right shape; it declares (rows,), and gives (rows, 1)."""
    with tempfile.TemporaryDirectory(prefix="autoops-catboost-") as directory:
        path = Path(directory) / "model.onnx"
        estimator.save_model(str(path), format="onnx")
        model = onnx.load(path)
    graph = model.graph
    if not is_classifier(estimator):
        _declare(model, graph.output[0].name)
        return model
    # Behind the trees comes a map for each row, which no array is made from.
    (zipmap,) = (node for node in graph.node if node.op_type == "ZipMap")
    graph.node.remove(zipmap)
    model.opset_import.append(helper.make_opsetid("", OPSETS[""]))
    return _of_positive(model, zipmap.input[0])


def _of_positive(model: ModelProto, probabilities: str) -> ModelProto:
    """Return a classifier's ONNX with one output: the probability of the second class, which is the last one."""
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array([1], dtype=np.int64), "second_class"))
    graph.node.append(helper.make_node("Gather", [probabilities, "second_class"], ["positive"], axis=1))
    _declare(model, "positive")
    return model


def _declare(model: ModelProto, output: str) -> None:
    """Declare this output alone, of shape (rows, 1)."""
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, 1]))
