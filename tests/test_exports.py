"""What the modules export: explicit, sorted, true; and the import paths that are promised."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "sanic_ms"
MODULES = sorted(SOURCE.rglob("*.py"))

PROMISED = {
    "sanic_ms": [
        *(
            "Service",
            "Request",
            "doc",
            "Settings",
            "Component",
            "Depends",
            "Health",
            "Page",
            "Pagination",
            "Offset",
            "OffsetPagination",
            "Cursor",
            "CursorPagination",
            "load_config",
            "Plugin",
            "command",
            "current_service",
        ),
    ],
    "sanic_ms.client": ["Client"],
    "sanic_ms.db": ["ConnectionPool"],
    "sanic_ms.exception": ["NotFound", "ServerError"],
    "sanic_ms.loggers": ["logger"],
    "sanic_ms.migrations": ["MigrationModel", "db", "db_manager", "info"],
    "sanic_ms.repository": ["Loader", "Repository", "fetch_page"],
    "sanic_ms.tests": ["APITestCase"],
    "sanic_ms.utils": ["async_execute", "async_request", "jsonify"],
}


def exported(tree: ast.Module) -> list[str] | None:
    """The literal value of ``__all__``."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return list(ast.literal_eval(value))
            case ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value):
                return list(ast.literal_eval(value))
    return None


def isort_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that the linter writes as well."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_all_is_sorted_and_true(path: Path) -> None:
    """``__all__`` is there, sorted, names only what exists, and forgets no public definition."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = exported(tree)
    assert names is not None, "the module has no __all__"
    assert names == sorted(names, key=isort_order)
    assert len(names) == len(set(names))
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
    }
    assert defined <= set(names)

    relative = path.relative_to(SOURCE).with_suffix("").as_posix().removesuffix("__init__")
    module = importlib.import_module(f"sanic_ms.{relative.replace('/', '.')}".rstrip("."))
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_promised_import_paths_exist(name: str) -> None:
    """Code that imports these keeps working from release to release."""
    module = importlib.import_module(name)
    assert [entry for entry in PROMISED[name] if not hasattr(module, entry)] == []
    assert set(PROMISED[name]) <= set(module.__all__)


def test_the_package_lists_its_lazy_names() -> None:
    """``dir(sanic_ms)`` shows what importing from it gives, and nothing else is given."""
    package = importlib.import_module("sanic_ms")
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing
