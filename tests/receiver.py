"""A webhook on this machine that keeps what it is sent, byte for byte, and answers as a test says."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

from tests.ports import free_port

HANGS, DRIPS = "hangs", "drips"
"""Takes the request and never answers; sends its answer a byte at a time and never ends."""

TOKEN = "Xk2-a-secret-token-9Qz"


@dataclass
class Webhook:
    """`answers` are statuses, the last of which holds from then on."""

    port: int
    answers: Sequence[int | str] = (200,)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    over: Event = field(default_factory=Event)

    @property
    def url(self) -> str:
        """As Apprise writes it, with a secret in its user, its path and its headers."""
        return f"json://user:{TOKEN}@127.0.0.1:{self.port}/hooks/{TOKEN}?+X-Key={TOKEN}&rto=1"

    def next_answer(self) -> int | str:
        return self.answers[min(len(self.bodies), len(self.answers)) - 1]


@contextmanager
def listening(answers: Sequence[int | str] = (200,), port: int | None = None) -> Iterator[Webhook]:
    hook = Webhook(port or free_port(), answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.headers.append(dict(self.headers))
            hook.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            answer = hook.next_answer()
            if isinstance(answer, int):
                self.send_response(answer)
                self.end_headers()
            elif answer == HANGS:
                hook.over.wait()
            else:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not hook.over.wait(0.1):
                    self.wfile.write(b"x")

        def log_message(self, *_words: object) -> None:
            """Not on the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", hook.port), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hook
    finally:
        hook.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
