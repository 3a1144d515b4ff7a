"""Run by a test in a process of its own: the steps of `retrain`, each as its task calls it, for one run; prints the
plan and what came of it. Arguments: the run's id, and an incident, or nothing for one of its own, which is forced."""

import json
import sys

from autoops import bootstrap
from autoops.loop.retrain import retraining
from autoops.telemetry import logs


def main(run_id: str, incident: str = "") -> None:
    logs.configure("cli")
    context = bootstrap.context(migrate=True)
    asked = {"incident_id": int(incident)} if incident else {"force": True, "reason": "I insist"}
    plan = retraining.begin(context, run_id, **asked)  # type: ignore[arg-type]
    retraining.ingest(context, plan)
    retraining.validate(context, plan)
    version = retraining.train(context, plan)
    verdict = retraining.gate(context, plan, version)
    promotion = retraining.promote(context, plan, version, verdict)
    closed = retraining.close(context, plan, promotion)
    print(json.dumps({"incident": plan["incident_id"], **promotion, **closed}))


if __name__ == "__main__":
    main(*sys.argv[1:])
