"""The scripts that only .github/workflows/ci_cd.yml calls, as it calls them."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTIFY = ROOT / ".github" / "scripts" / "notify.py"
PUBLISH = ROOT / ".github" / "scripts" / "publish_images.sh"
RUN = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "Owner/auto-ops", "GITHUB_RUN_ID": "17"}


class Webhook(HTTPServer):
    """Keeps what it is sent, and answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.status = 200
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Receiver(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.status)
        self.end_headers()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def notify(ref: str, url: str = "", **results: str) -> subprocess.CompletedProcess[str]:
    needs = json.dumps({job: {"result": result, "outputs": {}} for job, result in results.items()})
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment = kept | RUN | {"GITHUB_REF_NAME": ref, "NEEDS": needs, "DEPLOYMENT_WEBHOOK_URL": url}
    return subprocess.run([sys.executable, NOTIFY], env=environment, capture_output=True, text=True)


def test_a_release_is_announced(webhook: Webhook) -> None:
    assert notify("v1.2.3", webhook.url, check="success", publish="success").returncode == 0
    text = "Owner/auto-ops v1.2.3 is published: <https://github.com/Owner/auto-ops/actions/runs/17|the run>"
    assert [json.loads(body) for body in webhook.bodies] == [{"text": text}]


def test_a_failure_is_announced_by_its_jobs(webhook: Webhook) -> None:
    assert (
        notify("main", webhook.url, check="success", test="failure", stack="cancelled", publish="skipped").returncode
        == 0
    )
    assert "Owner/auto-ops main failed (test: failure, stack: cancelled): " in json.loads(webhook.bodies[0])["text"]


def test_a_tag_cannot_write_markup(webhook: Webhook) -> None:
    notify('v<!channel>"&', webhook.url, publish="success")
    assert json.loads(webhook.bodies[0])["text"].startswith('Owner/auto-ops v&lt;!channel&gt;"&amp; is published')


def test_without_the_secret_nobody_is_told() -> None:
    done = notify("v1.2.3", publish="success")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0,
        "The secret DEPLOYMENT_WEBHOOK_URL is not set: nobody is told.",
    )


def test_a_webhook_that_refuses_fails_the_job(webhook: Webhook) -> None:
    webhook.status = 500
    assert notify("v1.2.3", webhook.url, publish="success").returncode == 1
    assert len(webhook.bodies) == 1


def test_a_tag_that_is_not_the_version_is_not_published() -> None:
    environment = os.environ | RUN | {"GITHUB_REF_NAME": "v99.0.0", "REGISTRY": "registry.invalid"}
    done = subprocess.run([PUBLISH], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("The tag is v99.0.0, but pyproject.toml says ")
