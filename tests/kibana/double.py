"""A local HTTP server that takes what Kibana 9.5's APIs take, and refuses what they refuse: paths, headers, order.

It keeps objects as Kibana does: per Space, with defaults of its own added, dashboards over data views that are there.
No rendering, no detection engine: what only a Kibana can show is listed in docs/kibana.md.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

KEY = "c29jOnNlY3JldA=="
Answer = tuple[int, Any]


@dataclass
class Request:
    method: str
    space: str
    path: str
    params: dict[str, str]
    headers: Message
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Double:
    """State of the server, open to the tests. `answers`: path pattern → a fixed answer instead of the usual one."""

    version: str = "9.5.1"
    sessions: bool = True  # whether it has the Discover sessions API
    security: bool = True  # whether it has Elastic Security
    spaces: dict[str, Any] = field(default_factory=lambda: {"default": {"id": "default", "name": "Default"}})
    roles: dict[str, Any] = field(default_factory=dict)
    objects: dict[tuple[str, str, str], Any] = field(default_factory=dict)  # kind, space, id
    rules: dict[tuple[str, str], Any] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    refused_rules: set[str] = field(default_factory=set)

    def writes(self) -> list[tuple[str, str, str]]:
        return [(r.method, r.space, r.path) for r in self.requests if r.method != "GET"]

    # ------------------------------------------------------------ one request

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        for pattern, fixed in self.answers.items():
            if re.fullmatch(pattern, request.path):
                return fixed
        if request.headers["Authorization"] != f"ApiKey {KEY}":
            return 401, {"statusCode": 401, "message": "[security_exception]: unable to authenticate"}
        if request.headers["Elastic-Api-Version"] != "2023-10-31":
            return 400, {"message": "Please specify a version"}
        if request.method != "GET" and "kbn-xsrf" not in request.headers:
            return 400, {"message": "Request must contain a kbn-xsrf header."}
        if request.space and request.space not in self.spaces:
            return 404, {"message": f"Saved object [space/{request.space}] not found"}
        for pattern, handler in self._routes():
            if found := re.fullmatch(pattern, f"{request.method} {request.path}"):
                return handler(request, *found.groups())
        return 404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"}

    def _routes(self) -> list[tuple[str, Callable[..., Answer]]]:
        routes: list[tuple[str, Callable[..., Answer]]] = [
            (r"GET /api/status", lambda r: (200, {"version": {"number": self.version}})),
            (r"GET /api/spaces/space/([^/]+)", lambda r, i: self._got(self.spaces.get(i))),
            (r"POST /api/spaces/space", self._create_space),
            (r"PUT /api/spaces/space/([^/]+)", self._update_space),
            (r"GET /api/security/role/([^/]+)", lambda r, i: self._got(self.roles.get(i))),
            (r"PUT /api/security/role/([^/]+)", self._put_role),
            (r"GET /api/data_views/data_view/([^/]+)", self._get_view),
            (r"POST /api/data_views/data_view", self._put_view),
            (r"GET /api/dashboards/([^/]+)", lambda r, i: self._object("dashboard", r, i)),
            (r"PUT /api/dashboards/([^/]+)", self._put_dashboard),
        ]
        if self.sessions:
            routes += [
                (r"GET /api/discover_sessions", lambda r: (200, {"data": [], "meta": {}})),
                (r"GET /api/discover_sessions/([^/]+)", lambda r, i: self._object("search", r, i)),
                (r"PUT /api/discover_sessions/([^/]+)", self._put_session),
            ]
        if self.security:
            routes += [
                (r"GET /api/detection_engine/rules/_find", self._find),
                (r"POST /api/detection_engine/rules/_import", self._import),
                (r"DELETE /api/detection_engine/rules", self._delete),
            ]
        return routes

    @staticmethod
    def _got(found: Any) -> Answer:
        return (200, found) if found is not None else (404, {"message": "Not Found"})

    def _create_space(self, request: Request) -> Answer:
        body = request.json()
        if body["id"] in self.spaces:
            return 409, {"message": f"A space with the identifier {body['id']} already exists."}
        self.spaces[body["id"]] = {"disabledFeatures": [], **body}
        return 200, body

    def _update_space(self, request: Request, space_id: str) -> Answer:
        if space_id not in self.spaces:
            return 404, {"message": "Not Found"}
        self.spaces[space_id] = {"disabledFeatures": [], **request.json()}
        return 200, request.json()

    def _put_role(self, request: Request, name: str) -> Answer:
        body = request.json()
        if any(space not in self.spaces for row in body["kibana"] for space in row["spaces"]):
            return 400, {"message": "the role names a Space that is not there"}
        indices = [{**row, "allow_restricted_indices": False} for row in body["elasticsearch"]["indices"]]
        whole = {**body, "elasticsearch": {**body["elasticsearch"], "indices": indices}}
        self.roles[name] = {"name": name, "transient_metadata": {"enabled": True}, **whole}
        return 204, None

    def _get_view(self, request: Request, view_id: str) -> Answer:
        found = self.objects.get(("data_view", request.space, view_id))
        return self._got({"data_view": found} if found else None)

    def _put_view(self, request: Request) -> Answer:
        body = request.json()
        view = body["data_view"]
        key = ("data_view", request.space, view["id"])
        if key in self.objects and not body.get("override"):
            return 400, {"message": f"Duplicate data view: {view['title']}"}
        self.objects[key] = {"sourceFilters": [], "runtimeFieldMap": {}, "version": "Wz", **view}
        return 200, {"data_view": self.objects[key]}

    def _object(self, kind: str, request: Request, object_id: str) -> Answer:
        found = self.objects.get((kind, request.space, object_id))
        return self._got({"id": object_id, "data": found, "meta": {"updated_at": "now"}} if found else None)

    def _put_session(self, request: Request, session_id: str) -> Answer:
        body = request.json()
        tabs = [{"density": "compact", "filters": [], **tab} for tab in body["tabs"]]
        return self._put("search", request, session_id, {**body, "tabs": tabs})

    def _put_dashboard(self, request: Request, dashboard_id: str) -> Answer:
        body = request.json()
        return self._put("dashboard", request, dashboard_id, {"options": {"use_margins": True}, **body})

    def _put(self, kind: str, request: Request, object_id: str, body: Any) -> Answer:
        """An object over a data view that is not there, or of an id that another Space has, is refused."""
        views = set(re.findall(rb'"(?:ref_id|data_view_id)":"([^"]+)"', request.body))
        missing = [v.decode() for v in views if ("data_view", request.space, v.decode()) not in self.objects]
        if missing:
            return 400, {"message": f"no data view {missing[0]}"}
        if any(k == kind and i == object_id and s != request.space for k, s, i in self.objects):
            return 409, {"message": f"the id {object_id} is taken in another Space"}
        new = (kind, request.space, object_id) not in self.objects
        self.objects[(kind, request.space, object_id)] = body
        return (201 if new else 200), {"id": object_id, "data": body, "meta": {}}

    # ------------------------------------------------------------ rules

    def _find(self, request: Request) -> Answer:
        tag = re.fullmatch(r'alert\.attributes\.tags:"(.+)"', request.params["filter"])
        assert tag, request.params
        rows = [r for (space, _), r in self.rules.items() if space == request.space and tag[1] in r["tags"]]
        page, size = int(request.params["page"]), int(request.params["per_page"])
        return 200, {"page": page, "total": len(rows), "data": rows[(page - 1) * size : page * size]}

    def _import(self, request: Request) -> Answer:
        boundary = re.fullmatch(r"multipart/form-data; boundary=(.+)", request.headers["Content-Type"])
        assert boundary
        part = request.body.split(f"--{boundary[1]}".encode())[1]
        head, _, lines = part.partition(b"\r\n\r\n")
        assert b'name="file"; filename="rules.ndjson"' in head
        errors = []
        rules = [orjson.loads(line) for line in lines.splitlines() if line.strip()]
        for rule in rules:
            if rule["rule_id"] in self.refused_rules:
                errors.append({"rule_id": rule["rule_id"], "error": {"status_code": 400, "message": "Invalid query"}})
                continue
            if (request.space, rule["rule_id"]) in self.rules and request.params.get("overwrite") != "true":
                errors.append({"rule_id": rule["rule_id"], "error": {"status_code": 409, "message": "exists"}})
                continue
            defaults = {"exceptions_list": [], "actions": [], "immutable": False, "version": 1}
            self.rules[(request.space, rule["rule_id"])] = {**defaults, **rule}
        answer = {"success": not errors, "success_count": len(rules) - len(errors), "errors": errors}
        return 200, {**answer, "rules_count": len(rules)}

    def _delete(self, request: Request) -> Answer:
        found = self.rules.pop((request.space, request.params["rule_id"]), None)
        return (200, found) if found else (404, {"message": "rule_id not found"})


@contextmanager
def served(double: Double, base: str = "") -> Iterator[str]:
    """The server's URL, while it runs. `base`: its base path."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            parts = urlsplit(self.path)
            path = parts.path.removeprefix(base) if parts.path.startswith(base) else "/elsewhere"
            space, path = (found[1], found[2]) if (found := re.fullmatch(r"/s/([^/]+)(/.*)", path)) else ("", path)
            params = {name: values[0] for name, values in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = double.answer(Request(self.command, space, path, params, self.headers, body))
            data = answer if isinstance(answer, bytes) else orjson.dumps(answer) if answer is not None else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - names of BaseHTTPRequestHandler

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{base}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
