"""The page of a demo: one HTML file that needs nothing else."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from autoops.loop.records.checks import BROKEN
from autoops.replay.demo.charts import figure, marks_of
from autoops.replay.demo.closing import columns
from autoops.replay.demo.outcome import Outcome
from autoops.replay.demo.scenario_summary import ScenarioSummary
from autoops.replay.demo.summary import SAMPLE, Step, Summary
from autoops.replay.demo.worlds import label_lag
from autoops.usecase.contract import Contract
from autoops.usecase.tasks import loss_unit

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2937; background: #f3f4f6; margin: 0; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 0 0 12px; }
p { margin: 0 0 20px; color: #4b5563; max-width: 80ch; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(124px, 1fr)); gap: 12px; margin: 20px 0; }
.card, section { background: white; border: 1px solid #e5e7eb; border-radius: 8px; }
.card { padding: 12px 16px; } .card b { display: block; font-size: 24px; font-weight: 600; }
.card span { color: #6b7280; font-size: 13px; }
section { padding: 20px; margin: 16px 0; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: #6b7280; font-weight: 500; }
th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid #f3f4f6; vertical-align: top; }
.number { text-align: right; padding-right: 28px; font-variant-numeric: tabular-nums; }
.bad { color: #dc2626; font-weight: 600; } .good { color: #059669; font-weight: 600; }
"""
CHRONICLED = (
    *("check", "incident opened", "incident waiting for data", "retraining begun", "trained", "gate"),
    *("promoted", "served", "incident closed", "rolled back", "page", "retraining failed", "quarantined"),
)


def write_report(path: Path, outcome: Outcome) -> None:
    """Write the page; it is self-contained, with the charts' script in the file."""
    contract, parts = outcome.tally.contract, (*outcome.summary.parts, *outcome.summary.scenario_parts)
    marks = marks_of(outcome.tally, outcome.checks, outcome.incidents, outcome.entries)
    charts = figure(outcome.tally, outcome.checks, marks).to_html(
        full_html=False, include_plotlyjs=True, config={"displaylogo": False, "responsive": True}
    )
    path.write_text(
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Auto-Ops: {escape(_title(outcome.summary))}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>
<body><main>
<h1>{escape(_title(outcome.summary))}</h1>
<p>{escape(_lead(outcome))}</p>
<div class="cards">{"".join(_cards(outcome.summary, contract))}</div>
<section>{charts}</section>
<section><h2>What the API answered</h2>{_steps(parts, contract)}</section>
{_acts(outcome.summary)}
<section><h2>What was decided, and why</h2>{_chronicle(outcome)}</section>
</main></body></html>
"""
    )


def _title(summary: Summary) -> str:
    if summary.source == SAMPLE:
        return "A model that degrades and heals itself"
    return f"A model on its own from {summary.steps[0].month} to {summary.steps[-1].month}"


def _lead(outcome: Outcome) -> str:
    summary, contract, made = outcome.summary, outcome.tally.contract, outcome.made_up
    rows, lag = contract.plural, label_lag(contract).days
    months = [step.month for step in (*summary.steps, *summary.scenario_parts)]
    told = (
        f"{rows.capitalize()} of {months[0]} to {months[-1]} were sent to the API over HTTP in event order; "
        f"{made.truth if made else 'the truth'} followed {'a day' if lag == 1 else f'{lag} days'} of event time later, "
        "and each month's file was published at its end. Airflow's scheduled monitor and the retraining it triggers "
        "did the rest."
    )
    if made is not None:
        made_up = f"{told} The {rows} are made up: from {months[1]} on, {made.told}."
        return f"{made_up} {_further(summary.acts)}" if summary.acts else made_up
    return f"{told} The {rows} are those of {summary.source}."


def _further(acts: ScenarioSummary) -> str:
    return (
        f"In {acts.bad_promotion.month} somebody forces in a model that learnt from the months before, and from "
        f"{acts.broken_data.month} on distances are in kilometres, live and in the published month."
    )


def _acts(summary: Summary) -> str:
    """Return the section on the further scenarios, empty where there were none."""
    if summary.acts is None:
        return ""
    told = "".join(f"<p>{escape(sentence)}</p>" for sentence in summary.acts.sentences())
    return f"<section><h2>Two mistakes of people</h2>{told}</section>"


def _cards(summary: Summary, contract: Contract) -> Iterable[str]:
    unit = loss_unit(contract)
    if summary.source == SAMPLE:
        steady, changed, last = summary.steps[0], summary.changed, summary.steps[-1]
        yield _card(f"{steady.mae:.2f}{unit}", f"error of v{steady.model_version}, steady")
        yield _card(f"{changed.mae:.2f}{unit}", f"error of v{changed.model_version} under drift")
        yield _card(f"{last.mae:.2f}{unit}", f"error of v{last.model_version} after")
    served = summary.alarm_to_served_s
    yield _card("–" if served is None else f"{served:.0f} s", "from alarm to served")
    back = summary.acts.bad_promotion.served_to_rolled_back_s if summary.acts else None
    if back is not None:
        yield _card(f"{back:.0f} s", "from the mistake's first answer to its rollback")
    yield _card(f"{summary.requests:,}", "requests sent")
    yield _card(f"{summary.failed_requests}", "requests failed")
    yield _card(f"v{summary.served_version}", f"served; champion is v{summary.champion_version}")


def _card(figure: str, label: str) -> str:
    return f'<div class="card"><b>{escape(figure)}</b><span>{escape(label)}</span></div>'


def _steps(parts: Sequence[Step], contract: Contract) -> str:
    _, _, rows_told, error, *_ = columns(contract)
    head = (
        f'<tr><th>month</th><th>version</th><th class="number">{rows_told}</th><th class="number">{error}</th>'
        "<th>monitor</th><th>gate</th></tr>"
    )
    rows = [
        f'<tr><td>{part.month}</td><td>v{part.model_version}</td><td class="number">{part.rows}</td>'
        f'<td class="number">{part.mae:.3f}</td>'
        f'<td class="{"bad" if part.alarm or part.verdict == BROKEN else ""}">'
        f"{escape('alarm' if part.alarm else part.verdict)}</td>"
        f'<td class="{"good" if part.decision == "promote" else ""}">{escape(part.decision or "–")}</td></tr>'
        for part in parts
    ]
    return f"<table>{head}{''.join(rows)}</table>"


def _chronicle(outcome: Outcome) -> str:
    rows = []
    for entry in outcome.entries:
        if entry.kind in CHRONICLED:
            version = "" if entry.model_version is None else f"v{entry.model_version}"
            cells = (f"{entry.at:%H:%M:%S}", entry.kind, version, entry.reason)
            rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "<tr><th>UTC</th><th>what</th><th>version</th><th>why</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"
