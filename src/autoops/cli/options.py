"""Options that several verbs take."""

from typing import Annotated

import typer

Months = Annotated[list[str], typer.Option("--months", "--month", help="2023-01, 2022-11..2023-01 or a comma list.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the ledger.")]
# The column has 32 bits: PostgreSQL answers a larger number with an error of its own.
Incident = Annotated[int, typer.Argument(help="Its number; autoops incidents lists them.", min=1, max=2**31 - 1)]
