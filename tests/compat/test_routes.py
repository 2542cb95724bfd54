"""Paths, names and the framework's own routes: the same application on Sanic and as a service."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from sanic import Blueprint, Sanic, json, text
from sanic.views import HTTPMethodView
from tests.paths import take_full_path

from sanic_ms import Service, doc
from sanic_ms.exception import ConfigError, LifecycleError
from sanic_ms.http import Path as Path_
from sanic_ms.http import list_routes
from sanic_ms.testing import TestClient

Build = Callable[[Any], None]


def sanic() -> Sanic[Any, Any]:
    """A bare Sanic application."""
    Sanic.test_mode = True
    return Sanic(f"bare_{uuid.uuid4().hex}", configure_logging=False)


def service(name: str = "", **keywords: Any) -> Service:
    """A service."""
    Sanic.test_mode = True
    name = name or f"service_{uuid.uuid4().hex}"
    return Service(name, configure_logging=False, **keywords)


async def answers(build: Build, path: str, method: str = "get") -> list[tuple[int, str]]:
    """What one application answers on bare Sanic, on the fast path and on the full path of a
    service: statuses, and bodies of what is found."""
    bare, fast, full = sanic(), service(), service()
    for app in (bare, fast, full):
        build(app)
    take_full_path(full)

    _, first = await getattr(bare.asgi_client, method)(path)
    found = [(first.status, first.text if first.status == 200 else "")]
    for app in (fast, full):
        async with TestClient(app) as client:
            answer = await client.request(method.upper(), path)
            found.append((answer.status, answer.text if answer.status == 200 else ""))
    return found


# --- parameters -----------------------------------------------------------------------------------


class Colour(Enum):
    """A cast that is a class."""

    RED = "red"
    BLUE = "blue"


class Point:
    """A cast that is a class of the application's own."""

    def __init__(self, text: str) -> None:
        self.x, self.y = map(int, text.split(","))


def numbers(text: str) -> list[int]:
    """A cast that says what it returns."""
    return [int(part) for part in text.split(",")]


def pair(text: str):  # type: ignore[no-untyped-def]
    """A cast that does not."""
    left, right = text.split("-")
    return left, right


def raw(text: str) -> bytes:
    """Bytes."""
    return text.encode()


def hexadecimal(text: str) -> int:
    """Not written as JSON Schema writes a number."""
    return int(text, 16)


PATTERNS: dict[str, tuple[Callable[[str], Any], str]] = {
    "colour": (Colour, r"red|blue"),
    "point": (Point, r"\d+,\d+"),
    "numbers": (numbers, r"\d+(,\d+)*"),
    "pair": (pair, r"\w+-\w+"),
    "raw": (raw, r".+"),
    "hex": (hexadecimal, r"[0-9a-f]+"),
    "amount": (Decimal, r"\d+\.\d\d"),
}


def with_patterns(app: Any) -> None:
    """Register them."""
    for label, (cast, pattern) in PATTERNS.items():
        app.router.register_pattern(label, cast, pattern)


def shown(value: Any) -> Any:
    """A value with its type, as JSON."""
    if isinstance(value, Point):
        return ["Point", value.x, value.y]
    return [type(value).__name__, str(value)]


def shows(path: str, **options: Any) -> Build:
    """An application with one route, that shows what its handler is given."""

    def build(app: Any) -> None:
        with_patterns(app)

        async def handler(request: Any, **given: Any) -> Any:
            assert request.match_info == given
            return json({name: shown(value) for name, value in given.items()})

        app.add_route(handler, path, **options)

    return build


