"""Deletion of Airflow's old runs and logs. Only its own command, `airflow db clean`, changes its database."""

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from autoops.clock import Clock
from autoops.errors import ServiceUnavailable
from autoops.services.environment import environment
from autoops.settings import Settings

DATABASE_VARIABLE = "AUTOOPS_AIRFLOW_DATABASE"
"""URL of Airflow's database if `autoops up` does not run Airflow, which hides its own variable from tasks."""

TABLES = (
    *("dag_run", "task_instance", "task_instance_history", "task_reschedule", "xcom"),
    *("log", "job", "asset_event", "import_error", "revoked_token"),
)
"""Tables to prune. Airflow keeps the last scheduled run of each DAG, so that no schedule begins anew."""


def prune(settings: Settings, clock: Clock) -> int | None:
    """Delete Airflow's runs and logs older than `airflow_days`; return the number of log files.

    Returns None, and deletes nothing, if `airflow_days` is null or this installation has no Airflow.

    Raises:
        ServiceUnavailable: Airflow's command failed; the message has the end of its output.
    """
    days, variables = settings.storage.airflow_days, _variables(settings)
    if days is None or variables is None:
        return None
    before = clock.now() - timedelta(days=days)
    # Without --skip-archive the rows move to archive tables, and the database stays as large.
    command = [sys.executable, "-m", "airflow", "db", "clean", "--yes", "--skip-archive", "--error-on-cleanup-failure"]
    command += ["--clean-before-timestamp", before.isoformat(), "--tables", ",".join(TABLES), "--batch-size", "1000"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceUnavailable(f"airflow db clean failed: {(done.stderr or done.stdout)[-1000:]}")
    return delete_logs(_logs(settings, variables), before)


def _variables(settings: Settings) -> Mapping[str, str] | None:
    """Return the environment in which Airflow's command finds its database, None without an Airflow."""
    if url := os.environ.get(DATABASE_VARIABLE):
        return {**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url}
    return environment(settings) if (settings.storage.home / "airflow" / "airflow.db").exists() else None


def _logs(settings: Settings, variables: Mapping[str, str]) -> Path:
    return Path(variables.get("AIRFLOW__LOGGING__BASE_LOG_FOLDER", Path(variables["AIRFLOW_HOME"]) / "logs"))


def delete_logs(folder: Path, before: datetime) -> int:
    """Delete files not written since `before`, and folders that are empty and as old; return the number of files."""
    deleted = 0
    # Contents before their folder. A folder from which a file was just deleted counts as written
    # to, and goes in a later run.
    for path in sorted(folder.rglob("*"), reverse=True):
        try:
            if path.is_symlink() or path.stat().st_mtime >= before.timestamp():
                continue
            if path.is_file():
                path.unlink()
                deleted += 1
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        except FileNotFoundError:  # Airflow rotates its logs meanwhile
            continue
    return deleted
