"""Tells a webhook (Slack's, or any that takes `{"text": ...}`) how a run of Actions ended. Needs no more than Python,
because it also has to speak when the environment could not be made."""

import html
import json
import os
import sys
import urllib.request
from collections.abc import Mapping


def message(environment: Mapping[str, str]) -> str:
    """Slack's markup; what comes from outside (a tag may be called `<!channel>`) is escaped."""
    results = {job: needed["result"] for job, needed in json.loads(environment["NEEDS"]).items()}
    broken = [f"{job}: {result}" for job, result in results.items() if result in ("failure", "cancelled")]
    what = html.escape(f"{environment['GITHUB_REPOSITORY']} {environment['GITHUB_REF_NAME']}", quote=False)
    run = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}".format_map(environment)
    outcome = f"failed ({', '.join(broken)})" if broken else "is published"
    return f"{what} {outcome}: <{run}|the run>"


def main() -> int:
    url = os.environ.get("DEPLOYMENT_WEBHOOK_URL")
    text = message(os.environ)
    print(text)
    if not url:
        print("The secret DEPLOYMENT_WEBHOOK_URL is not set: nobody is told.")
        return 0
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        print(f"The webhook answered {response.status}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
