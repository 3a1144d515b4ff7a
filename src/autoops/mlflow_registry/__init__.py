"""The registry on MLflow: the only importer of mlflow.

Everything goes through a client with explicit URIs, so that no state of the process decides where a run goes. mlflow's
own modules are imported when they are needed: reading versions and artifacts takes no more than mlflow-skinny has.
"""

from autoops.mlflow_registry.adapter import MlflowRegistry

__all__ = ["MlflowRegistry"]
