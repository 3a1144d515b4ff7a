"""Settings: config.yaml and `AUTOOPS__SECTION__KEY` variables, checked once and frozen.

`schema` has every setting with its bounds, `file` reads the file and reports what is wrong, `types` has the types of
values.
"""

from autoops.settings.schema import (
    CONFIG_VARIABLE,
    NO_SETTINGS,
    PREFIX,
    Alerts,
    Data,
    Drift,
    Gate,
    Logs,
    MLflow,
    Model,
    Section,
    Security,
    Serving,
    Settings,
    Storage,
    Training,
    address,
    config_path,
    load_settings,
)

__all__ = [
    "CONFIG_VARIABLE",
    "NO_SETTINGS",
    "PREFIX",
    "Alerts",
    "Data",
    "Drift",
    "Gate",
    "Logs",
    "MLflow",
    "Model",
    "Section",
    "Security",
    "Serving",
    "Settings",
    "Storage",
    "Training",
    "address",
    "config_path",
    "load_settings",
]
