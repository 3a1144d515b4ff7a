"""The registry on MLflow; no other package imports mlflow.

Every call goes through a client with explicit URIs, so that no state of the process decides where a run is stored.
Modules of mlflow are imported when they are needed: reading versions and artifacts needs only mlflow-skinny.
"""

from autoops.mlflow_registry.adapter import MlflowRegistry

__all__ = ["MlflowRegistry"]
