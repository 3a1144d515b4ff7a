"""The verbs. Each parses, calls one use case and prints its result; its code is imported when it is called."""

import logging
import os
import sys
import traceback
from typing import NoReturn

import typer

from autoops import console, loopback
from autoops.cli import alerts, backtest, decisions, deployment, keys, pipeline, prediction, services, usecase
from autoops.errors import AutoOpsError, InputError
from autoops.redaction import redact
from autoops.telemetry import logs

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Keeps a deployed model healthy: watch, decide, retrain, gate, swap, roll back.",
)
for verbs in (
    services.verbs,
    deployment.verbs,
    pipeline.verbs,
    prediction.verbs,
    decisions.verbs,
    backtest.verbs,
    usecase.verbs,
):
    app.add_typer(verbs)
app.add_typer(alerts.verbs, name="alerts")
app.add_typer(keys.verbs, name="keys")
app.add_typer(usecase.group, name="usecase")


def main() -> None:
    """Run the CLI; print an error that is meant for people as one line and exit with its code.

    Raises:
        ModuleNotFoundError: a module of Auto-Ops or of the standard library is missing, which is a defect.
    """
    # Without settings, which may be invalid; `bootstrap` adds the addresses that they name.
    loopback.spare(os.environ)
    logs.configure("cli")
    try:
        app()
    except AutoOpsError as error:
        _fail(error)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or package == "autoops" or package in sys.stdlib_module_names:
            raise
        _fail(
            InputError(
                f"this installation has no {package}: the verb needs the pipeline's dependencies, "
                "pip install '.[pipeline]' in the checkout"
            )
        )
    # Printed here and not by Python, because a traceback may quote a URL with its password.
    except Exception:
        if logs.as_json():
            logging.getLogger(__name__).critical("a defect", exc_info=True)
        else:
            sys.stderr.write(redact(traceback.format_exc()))
        sys.exit(1)


def _fail(error: AutoOpsError) -> NoReturn:
    console.note(f"error: {error}", style="red", level=logging.ERROR)
    sys.exit(error.exit_code)
