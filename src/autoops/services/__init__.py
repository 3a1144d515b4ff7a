"""The local services of one home: MLflow, the API, the console and Airflow, kept running by supervisord."""

from autoops.services.lifecycle import ServiceStatus, down, status, up

__all__ = ["ServiceStatus", "down", "status", "up"]
