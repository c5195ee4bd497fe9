"""A small Hugging Face hub on loopback: enough of the protocol for `models pull`, with faults to order.

Serves HEAD and ranged GET of `/<owner>/<repo>/resolve/<revision>/<path>` with the hub's own headers
(X-Repo-Commit, ETag, X-Error-Code). Faults, per path: "wrong" (other bytes of the same length), "missing" (404),
"error" (500), "stalls" (no answer), "anonymous" (no commit in the answer), and `cuts[path]`: the connection breaks
that many times, half-way each time.

With `storage`, another server of the same kind, file contents are answered by a redirect to that one, with
X-Linked-Size and X-Linked-ETag, as the real hub does; the manifest, a small file, is sent at once.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class HubServer:
    """Serves the files under `root` as the repository `owner/students`; use as a context manager."""

    repository = "owner/students"
    commit = "0123456789abcdef0123456789abcdef01234567"

    def __init__(self, root: Path, storage: HubServer | None = None) -> None:
        self.root = root
        self.storage = storage
        self.faults: dict[str, str] = {}
        self.cuts: Counter[str] = Counter()
        self.requests: list[tuple[str, str, str | None]] = []  # method, path, Range
        self.tokens: list[str | None] = []  # the Authorization header of each
        self.agents: set[str | None] = set()  # the User-Agent headers
        self.revisions: dict[str, set[str]] = {}  # that each path was asked for at
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def fetched(self, path: str) -> list[str | None]:
        """The Range header of every GET of `path`, in order."""
        return [wanted for method, name, wanted in self.requests if method == "GET" and name == path]

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:  # noqa: N805  (`self` is the request below)
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_HEAD(self) -> None:  # noqa: N802
                self._answer(with_body=False)

            def do_GET(self) -> None:  # noqa: N802
                self._answer(with_body=True)

            def _answer(self, with_body: bool) -> None:
                prefix = f"/{hub.repository}/resolve/"
                if not self.path.startswith(prefix):
                    return self._refuse(404, "RepoNotFound")
                revision, _, name = self.path[len(prefix) :].partition("/")
                wanted = self.headers.get("Range")
                hub.requests.append((self.command, name, wanted))
                hub.tokens.append(self.headers.get("Authorization"))
                hub.agents.add(self.headers.get("User-Agent"))
                hub.revisions.setdefault(name, set()).add(revision)
                if revision not in ("main", hub.commit):
                    return self._refuse(404, "RevisionNotFound")
                fault = hub.faults.get(name)
                if fault == "stalls":
                    hub._closing.wait(60)
                    self.close_connection = True
                    return None
                if fault == "error":
                    return self._refuse(500, "")
                if fault == "missing" or not (hub.root / name).is_file():
                    return self._refuse(404, "EntryNotFound")
                if hub.storage is not None and name != "manifest.json":
                    return self._redirect(f"{hub.storage.endpoint}{prefix}{hub.commit}/{name}", hub.root / name)
                self._send(name, wanted, fault, with_body)

            def _send(self, name: str, wanted: str | None, fault: str | None, with_body: bool) -> None:
                data = (hub.root / name).read_bytes()
                if fault == "wrong":
                    data = bytes(byte ^ 0xFF for byte in data)
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
                self.send_response(206 if wanted else 200)
                if wanted:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
                if fault != "anonymous":
                    self.send_header("X-Repo-Commit", hub.commit)
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                if not with_body:
                    return
                rest = data[start:]
                if hub.cuts[name] > 0:
                    hub.cuts[name] -= 1
                    rest = rest[: len(rest) // 2]
                    self.close_connection = True
                self.wfile.write(rest)

            def _redirect(self, address: str, file: Path) -> None:
                self.send_response(302)
                self.send_header("Location", address)
                self.send_header("X-Linked-Size", str(file.stat().st_size))
                self.send_header("X-Linked-ETag", f'"{hashlib.sha256(file.read_bytes()).hexdigest()}"')
                self.send_header("X-Repo-Commit", hub.commit)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _refuse(self, status: int, code: str) -> None:
                self.send_response(status)
                if code:
                    self.send_header("X-Error-Code", code)
                self.send_header("Content-Length", "0")
                self.end_headers()

        return Handler
