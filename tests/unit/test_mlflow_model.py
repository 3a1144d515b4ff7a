"""The model that MLflow keeps beside a version's bundle."""

import subprocess
import sys

SAVES_A_MODEL = """
import sys, types, warnings

class Deprecated(types.ModuleType):
    def __getattr__(self, name):
        warnings.warn(f"The `{self.__name__}.{name}` attribute is deprecated.", FutureWarning, stacklevel=2)
        raise AttributeError(name)

sys.modules["airflow.utils.old"] = Deprecated("airflow.utils.old")

from autoops.mlflow_registry import content
from sklearn.tree import DecisionTreeRegressor

print(content._trusted_types(DecisionTreeRegressor().fit([[0.0], [1.0]], [0.0, 1.0])))
warnings.warn("of ours", FutureWarning)
"""


def test_skops_makes_no_module_of_airflow_warn_and_other_warnings_remain() -> None:
    """The import of skops asks every module that was loaded before SciPy for the names of SciPy's functions. In a
    process of its own, because skops must not have been imported."""
    run = subprocess.run([sys.executable, "-c", SAVES_A_MODEL], capture_output=True, text=True, timeout=300)
    assert run.stdout == "['sklearn.tree._tree.Tree']\n", run.stderr
    assert [line.partition(": ")[2] for line in run.stderr.splitlines()] == ["FutureWarning: of ours"]
