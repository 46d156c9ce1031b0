"""The page of runs in progress: for this machine only, one page and one source of data."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dso.report.collect import Collector
from dso.report.page import build_page

LOOPBACK = "127.0.0.1"
SECONDS_TO_ASK = 10.0
"""Between two bytes of a request, and of an answer that is taken."""
MAX_REQUESTS = 16
"""Requests that are answered at the same time."""
MAX_WAITING = 64

logger = logging.getLogger("dso")


class LiveReport:
    """The data of a report, collected again when files have changed.

    Parameters
    ----------
    collector : Collector
    title : str
    min_seconds : float
        The page asks again after this time at the earliest.
    max_share : float
        Collecting takes at most this share of the time, so that a run keeps its core.
    """

    def __init__(
        self,
        collector: Collector,
        title: str,
        *,
        min_seconds: float = 2.0,
        max_share: float = 0.05,
    ) -> None:
        self.title = title
        self.min_seconds = min_seconds
        self.max_share = max_share
        self._collector = collector
        self._lock = threading.Lock()
        self._stamp: tuple | None = None
        self._next_time = 0.0
        self._content: dict[str, Any] = {}

    def content(self) -> dict[str, Any]:
        """Return what `Collector.collect` does, with the seconds after which to ask again."""
        with self._lock:
            now = time.monotonic()
            if now >= self._next_time and (stamp := self._collector.stamp()) != self._stamp:
                cpu_seconds = self._collect()
                # The first time has to read everything, and to import what reads.
                is_first, self._stamp = self._stamp is None, stamp
                rest = 0.0 if is_first else cpu_seconds / self.max_share
                refresh = max(self.min_seconds, rest)
                self._content["refresh"] = refresh
                self._next_time = now + refresh / 2
            return self._content

    def _collect(self) -> float:
        start = time.thread_time()
        self._content = self._collector.collect()
        return time.thread_time() - start

    def page(self) -> str:
        """Return the page with the data of now."""
        return build_page(self.content(), self.title, is_live=True)


class Server(ThreadingHTTPServer):
    """Answers few at a time, and gives up on who says nothing: a request may be half sent only."""

    daemon_threads = True
    request_queue_size = MAX_WAITING

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__((LOOPBACK, port), handler)
        self._places = threading.BoundedSemaphore(MAX_REQUESTS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; if all threads are busy, the client has to ask again."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep silent about readers who left before the answer; name any other error."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            logger.error("--serve: a request could not be answered: %r", error)


def make_server(report: LiveReport, port: int = 0) -> Server:
    """Return a server for 127.0.0.1 that has ``/`` and ``/data``; port 0 takes a free one.

    A request that names another host is refused, so that no page of another site can read the
    answers by giving its name this machine's address.
    """

    class Handler(BaseHTTPRequestHandler):
        server_version = "dso"
        sys_version = ""
        timeout = SECONDS_TO_ASK

        def do_GET(self) -> None:
            if self.headers.get("Host") not in allowed:
                self._answer(HTTPStatus.FORBIDDEN, "text/plain", "This page has another address.")
            elif self.path == "/":
                self._answer(HTTPStatus.OK, "text/html", report.page())
            elif self.path == "/data":
                text = json.dumps(report.content(), allow_nan=False)
                self._answer(HTTPStatus.OK, "application/json", text)
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", "There is only one page: /")

        def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            headers = {
                "Content-Type": f"{kind}; charset=utf-8",
                "Content-Length": str(len(body)),
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "X-Frame-Options": "DENY",
                "Referrer-Policy": "no-referrer",
                "Cross-Origin-Resource-Policy": "same-origin",
            }
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Print nothing: the terminal may be the run's."""

    server = Server(port, Handler)
    allowed = {f"{name}:{server.server_port}" for name in (LOOPBACK, "localhost")}
    return server
