"""HTML from templates; every text from the ledger and from inputs is escaped."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from autoops import __version__
from autoops.loop.context import Context
from autoops.redaction import public_url, redact
from autoops.web.answers import KINDS
from autoops.web.board import board_of
from autoops.web.charts import DRAWN
from autoops.web.line import Bands, line_of

FOLDER = Path(__file__).parent
PARTS = ("state", "now", "you", "line", "why", "loop", "gate")
"""The parts of the page that change by themselves, each a template."""


class View(NamedTuple):
    """What a visitor chose to see: an incident instead of the newest, and wall time instead of event time."""

    incident: int | None = None
    wall: bool = False

    def query(self, **changes: object) -> Mapping[str, object]:
        """Return the query of the page's address."""
        chosen = {"incident": self.incident, "time": "wall" if self.wall else None} | changes
        return {name: value for name, value in chosen.items() if value is not None}


class Pages:
    """The templates, with what is the same on all pages of an installation."""

    def __init__(self, context: Context, can_retrain: bool) -> None:
        self._context, self._can_retrain, self._bands = context, can_retrain, Bands(context)
        settings, contract = context.settings, context.contract
        mlflow = public_url(settings.alerts.mlflow_url or settings.mlflow.tracking_uri)
        airflow = public_url(settings.console.airflow_url or settings.airflow_url)
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            trim_blocks=True,
        )
        self._templates.filters |= {"when": _when, **DRAWN}
        self._templates.globals |= {
            **DRAWN,
            "contract": contract,
            "title": contract.name.replace("_", " "),
            "kinds": KINDS,
            "assets": __version__,
            "links": {"Airflow": airflow, **({"MLflow": mlflow} if mlflow.startswith("http") else {})},
            "source": public_url(settings.data.source),
        }

    def parts(self, view: View, may_act: bool) -> Mapping[str, Markup]:
        """Return the HTML of the parts by name."""
        board = board_of(self._context, view.incident, self._can_retrain)
        line = line_of(self._context, self._bands, view.wall)
        given = {"board": board, "line": line, "view": view, "may_act": may_act}
        return {name: self.render(f"parts/{name}.html", **given) for name in PARTS}

    def render(self, template: str, **given: Any) -> Markup:
        """Return the HTML of a template; secrets in it are masked."""
        return Markup(redact(self._templates.get_template(template).render(given)))


def _when(moment: datetime | None) -> Markup:
    """Return a time in UTC to the minute, as HTML."""
    utc = moment.astimezone(UTC) if moment else None
    return Markup(f'<time datetime="{utc:%Y-%m-%dT%H:%M:%SZ}">{utc:%Y-%m-%d %H:%M} UTC</time>' if utc else "")
