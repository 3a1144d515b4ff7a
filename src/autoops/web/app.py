"""The console's application: the page, its live parts, the forms on it, and sign-in."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Final, cast
from urllib.parse import parse_qsl, urlencode

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autoops.errors import AutoOpsError, InputError, NotFound, SettingsError
from autoops.loop.context import Context
from autoops.loop.promote.served import serving_now
from autoops.serving.auth.keys import Keys, is_loopback
from autoops.settings import Settings
from autoops.web import actions, answers
from autoops.web.pages import FOLDER, Pages, View
from autoops.web.sessions import COOKIE, LASTS, Sessions, Visitor, is_own_host, is_same_origin

VISITOR: Final = "autoops.visitor"
"""Where an ASGI scope holds who asks."""

OPEN = ("/health", "/sign-in", "/static/")
"""Paths that need no sign-in."""

PERIOD_S, FRESH_S = 2.0, 15.0
"""Seconds between two looks at the database, and after which parts are rendered anew though nothing changed there."""

MOST_STREAMS, MOST_VIEWS, MOST_BODY = 50, 32, 16_384
"""Browsers that listen at once, rendered views that are kept, and bytes of a form."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; frame-ancestors 'none'"
)
"""Of Evidently's page, which has its scripts inline: sandboxed, it can reach nothing of the console."""


def keys_of(settings: Settings) -> Keys | None:
    """Return the configured keys, None where none are.

    Raises:
        SettingsError: none are configured, and other machines could reach the console; or the file is unusable.
    """
    if settings.security.keys_file is not None:
        return Keys(settings.security.keys_file)
    if not is_loopback(settings.console.host):
        raise SettingsError(
            f"console.host: {settings.console.host} is open to other machines, which needs a sign-in: set "
            "security.keys_file (autoops keys add NAME --scope admin), or listen on 127.0.0.1"
        )
    return None


def create_app(context: Context, keys: Keys | None, owner: str, retrain: actions.Retrain | None = None) -> Starlette:
    """Return the application; `owner` acts where no keys are configured, and `retrain` starts a retraining."""
    console = _Console(context, Sessions(keys, owner, context.clock), retrain)
    routes = [
        Route("/", console.page),
        Route("/events", console.events),
        Route("/ask/{question}", console.ask),
        Route("/act/{verb}", console.act, methods=["POST"]),
        Route("/report/{check:int}", console.report),
        Route("/sign-in", console.sign_in, methods=["GET", "POST"]),
        Route("/sign-out", console.sign_out, methods=["POST"]),
        Route("/health", console.health),
        Mount("/static", StaticFiles(directory=FOLDER / "static")),
    ]
    own_host = context.settings.console.host if keys is None else None
    door = Middleware(_Door, sessions=console.sessions, own_host=own_host)
    app = Starlette(routes=routes, middleware=[door], exception_handlers={AutoOpsError: console.failed})
    # Streams of events end where the server that runs the application says so.
    app.state.is_ending = lambda: False
    return app