FAR = 2**70
UUID = "00000000-0000-0000-0000-000000000005"
PATHS: list[tuple[str, list[str]]] = [
    ("/<name:ext>", ["/a.pdf", "/a.b.pdf", "/a", "/a%20b.pdf", "/.pdf"]),
    ("/<id=int:ext=pdf|txt>", ["/5.pdf", "/x.pdf", "/5.doc", f"/{FAR}.txt"]),
    ("/<day=ymd:ext>", ["/2020-01-02.csv", "/monday.csv"]),
    ("/<name:ext=tar.gz|tar.xz>", ["/a.tar.gz", "/a.gz"]),
    ("/<folder:str>/<name:ext>", ["/a/b.txt", "/a/b"]),
    ("/<value:colour>", ["/red", "/green"]),
    ("/<value:point>", ["/1,2", "/x"]),
    ("/<value:numbers>", ["/1,2", "/x"]),
    ("/<value:pair>", ["/a-b", "/a"]),
    ("/<value:raw>", ["/x", "/a%20b"]),
    ("/<value:hex>", ["/ff", "/xx"]),
    ("/<value:amount>", ["/1.50"]),
    ("/<value:int>", ["/5", "/-5", f"/{FAR}", f"/-{FAR}", f"/{'9' * 5000}", "/x", "/1.0"]),
    ("/<value:float>", ["/1.5", "/nan", "/x"]),
    ("/<value:ymd>", ["/2020-01-02", "/2020-13-02"]),
    ("/<value:uuid>", [f"/{UUID}", "/5"]),
    ("/a/<value:strorempty>", ["/a/", "/a/x", "/a"]),
    ("/<value:alpha>", ["/abc", "/ab1", "/%C3%A9"]),
    ("/<value:slug>", ["/a-b", "/A"]),
    ("/<value:path>", ["/a/b/c", "/", "/a%2Fb"]),
    ("/<value:[a-z]{3}>", ["/abc", "/abcd"]),
    (r"/<value:(?P<value>\w+)\.txt>", ["/foo.txt", "/foo.md"]),
    ("/<id:int>/<rest:path>", ["/1/a/b", "/x/a"]),
    ("/<id:int>/<value:[a-z]+>", ["/1/abc", "/x/abc"]),
    ("/<value>", ["/a%20b", "/%C3%A9", "/a.b"]),
]


@pytest.mark.parametrize(
    ("path", "called"), [(path, called) for path, paths in PATHS for called in paths]
)
async def test_parameters_are_what_sanic_gives(path: str, called: str) -> None:
    """Every kind of parameter, custom ones included: names, types and values, and what is 404."""
    bare, *ours = await answers(shows(path), called)
    assert ours == [bare, bare]


OPTIONS: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"unquote": True}, "/<value>", ["/a%20b", "/%C3%A9"]),
    ({"unquote": True}, "/<value:int>/<name:[a-z ]+>", ["/1/abc"]),
    ({"strict_slashes": True}, "/a/<value>/", ["/a/x/", "/a/x"]),
    ({"strict_slashes": True}, "/a/<value>", ["/a/x/", "/a/x"]),
    ({}, "/a/<value>/", ["/a/x/", "/a/x"]),
    ({"version": 2}, "/a/<value:int>", ["/v2/a/3", "/a/3"]),
    ({"version": 1.1, "version_prefix": "/api/v"}, "/<value:int>", ["/api/v1.1/3", "/v1.1/3"]),
    ({"host": "mockserver:1234"}, "/<value:int>", []),
]


@pytest.mark.parametrize(
    ("options", "path", "called"),
    [(options, path, called) for options, path, paths in OPTIONS for called in paths],
)
async def test_options_of_a_route_count(options: dict[str, Any], path: str, called: str) -> None:
    """Decoding, slashes, versions and their prefix."""
    bare, *ours = await answers(shows(path, **options), called)
    assert ours == [bare, bare]


async def test_hosts_choose_the_route() -> None:
    """The same path on two hosts."""

    def build(app: Any) -> None:
        for host in ("a.example", "b.example"):

            async def handler(request: Any, value: int, host: str = host) -> Any:
                return text(f"{host} {value}")

            app.add_route(handler, "/<value:int>", host=host, name=host.replace(".", "_"))

    bare, ours = sanic(), service()
    build(bare)
    build(ours)
    async with TestClient(ours) as client:
        for host, status in (("a.example", 200), ("b.example", 200), ("c.example", 404)):
            _, first = await bare.asgi_client.get("/7", headers={"host": host})
            answer = await client.get("/7", headers={"host": host})
            assert (answer.status, first.status) == (status, status)
            if status == 200:
                assert answer.text == first.text == f"{host} 7"


