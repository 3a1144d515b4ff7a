"""The environment that all services of one home share."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import autoops
from autoops import loopback
from autoops.errors import SettingsError
from autoops.services import credentials
from autoops.settings import CONFIG_VARIABLE, Settings, config_path

HOME_VARIABLE = "AUTOOPS_HOME_ID"
"""Every process of a home has the home's path in this variable, so that one that outlives its parent can be found."""

PRELOADED = (
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "mlflow.sklearn",
    "autoops.loop.monitor.drift_check",
    "autoops.loop.retrain.retraining",
)
"""Imported once by the process from which the scheduler's workers, and so all tasks, are forked. A task then starts
within one second instead of six."""


def environment(settings: Settings) -> dict[str, str]:
    """Return the caller's environment, with its AUTOOPS__ overrides, and variables that tie services to this home."""
    variables = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        # Evidently sends usage data unless this is set.
        "DO_NOT_TRACK": "true",
        HOME_VARIABLE: str(settings.storage.home),
        # Airflow renames its processes; without this, setproctitle overwrites /proc/PID/environ with the name.
        "SPT_NOENV": "1",
        CONFIG_VARIABLE: str(config_path()),
        **_mlflow(),
        **_airflow(settings),
    }
    loopback.spare(variables, settings.service_urls)
    return variables


def dags_folder() -> Path:
    """Return `airflow/dags` beside the configuration file, else in the package's checkout.

    Raises:
        SettingsError: neither exists.
    """
    checkout = Path(autoops.__file__).parents[2]
    for root in (config_path().parent, checkout):
        if (root / "airflow" / "dags").is_dir():
            return root / "airflow" / "dags"
    raise SettingsError(f"no airflow/dags beside {config_path()} or in {checkout}: no DAGs to run")


def _mlflow() -> Mapping[str, str]:
    return {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Its job runner would start five more processes, for evaluations that nothing here asks for.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _airflow(settings: Settings) -> Mapping[str, str]:
    home = settings.storage.home / "airflow"
    sections = {**_airflow_core(settings), **_airflow_components(settings)}
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(home / "airflow.cfg"),
        **{
            f"AIRFLOW__{section}__{key}".upper(): str(value)
            for section, values in sections.items()
            for key, value in values.items()
        },
    }


def _airflow_core(settings: Settings) -> Mapping[str, Mapping[str, object]]:
    """Return the settings on which all components of Airflow must agree."""
    return {
        "core": {
            "dags_folder": dags_folder(),
            "executor": "LocalExecutor",
            # Most workers, and so most tasks at the same time.
            "parallelism": 4,
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
            "simple_auth_manager_users": f"{settings.airflow.username}:admin",
            "simple_auth_manager_passwords_file": credentials.write_airflow_users(settings),
            "execution_api_server_url": f"{settings.airflow_url}/execution/",
            "fernet_key": credentials.fernet_key(settings),
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{settings.storage.home / 'airflow' / 'airflow.db'}"},
        "api_auth": {"jwt_secret": credentials.jwt_secret(settings)},
        "usage_data_collection": {"enabled": False},
    }


def _airflow_components(settings: Settings) -> Mapping[str, Mapping[str, object]]:
    logs = settings.storage.home / "logs" / "airflow"
    return {
        "api": {
            "host": settings.airflow.host,
            "port": settings.airflow.port,
            "base_url": settings.airflow_url,
            "workers": 1,
            "secret_key": credentials.session_key(settings),
        },
        "scheduler": {
            # It would listen on every interface; the API server reports the heartbeat, too.
            "enable_health_check": False,
            "mp_start_method": "forkserver",
            "mp_forkserver_preload": ",".join(PRELOADED),
            # Tasks of a scheduler that was killed start again after a minute instead of five.
            "orphaned_tasks_check_interval": 30,
        },
        "dag_processor": {
            # Airflow reads a new or changed DAG file within seconds instead of five minutes.
            "refresh_interval": 10,
            "min_file_process_interval": 10,
            # By default in the temporary folder, outside the home.
            "dag_bundle_storage_path": settings.storage.home / "airflow" / "bundles",
        },
        "logging": {
            "json_logs": settings.logs.format == "json",
            "base_log_folder": logs,
            "dag_processor_child_process_log_directory": logs / "dag_processor",
        },
    }
