"""Compiling a route: a handler becomes an endpoint that does what the route needs, and no more.

At start each handler is read once: what it declares, what its signature asks for, what it returns.
What comes out is a coroutine function ``endpoint(request, **path) -> HTTPResponse`` that Sanic, an
ASGI server and our own protocol call alike. Where the handler needs no task there is a
plain function beside it, for our own protocol.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from sanic import HTTPResponse
from sanic.response import BaseHTTPResponse, ResponseStream

from sanic_ms.exception import ServerError
from sanic_ms.http.arguments import compile_arguments
from sanic_ms.http.body import compile_body
from sanic_ms.http.envelope import Envelope, around_data
from sanic_ms.http.injection import Injection
from sanic_ms.http.parameters import Reader, compile_object
from sanic_ms.http.received_form import with_files
from sanic_ms.http.request import Request
from sanic_ms.http.response import endpoint_response
from sanic_ms.http.response_checks import RouteChecks
from sanic_ms.http.returned import has_status, is_tuple, returned_error
from sanic_ms.inline import needs_task, result_of
from sanic_ms.native.compiled import compiled
from sanic_ms.shapes import ENCODER, Projector, ShapeMismatch, filler, projector, to_type
from sanic_ms.shapes.signature import REQUIRED, Parameter, Signature, where
from sanic_ms.values.page import PAGINATIONS
from sanic_ms.values.route import DIRECT, Direct, RouteSpec

__all__ = ["EMPTY_STATUSES", "Endpoint", "compile_endpoint"]

Endpoint = Callable[..., Awaitable[Any]]

EMPTY_STATUSES = frozenset((204, 205, 304))
"""Statuses whose answers have no body (RFC 9110)."""

_compiled = compiled("sanic_ms.http._endpoint")
_RESPONSES = (BaseHTTPResponse, ResponseStream)
_PAGINATIONS = tuple(PAGINATIONS.values())


def compile_endpoint(
    call: Callable[..., Any],
    signature: Signature,
    spec: RouteSpec,
    *,
    envelope: Envelope,
    checks: RouteChecks,
    injection: Injection | None = None,
) -> Endpoint:
    """The endpoint of one handler.

    Args:
        call: What is called with the request and the parameters.
        signature: What the handler takes; see `read_signature`.
        spec: What the handler declares.
        envelope: The form of its answers.
        checks: What is done about an answer that lacks a field of its shape.
        injection: Its dependencies; None: it has none.

    Raises:
        TypeError: a declared shape is none, or a parameter's type cannot be read from text.
    """
    if spec.body is not None and any(map(_is_of_form, signature.parameters)):
        raise TypeError("@doc.consumes declares the body, and a parameter is of the form")
    if signature.takes_files:
        # The form is read when all else is found good; nothing waits for a large body before.
        form = [entry for entry in signature.parameters if _is_of_form(entry)]
        rest = [entry for entry in signature.parameters if not _is_of_form(entry)]
        read_form = compile_arguments(replace(signature, parameters=tuple(form)))
        assert read_form is not None
        call = with_files(call, signature, read_form)
        signature = replace(signature, parameters=tuple(rest))
    shape = spec.produces if spec.produces is not None else signature.returns
    project = projector(shape, strict=True)

    def unfit(exc: Exception) -> Exception:
        reason = TypeError(f"{where(call)} returned what cannot become an answer: {exc}")
        reason.__cause__ = exc
        return reason

    as_it_is = _compile_answer(spec, signature, envelope, projector(shape), unfit)

    def mismatched(request: Request, value: Any, mismatch: ShapeMismatch) -> Any:
        checks.report(where(call), mismatch)
        return as_it_is(request, value)

    answer = _compile_answer(spec, signature, envelope, project, unfit, mismatched)
    status, content_type = spec.produces_status, envelope.content_type
    around = around_data(envelope)
    if _compiled is not None and around is not None and status not in EMPTY_STATUSES:
        answer = _compiled.make_answer(answer, unfit, project, ENCODER.encode, *around)
    items = _compile_items(spec, path_is_encoded=signature.path_is_encoded)
    read_all = compile_arguments(signature, items)
    is_async = inspect.iscoroutinefunction(call)
    if injection is not None:
        declared = frozenset(key for key, _ in items)
        serve = injection.bind(call, read_all, answer, declared)
        return _injected_endpoint(serve, status, content_type)

    async def work(request: Request, path: dict[str, Any]) -> Any:
        if read_all is not None:
            path = read_all(request, path)
        value = call(request, **path)
        return await value if is_async or inspect.isawaitable(value) else value

    def begin(request: Request, path: dict[str, Any]) -> Any:
        return call(request, **(path if read_all is None else read_all(request, path)))

    def at_once(request: Request, path: dict[str, Any]) -> Any:
        value = begin(request, path)
        if is_async:
            value = result_of(value)
        elif inspect.isawaitable(value):
            return answer_later(request, value)
        return answer(request, value)

    async def answer_later(request: Request, value: Awaitable[Any]) -> Any:
        return answer(request, await value)

    async def endpoint(request: Request, **path: Any) -> Any:
        made = answer(request, await work(request, path))
        return endpoint_response(made, status, content_type) if type(made) is bytes else made

    without_task: Callable[..., Any] | None = None
    if not needs_task(call):
        without_task = at_once
        if _compiled is not None:
            without_task = _compiled.make_at_once(call, is_async, read_all, answer_later, answer)
    waiting = begin if is_async else work  # one coroutine less where it can be
    direct = Direct(endpoint, waiting, answer, without_task, status, content_type)
    setattr(endpoint, DIRECT, direct)
    return endpoint


def _injected_endpoint(
    serve: Callable[..., Awaitable[Any]], status: int, content_type: str | None
) -> Endpoint:
    """The endpoint of a handler with dependencies; they are still there while it answers."""

    async def endpoint(request: Request, **path: Any) -> Any:
        made = await serve(request, path)
        return endpoint_response(made, status, content_type) if type(made) is bytes else made

    direct = Direct(endpoint, serve, lambda request, made: made, None, status, content_type)
    setattr(endpoint, DIRECT, direct)
    return endpoint


def _is_of_form(parameter: Parameter) -> bool:
    return parameter.source in ("form", "file")


def _compile_items(spec: RouteSpec, *, path_is_encoded: bool) -> list[tuple[str, Reader]]:
    """What the decorators declare: read onto the request as ``request["data"]`` and its like."""
    items: list[tuple[str, Reader]] = []
    parts = (("query", spec.query, "query"), ("path", spec.path, "path"))
    for key, shape, source in (*parts, ("headers", spec.headers, "header")):
        if shape is not None:
            annotation, fill = to_type(shape, "input"), filler(shape)
            is_encoded = source == "path" and path_is_encoded
            items.append((key, compile_object(annotation, source, fill, is_encoded=is_encoded)))
    if spec.body is not None:
        default = REQUIRED if spec.body_required else None
        items.append(("data", compile_body(spec.body, spec.content_type, default=default)))
    return items


def _compile_answer(
    spec: RouteSpec,
    signature: Signature,
    envelope: Envelope,
    project: Projector | None,
    unfit: Callable[[Exception], Exception],
    mismatched: Callable[[Any, Any, ShapeMismatch], Any] | None = None,
) -> Callable[[Any, Any], Any]:
    is_empty = spec.produces_status in EMPTY_STATUSES
    # What a handler is annotated to return is believed: where that is a page, or nothing at all,
    # the pagination may be a dict, as in the first generation.
    is_other = signature.returns is not None and not signature.paginated
    pages = _PAGINATIONS if is_other else (*_PAGINATIONS, Mapping)
    may_have_status = not is_tuple(signature.returns) and not is_tuple(spec.produces)
    success, success_page = envelope.success, envelope.success_page

    def answer_with_status(data: Any, status: int, headers: Mapping[str, str]) -> HTTPResponse:
        if status >= 400:
            raise returned_error(status, data, headers)
        if status in EMPTY_STATUSES:
            return HTTPResponse(status=status, headers=dict(headers))
        body = success(data if project is None else project(data))
        return HTTPResponse(body, status, headers=dict(headers), content_type=envelope.content_type)

    def answer(request: Request, value: Any) -> Any:
        """The body, or what the handler itself answers with."""
        if type(value) is not dict:  # the most usual answer
            if isinstance(value, _RESPONSES):
                return value
            if value is None and request.responded:
                return None  # the handler has streamed its answer itself
        try:
            if type(value) is tuple and len(value) in (2, 3):
                if may_have_status and has_status(value):
                    return answer_with_status(value[0], value[1], *(value[2:] or ({},)))
                if len(value) == 2 and isinstance(value[1], pages) and not is_empty:
                    rows, pagination = value
                    return success_page(rows if project is None else project(rows), pagination)
            if is_empty:
                return b""
            return success(value if project is None else project(value))
        except ShapeMismatch as exc:
            if mismatched is None:
                raise
            return mismatched(request, value, exc)
        except (TypeError, ValueError, msgspec.MsgspecError) as exc:
            raise ServerError(message="Internal Server Error") from unfit(exc)

    return answer