# --- handlers with annotations --------------------------------------------------------------------


async def test_what_the_router_has_cast_is_passed_to_annotated_handlers() -> None:
    """An instance of the annotation is passed as it is: the same object, never its text parsed
    again; through `Any`, a base class, a union and another name, too."""
    app = service()
    with_patterns(app)
    given: dict[str, Any] = {}

    @app.get("/colour/<value:colour>")
    async def colour(request: Any, value: Colour) -> None:
        given["colour"] = value

    @app.get("/point/<value:point>")
    async def point(request: Any, value: Point) -> None:
        given["point"] = value

    @app.get("/numbers/<value:numbers>")
    async def listed(request: Any, value: list[int]) -> None:
        given["numbers"] = value

    @app.get("/pair/<value:pair>")
    async def paired(request: Any, value: tuple[str, str]) -> None:
        given["pair"] = value

    @app.get("/raw/<value:raw>")
    async def raws(request: Any, value: bytes) -> None:
        given["raw"] = value

    @app.get("/any/<value:point>")
    async def anything(request: Any, value: Any) -> None:
        given["any"] = value

    @app.get("/optional/<value:colour>")
    async def optional(request: Any, value: Colour | None = None) -> None:
        given["optional"] = value

    @app.get("/day/<value:ymd>")
    async def day(request: Any, value: date) -> None:
        given["day"] = value

    @app.get("/file/<id=int:ext=pdf|txt>")
    async def file(request: Any, id: int, ext: str) -> None:
        given["file"] = id, ext

    @app.get("/int/<value:int>")
    async def integer(request: Any, value: int) -> None:
        given["int"] = value

    async with TestClient(app) as client:
        for path in (
            "colour/red",
            "point/1,2",
            "numbers/1,2",
            "pair/a-b",
            "raw/x",
            "any/3,4",
            "optional/blue",
            "day/2020-01-02",
            "file/5.pdf",
            f"int/{FAR}",
        ):
            answer = await client.get(f"/{path}")
            assert answer.status == 200, answer.text
    assert (given["point"].x, given["any"].y) == (1, 4)
    assert {name: value for name, value in given.items() if name not in ("point", "any")} == {
        "colour": Colour.RED,
        "numbers": [1, 2],
        "pair": ("a", "b"),
        "raw": b"x",
        "optional": Colour.BLUE,
        "day": date(2020, 1, 2),
        "file": (5, "pdf"),
        "int": FAR,
    }


async def test_another_annotation_is_read_from_the_text_or_converted() -> None:
    """Where the handler takes another type than the cast gives; limits of an annotation count."""
    app = service()
    with_patterns(app)

    @app.get("/text/<value:int>")
    async def as_text(request: Any, value: str) -> str:
        return value

    @app.get("/value/<value:colour>")
    async def as_value(request: Any, value: str) -> str:
        return value

    @app.get("/set/<value:numbers>")
    async def as_set(request: Any, value: set[int]) -> list[int]:
        return sorted(value)

    @app.get("/few/<value:numbers>")
    async def few(request: Any, value: Annotated[list[int], msgspec.Meta(max_length=2)]) -> int:
        return len(value)

    async with TestClient(app) as client:
        assert (await client.get("/text/5")).json["data"] == "5"
        assert (await client.get("/value/red")).json["data"] == "red"
        assert (await client.get("/set/2,1,2")).json["data"] == [1, 2]
        assert (await client.get("/few/1,2")).json["data"] == 2
        refused = await client.get("/few/1,2,3")
        assert (refused.status, refused.json["errors"][0]["field"]) == (422, "value")