class _Door:
    """Lets in who may, keeps foreign pages from causing actions, and adds the headers of every response."""

    def __init__(self, app: ASGIApp, sessions: Sessions, own_host: str | None) -> None:
        self._app, self._sessions, self._own_host = app, sessions, own_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", _POLICY)
                # Files are asked for again, and answered with 304 where they are the same.
                headers["Cache-Control"] = "no-cache" if scope["path"].startswith("/static/") else "no-store"
                headers |= {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
            await send(message)

        refused = self._refused(scope) if scope["type"] == "http" else None
        await (refused or self._app)(scope, receive, sent)

    def _refused(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        if self._own_host is not None and not is_own_host(headers, self._own_host):
            return PlainTextResponse("the console answers to localhost alone, as no keys are configured", 403)
        if scope["method"] not in ("GET", "HEAD") and not is_same_origin(headers):
            return PlainTextResponse("a page of another site asked for this, and nothing was done", 403)
        scope[VISITOR] = self._sessions.visitor(HTTPConnection(scope).cookies.get(COOKIE))
        if scope[VISITOR] is not None or path.startswith(OPEN):
            return None
        return RedirectResponse("/sign-in", 303) if path == "/" else PlainTextResponse("sign in first", 401)


class _Console:
    def __init__(self, context: Context, sessions: Sessions, retrain: actions.Retrain | None) -> None:
        self.sessions = sessions
        self._context, self._retrain = context, retrain
        self._pages = Pages(context, can_retrain=retrain is not None)
        self._kept: dict[tuple[View, bool], tuple[object, float, Mapping[str, Markup]]] = {}
        self._rendering, self._streams = Lock(), 0

    async def page(self, request: Request) -> Response:
        view, visitor = _view(request), _visitor(request)
        parts = await run_in_threadpool(self._parts, view, visitor.may_act)
        query = urlencode({**view.query(), "seen": ",".join(map(_digest, parts.values()))})
        return HTMLResponse(self._pages.render("page.html", parts=parts, view=view, visitor=visitor, events=query))

    async def events(self, request: Request) -> Response:
        if self._streams >= MOST_STREAMS:
            return PlainTextResponse("too many pages are open", 503, headers={"Retry-After": "60"})
        return StreamingResponse(self._stream(request), media_type="text/event-stream")

    async def _stream(self, request: Request) -> AsyncIterator[str]:
        view, visitor, trouble = _view(request), _visitor(request), Markup()
        known = dict(enumerate(request.query_params.get("seen", "").split(",")))
        self._streams += 1
        try:
            # A session that has ended, or whose key was revoked, sees nothing more.
            while self.sessions.visitor(request.cookies.get(COOKIE)) == visitor and not request.app.state.is_ending():
                now = Markup()
                try:
                    parts = await run_in_threadpool(self._parts, view, visitor.may_act)
                    for position, (name, content) in enumerate(parts.items()):
                        if known.get(position) != (digest := _digest(content)):
                            known[position] = digest
                            yield _event(name, content)
                except AutoOpsError as error:
                    now = self._pages.render("parts/failed.html", message=f"Not up to date: {error}")
                yield _event("trouble", now) if now != trouble else ": still here\n\n"
                trouble = now
                await asyncio.sleep(PERIOD_S)
        finally:
            self._streams -= 1

    def _parts(self, view: View, may_act: bool) -> Mapping[str, Markup]:
        """Return the parts of the page by name, rendered anew where something has changed."""
        # One thread renders, and those of other visitors wait for what it makes.
        with self._rendering:
            revision, now = self._revision(), time.monotonic()
            kept = self._kept.pop((view, may_act), None)
            if kept is None or kept[0] != revision or now - kept[1] > FRESH_S:
                kept = revision, now, self._pages.parts(view, may_act)
            self._kept[view, may_act] = kept
            while len(self._kept) > MOST_VIEWS:
                del self._kept[next(iter(self._kept))]
            return kept[2]

    def _revision(self) -> tuple[object, ...]:
        entries, checks = self._context.ledger.latest(1), self._context.checks.latest()
        return (*(one.id for one in entries), *(one.id for one in checks), *serving_now(self._context).items())

    async def ask(self, request: Request) -> Response:
        answer = answers.QUESTIONS.get(request.path_params["question"])
        if answer is None:
            raise NotFound("there is no such question")
        if answer is answers.why and not _visitor(request).may_act:
            # The inputs of a prediction are its client's; a key of another client must not show them.
            raise InputError("why a prediction was what it was is for keys with the scope admin")
        return self._answer(request, await run_in_threadpool(answer, self._context, request.query_params))

    async def act(self, request: Request) -> Response:
        visitor, verb = _visitor(request), request.path_params["verb"]
        if not visitor.may_act:
            return PlainTextResponse(
                f"{visitor.name} may look, but not act: that needs a key with the scope admin", 403
            )
        form = await _form(request)
        told = await run_in_threadpool(actions.act, self._context, verb, form, visitor.name, self._retrain)
        return self._answer(request, answers.Answer("Done", [told]))

    def _answer(self, request: Request, answer: answers.Answer, status: int = 200) -> Response:
        """Return an answer: as a part of the page to htmx, which shows none with an error's status, else as a page."""
        part = "hx-request" in request.headers
        content = self._pages.render("parts/answer.html" if part else "answer.html", answer=answer)
        return HTMLResponse(content, 200 if part else status)

    async def failed(self, request: Request, error: Exception) -> Response:
        return self._answer(request, answers.Answer("Not done", [str(error)]), cast(AutoOpsError, error).http_status)

    async def report(self, request: Request) -> Response:
        check = await run_in_threadpool(self._context.checks.get, request.path_params["check"])
        files = [Path(file).resolve() for file in (check.report.get("files", ()) if check else ())]
        own = self._context.reports.resolve()
        for page in files:
            if page.suffix == ".html" and page.is_relative_to(own) and page.is_file():
                return FileResponse(page, headers={"Content-Security-Policy": _REPORT_POLICY})
        raise NotFound("the check has no report on this machine; MLflow may have it")

    async def sign_in(self, request: Request) -> Response:
        if request.method == "GET":
            return HTMLResponse(self._pages.render("sign_in.html", complaint=""))
        token = await run_in_threadpool(self.sessions.begin, (await _form(request)).get("key", ""))
        if token is None:
            return HTMLResponse(self._pages.render("sign_in.html", complaint="This key is not known here."), 401)
        response, secure = RedirectResponse("/", 303), request.url.scheme == "https"
        lasts = int(LASTS.total_seconds())
        response.set_cookie(COOKIE, token, max_age=lasts, secure=secure, httponly=True, samesite="strict")
        return response

    async def sign_out(self, request: Request) -> Response:
        self.sessions.end(request.cookies.get(COOKIE))
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(COOKIE)
        return response

    async def health(self, _request: Request) -> Response:
        await run_in_threadpool(self._revision)
        return PlainTextResponse("ok")


def _view(request: Request) -> View:
    return View(answers.number(request.query_params, "incident"), request.query_params.get("time") == "wall")


def _visitor(request: Request) -> Visitor:
    return cast(Visitor, request.scope[VISITOR])


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise InputError(f"a form has at most {MOST_BODY} bytes")
    return dict(parse_qsl(body.decode(errors="replace")))


def _event(name: str, content: str) -> str:
    """Return a server-sent event."""
    return f"event: {name}\n" + "".join(f"data: {line}\n" for line in content.splitlines() or [""]) + "\n"


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:12]
