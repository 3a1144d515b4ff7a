"""Verbs on decisions: decide, freeze, unfreeze, approve, close."""

from typing import Annotated

import typer

from autoops import console
from autoops.cli.identity import actor
from autoops.cli.options import Incident, Json, Reason

verbs = typer.Typer()


@verbs.command()
def decide(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say it, and write nothing.")] = False, json: Json = False
) -> None:
    """What is to be done now, and why; without --dry-run it is what check-drift does."""
    from autoops.bootstrap import pipeline
    from autoops.loop import monitoring, preview

    if dry_run:
        found = preview.preview(pipeline())
        console.show(found, json, "\n".join(preview.sentences(found)))
        return
    found = monitoring.check(pipeline(migrate=True))
    console.show(found, json, f"{found['decision']}: {found['because']}")


@verbs.command()
def freeze(reason: Reason) -> None:
    """Stop what the loop does by itself; checks go on and are recorded."""
    from autoops.bootstrap import pipeline
    from autoops.loop import controls

    console.show(None, False, controls.freeze(pipeline(migrate=True), reason=reason, actor=actor()))


@verbs.command()
def unfreeze(reason: Reason = "") -> None:
    """Let the loop act again; the next check takes up what waited."""
    from autoops.bootstrap import pipeline
    from autoops.loop import controls

    console.show(None, False, controls.unfreeze(pipeline(migrate=True), reason=reason, actor=actor()))


@verbs.command()
def approve(
    incident: Incident,
    reason: Reason,
    wait: Annotated[bool, typer.Option(help="Until every API instance serves it.")] = True,
    json: Json = False,
) -> None:
    """Promote the version of an incident that waits for approval."""
    from autoops.bootstrap import pipeline
    from autoops.loop import approval, retraining

    built = pipeline(migrate=True)
    done = approval.approve(built, incident, reason=reason, actor=actor())
    plan, promotion = done["plan"], done["promotion"]
    served = retraining.confirm(built, plan, promotion["version"]) if wait else {}
    closed = retraining.close(built, plan, promotion)
    console.show(promotion | served | closed, json, closed["outcome"])


@verbs.command()
def close(incident: Incident, reason: Reason) -> None:
    """Close an incident by hand, such as one whose version you do not approve."""
    from autoops.bootstrap import pipeline
    from autoops.loop import approval

    outcome = approval.close_by_hand(pipeline(migrate=True), incident, reason=reason, actor=actor())
    console.show(None, False, f"incident {incident} {outcome}")