async def test_parameters_that_decorators_declare_are_what_the_router_gives() -> None:
    """`doc.consumes(location="path")`, and another name in the handler."""
    app = service()
    with_patterns(app)

    @app.get("/declared/<colour:colour>/<numbers:numbers>/<id:int>/<name=int:ext>")
    @doc.consumes(
        {"colour": Colour, "numbers": [int], "id": int, "name": int, "ext": str}, location="path"
    )
    async def declared(request: Any, **given: Any) -> Any:
        path = request["path"]
        return [path["colour"].name, path["numbers"], path["id"], path["name"], path["ext"]]

    @app.get("/renamed/<value:point>/<n:float>")
    async def renamed(
        request: Any, point: Annotated[Point, Path_("value")], number: Annotated[Any, Path_("n")]
    ) -> Any:
        return [point.x, number]

    async with TestClient(app) as client:
        answer = await client.get(f"/declared/red/1,2/{FAR}/3.pdf")
        assert answer.json["data"] == ["RED", [1, 2], FAR, 3, "pdf"]
        assert (await client.get("/renamed/1,2/1.5")).json["data"] == [1, 1.5]


async def test_a_typed_number_of_the_path_is_finite() -> None:
    """As in every other part of a request; a handler that asks for `Any` gets what Sanic gives."""
    app = service()

    @app.get("/typed/<value:float>")
    async def typed(request: Any, value: float) -> float:
        return value

    @app.get("/plain/<value:float>")
    async def plain(request: Any, value: Any) -> str:
        return str(value)

    async with TestClient(app) as client:
        assert (await client.get("/typed/1.5")).json["data"] == 1.5
        assert (await client.get("/typed/nan")).status == 422
        assert (await client.get("/plain/nan")).json["data"] == "nan"


async def test_web_sockets_and_views_get_what_the_router_gives() -> None:
    """Their handlers are compiled on ways of their own."""
    app = service()
    with_patterns(app)

    @app.websocket("/ws/<value:point>/<name=int:ext>")
    async def socket(request: Any, ws: Any, value: Point, name: int, ext: str) -> None:
        await ws.send(f"{value.x} {name + 1} {ext}")

    class View(HTTPMethodView):
        async def get(self, request: Any, value: Colour, name: str, ext: str) -> str:
            return f"{value.name} {name} {ext}"

    app.add_route(View.as_view(), "/view/<value:colour>/<name:ext>")
    async with TestClient(app) as client:
        async with client.websocket("/ws/1,2/3.txt") as ws:
            assert await ws.receive_str() == "1 4 txt"
        assert (await client.get("/view/red/a.b")).json["data"] == "RED a b"


async def test_a_cast_that_never_fits_is_the_applications_mistake(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """500, with the types in the log: it is not the client's fault."""
    app = service()
    with_patterns(app)

    @app.get("/<value:numbers>")
    async def handler(request: Any, value: int) -> int:
        return value

    async with TestClient(app) as client:
        assert (await client.get("/1,2")).status == 500
    assert (
        "the path parameter 'value' gives a list, and the handler takes an integer" in caplog.text
    )


def test_the_extension_is_taken_or_refused_at_start() -> None:
    """Sanic passes it by its name: a handler that does not take it would fail at each request."""
    app = service()

    @app.get("/<name:ext>")
    async def handler(request: Any, name: str) -> None: ...

    with pytest.raises(LifecycleError, match="the path has 'ext', which the handler does not take"):
        app.compile()


def test_the_document_shows_paths_and_parameters() -> None:
    """The path as a client writes it, and the schema of each part's text."""
    app = service()
    with_patterns(app)
    routes = {
        "/ext/<name:ext>": "/ext/{name}.{ext}",
        "/few/<id=int:ext=pdf|txt>": "/few/{id}.{ext}",
        "/colour/<v:colour>": "/colour/{v}",
        "/numbers/<v:numbers>": "/numbers/{v}",
        "/hex/<v:hex>": "/hex/{v}",
        "/int/<v:int>": "/int/{v}",
        "/float/<v:float>": "/float/{v}",
        "/ymd/<v:ymd>": "/ymd/{v}",
        "/uuid/<v:uuid>": "/uuid/{v}",
        "/soe/<v:strorempty>": "/soe/{v}",
        "/alpha/<v:alpha>": "/alpha/{v}",
        "/slug/<v:slug>": "/slug/{v}",
        "/path/<v:path>": "/path/{v}",
        "/regex/<v:[a-z]{3}>": "/regex/{v}",
        r"/group/<v:(?P<v>\w+)\.txt>": "/group/{v}.txt",
        "/int-and-path/<id:int>/<v:path>": "/int-and-path/{id}/{v}",
    }
    for number, path in enumerate(routes):

        async def handler(request: Any, **given: Any) -> None: ...

        app.add_route(handler, path, name=f"handler_{number}", version=3, version_prefix="/api/")

    document = app.openapi()
    assert set(document["paths"]) == {f"/api/3{path}" for path in routes.values()}

    def parameters(path: str) -> dict[str, Any]:
        operation = document["paths"][f"/api/3{path}"]["get"]
        return {entry["name"]: entry["schema"] for entry in operation["parameters"]}

    assert parameters("/ext/{name}.{ext}") == {
        "name": {"type": "string"},
        "ext": {"type": "string", "pattern": "^[a-z0-9](?:[a-z0-9.]*[a-z0-9])?$"},
    }
    assert parameters("/few/{id}.{ext}") == {
        "id": {"type": "integer"},
        "ext": {"enum": ["pdf", "txt"]},
    }
    assert parameters("/int-and-path/{id}/{v}")["id"] == {"type": "integer"}
    assert document["components"]["schemas"]["Colour"]["enum"] == ["blue", "red"]
    one = {path: parameters(path).get("v") for path in routes.values()}
    assert one == one | {
        "/colour/{v}": {"$ref": "#/components/schemas/Colour"},
        "/numbers/{v}": {"type": "string", "pattern": r"\d+(,\d+)*"},
        "/hex/{v}": {"type": "string", "pattern": "[0-9a-f]+"},
        "/int/{v}": {"type": "integer"},
        "/float/{v}": {"type": "number"},
        "/ymd/{v}": {"type": "string", "format": "date"},
        "/uuid/{v}": {"type": "string", "format": "uuid"},
        "/soe/{v}": {"type": "string"},
        "/alpha/{v}": {"type": "string", "pattern": "^[A-Za-z]+$"},
        "/slug/{v}": {"type": "string", "pattern": "^[a-z0-9]+(?:-[a-z0-9]+)*$"},
        "/path/{v}": {"type": "string"},
        "/regex/{v}": {"type": "string", "pattern": "^(?:[a-z]{3})$"},
        "/group/{v}.txt": {"type": "string", "pattern": r"^(?:\w+)$"},
    }


# --- the framework's own routes -------------------------------------------------------------------

OWN = {
    "/docs": ("DOCS_PATH", "DOCS"),
    "/openapi/spec.json": ("OPENAPI_PATH", "DOCS"),
    "/metrics": ("METRICS_PATH", "METRICS"),
    "/health/live": ("HEALTH_LIVE_PATH", "HEALTH"),
    "/health/ready": ("HEALTH_READY_PATH", "HEALTH"),
    "/health/startup": ("HEALTH_STARTUP_PATH", "HEALTH"),
}


def plain(path: str) -> Build:
    """A route of the application."""

    def build(app: Any) -> None:
        async def mine(request: Any, **given: Any) -> Any:
            return text("mine")

        app.add_route(mine, path)

    return build


def in_blueprint(path: str) -> Build:
    """One of a blueprint's."""

    def build(app: Any) -> None:
        first, _, rest = path.strip("/").partition("/")
        blueprint = Blueprint("mine", url_prefix=f"/{first}")

        @blueprint.get(f"/{rest}" if rest else "/")
        async def mine(request: Any) -> Any:
            return text("mine")

        app.blueprint(blueprint)

    return build


def with_parameter(path: str) -> Build:
    """One whose last part is a parameter."""
    return plain(f"{path.rpartition('/')[0]}/<name>")


def as_view(path: str) -> Build:
    """A class view."""

    def build(app: Any) -> None:
        class Mine(HTTPMethodView):
            async def get(self, request: Any) -> Any:
                return text("mine")

        app.add_route(Mine.as_view(), path)

    return build


WAYS = [
    *((way, path) for path in OWN for way in (plain, in_blueprint, as_view)),
    *((with_parameter, path) for path in OWN if path.count("/") > 1),
]


@pytest.mark.parametrize(("way", "path"), WAYS)
async def test_a_route_of_the_application_wins(
    way: Callable[[str], Build], path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Over each of the framework's; one line says which settings move or turn off ours, and the
    others are served as ever."""
    bare, *ours = await answers(way(path), path)
    assert bare == (200, "mine")
    assert ours == [bare, bare]

    app = service()
    way(path)(app)
    with caplog.at_level(logging.INFO, "sanic_ms.service"):
        await app.asgi_client.get(path)
    lines = [r.getMessage() for r in caplog.records if "is the application's" in r.getMessage()]
    setting, switch = OWN[path]
    mine = [line for line in lines if line.startswith(f"{path} is the application's: ")]
    assert len(mine) == 1
    assert mine[0].endswith(f"{setting} moves ours, {switch}=false turns it off")
    told = {line.partition(" ")[0] for line in lines}
    async with TestClient(app) as client:
        for other in set(OWN) - told:
            assert (await client.get(other)).status == 200, other


async def test_static_files_of_the_application_win(tmp_path: Path) -> None:
    """A folder below the path of the docs, and one file in the place of metrics."""
    (tmp_path / "index.html").write_text("index")
    (tmp_path / "init.js").write_text("mine")
    (tmp_path / "guide.html").write_text("guide")

    def build(app: Any) -> None:
        app.static("/docs", tmp_path, index="index.html", name="docs")
        app.static("/metrics", tmp_path / "guide.html", name="numbers")

    for path in ("/docs/guide.html", "/docs/init.js", "/docs/", "/docs", "/docs/no", "/metrics"):
        bare, *ours = await answers(build, path)
        assert ours == [bare, bare], path


@pytest.mark.parametrize("path", ["/<path:path>", "/<one>", "/<one>/<two>", "/<one:str>/<two:ext>"])
async def test_a_route_that_begins_with_a_parameter_leaves_ours(path: str) -> None:
    """It answers what is left: probes and docs are not lost to a catch-all."""
    app = service()
    plain(path)(app)
    async with TestClient(app) as client:
        for own in (*OWN, "/docs/init.js", "/docs/swagger-ui.css"):
            answer = await client.get(own)
            assert (answer.status, answer.text != "mine") == (200, True), own
        other = {1: "/other", 2: "/other/x.y"}[path.count("/")]
        assert (await client.get(other)).text == "mine"


@pytest.mark.parametrize("path", OWN)
async def test_other_methods_leave_ours(path: str) -> None:
    """The application has POST, the framework has GET and HEAD."""
    app = service()

    @app.post(path)
    async def mine(request: Any) -> Any:
        return text("mine")

    async with TestClient(app) as client:
        assert (await client.post(path)).text == "mine"
        assert (await client.get(path)).status == 200
        assert (await client.head(path)).status == 200


@pytest.mark.parametrize("path", OWN)
async def test_a_route_that_comes_later_wins_too(path: str) -> None:
    """In a listener, or after `compile`: no error that the route exists."""
    app = service()
    app.compile()

    @app.before_server_start
    async def add(app: Any) -> None:
        with app.amend():
            plain(path)(app)

    async with TestClient(app) as client:
        assert (await client.get(path)).text == "mine"

    two = service()
    two.compile()
    plain("/docs")(two)
    with pytest.raises(Exception, match="Route already registered"):
        plain("/docs")(two)


def test_a_port_of_their_own_leaves_the_paths_free() -> None:
    """With `ADMIN_PORT`, docs and metrics are elsewhere: nothing gives way, health does."""
    app = service()
    app.configure(admin_port=9)
    for path in OWN:
        plain_named(app, path)
    app.compile()
    ours = {r.name.partition(".")[2] for r in app.router.routes if ".sanic_ms." in r.name}
    assert ours == set()
    assert set(app._admin.addresses("http://service")) == {"docs", "metrics"}
    assert app._admin.unobserved_paths() == set(), "they are the application's traffic"


def plain_named(app: Any, path: str) -> None:
    """A route of the application under a name of its own."""

    async def mine(request: Any) -> Any:
        return text("mine")

    app.add_route(mine, path, name=path.strip("/").replace("/", "_"))


async def test_names_of_handlers_are_free() -> None:
    """An application's handler may be named as one of ours: it starts, and `url_for` finds it."""

    def build(app: Any) -> None:
        async def metrics(request: Any) -> Any:
            return text(app.url_for("metrics"))

        async def health_live(request: Any) -> Any:
            return text(app.url_for("health_live"))

        app.add_route(metrics, "/numbers")
        app.add_route(health_live, "/alive")

    for path in ("/numbers", "/alive"):
        bare, *ours = await answers(build, path)
        assert bare == (200, path)
        assert ours == [bare, bare]


def test_two_of_ours_on_one_path_are_refused() -> None:
    """As before, with the names of both settings."""
    app = service()
    app.configure(metrics_path="/docs")
    with pytest.raises(ConfigError, match="METRICS_PATH and DOCS_PATH are both '/docs'"):
        app.compile()


# --- names ----------------------------------------------------------------------------------------


def visits(name: str = "visit") -> Blueprint:
    """A blueprint with one handler, and one whose name has a dot."""
    blueprint = Blueprint(name, url_prefix=f"/{name}")

    @blueprint.get("/<id:int>")
    async def get_visit(request: Any, id: int) -> Any:
        return text(f"{request.path} {id}")

    @blueprint.get("/dotted", name="dotted.name")
    async def dotted(request: Any) -> Any:
        return text(request.path)

    return blueprint


def plainly(app: Any) -> None:
    """One blueprint."""
    app.blueprint(visits())


def copied(app: Any) -> None:
    """A blueprint and its copy."""
    first = visits("get")
    app.blueprint(first)
    app.blueprint(first.copy("visit", url_prefix="/copy"))


def copied_after(app: Any) -> None:
    """A copy of one that is registered, which registers itself."""
    first = visits("other")
    app.blueprint(first)
    first.copy("visit", url_prefix="/copy")


def prefixed(app: Any) -> None:
    """The same blueprint twice, by a prefix of its names."""
    first = visits("visit")
    app.blueprint(first, name_prefix="v1", url_prefix="/one")
    app.blueprint(first, name_prefix="v2", url_prefix="/two")


def grouped(app: Any) -> None:
    """Groups in groups, with prefixes of paths and names, and a version."""
    inner = Blueprint.group(visits(), url_prefix="/inner", name_prefix="in")
    app.blueprint(Blueprint.group(inner, url_prefix="/outer", version=3))


NAMES: list[tuple[Build, str, str, str]] = [
    (plainly, "get_visit", "/visit/5", "visit.get_visit"),
    (plainly, "visit.get_visit", "/visit/5", "visit.get_visit"),
    (copied, "visit.get_visit", "/copy/5", "visit.get_visit"),
    (copied, "get.get_visit", "/get/5", "get.get_visit"),
    (copied_after, "visit.get_visit", "/copy/5", "visit.get_visit"),
    (prefixed, "v1_visit.get_visit", "/one/5", "v1_visit.get_visit"),
    (prefixed, "v2_visit.get_visit", "/two/5", "v2_visit.get_visit"),
    (grouped, "get_visit", "/v3/outer/inner/visit/5", "in_visit.get_visit"),
]


@pytest.mark.parametrize("app_name", ["visit", "get", "other", "v1_visit", "in_visit"])
@pytest.mark.parametrize(("build", "name", "path", "full"), NAMES)
async def test_handlers_are_found_whatever_the_names_are(
    build: Build, name: str, path: str, full: str, app_name: str
) -> None:
    """The application has the name of a blueprint, and blueprints are copied, grouped, prefixed and
    registered twice. The path of the answer shows which one was called."""
    app = service(app_name)
    build(app)
    async with TestClient(app) as client:
        answer = await client.call(name, id=5)
        assert answer.text == f"{path} 5"
        dotted = full.replace("get_visit", "dotted.name")
        assert (await client.call(dotted)).text == path.replace("5", "dotted")
    operation = app.openapi()["paths"][path.replace("5", "{id}")]["get"]
    assert operation["tags"] == [full.partition(".")[0]]
    assert operation["operationId"] in ("get_visit", full)


async def test_a_blueprint_says_where_to_look() -> None:
    """By its name or itself, of a service of the same name; its copy is another one."""
    app = service("visit")
    blueprint = visits()
    app.blueprint(blueprint)
    other = blueprint.copy("other", url_prefix="/copy", with_registration=False)
    app.blueprint(other)
    for given, path in ((blueprint, "/visit/5"), ("visit", "/visit/5"), (other, "/copy/5")):
        async with TestClient(app, blueprint=given) as client:
            assert (await client.get_visit(id=5)).text == f"{path} 5"


async def test_names_of_routes_stay_sanics() -> None:
    """`url_for` and `request.endpoint` are as on Sanic."""
    names = []
    for make in (Sanic, Service):
        Sanic.test_mode = True
        app = make("visit", configure_logging=False)
        grouped(app)
        plainly_named = sorted(r.name for r in app.router.routes if "sanic_ms" not in r.name)
        names.append((plainly_named, app.url_for("visit.in_visit.get_visit", id=5)))
        Sanic.unregister_app(app)
    assert names[0] == names[1]


async def test_the_same_handler_on_two_routes() -> None:
    """Each route has its name, and is called by it."""
    app = service("pages")

    async def page(request: Any, number: int = 1) -> Any:
        return text(f"{request.path} {number}")

    app.add_route(page, "/pages", name="first")
    app.add_route(page, "/pages/<number:int>", name="numbered")
    async with TestClient(app) as client:
        assert (await client.first()).text == "/pages 1"
        assert (await client.numbered(number=3)).text == "/pages/3 3"
    listed = [entry.path for entry in list_routes(app) if "page" in entry.handler]
    assert "/pages" in listed
    assert "/pages/<number:int>" in listed


async def test_every_path_parameter_can_be_given() -> None:
    """Also those that are named like an argument of the call, beside that argument."""
    app = service("pages")

    @app.post("/<params>/<data>/<headers>/<method>/<json>/<handler>/<self>", name="all")
    async def handler(request: Any, **given: Any) -> Any:
        return json([*given.values(), request.json, request.args.get("q"), request.method])

    @app.get("/files/<path:path>", name="files")
    async def files(request: Any, path: str) -> Any:
        return text(path)

    @app.get("/named/<name:ext=pdf|txt>", name="named")
    async def named(request: Any, name: str, ext: str) -> Any:
        return text(f"{name} {ext}")

    async with TestClient(app) as client:
        answer = await client.all(
            path={"params": 1, "data": 2, "headers": 3, "method": 4},
            json=5,
            handler=6,
            self=7,
            data={"body": 8},
            params={"q": 9},
            method="POST",
        )
        assert answer.json == [*"1234567", {"body": 8}, "9", "POST"]
        assert (await client.files(path="a/b c")).text == "a/b c"
        assert (await client.files(path={"path": "a"})).text == "a"
        assert (await client.named(name="x", ext="pdf")).text == "x pdf"
        with pytest.raises(TypeError, match=r"needs .*data, .*; give one that .* in path=\{…\}"):
            await client.all(data=5)
