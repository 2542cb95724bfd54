"""The form of a request, for the parameters of its handler.

The fields of a form are read from the body, which has come as a whole. Where a handler takes files,
the form is read while it comes: its body is never held in memory.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from inspect import isawaitable
from types import NoneType, UnionType
from typing import Any, Union

from sanic import Request

from sanic_ms.exception import (
    FieldError,
    PayloadTooLarge,
    UnsupportedMediaType,
)
from sanic_ms.http.error_types import MISSING, REPEATED
from sanic_ms.http.forms import URLENCODED, field_too_large, parse_form, text_of
from sanic_ms.http.media import content_type
from sanic_ms.http.multipart import MULTIPART, MultipartParser, MultipartPart, boundary_of
from sanic_ms.http.uploads import UploadFile
from sanic_ms.shapes import describe
from sanic_ms.shapes.markers import File
from sanic_ms.shapes.signature import REQUIRED, Parameter, Signature

__all__ = ["ReceivedForm", "compile_file", "form_of", "with_files"]


class ReceivedForm:
    """The form of one request.

    Attributes:
        fields: The texts of each field, in order.
        files: The files of each name that the handler takes, in order.
        counts: How many files of each of these names came.
    """

    __slots__ = ("counts", "fields", "files")

    def __init__(self, fields: Mapping[str, list[str]] | None = None) -> None:
        self.fields: dict[str, list[str]] = {} if fields is None else dict(fields)
        self.files: dict[str, list[UploadFile]] = {}
        self.counts: dict[str, int] = {}

    def close(self) -> None:
        """Close all files."""
        for files in self.files.values():
            for file in files:
                file.close()


def form_of(request: Request) -> ReceivedForm:
    """The form of a request, read once.

    Raises:
        UnsupportedMediaType: the body is none, and not empty.
        BadRequest: it is malformed.
        PayloadTooLarge: it is over one of the limits of forms.
    """
    try:
        return request.received_form  # type: ignore[attr-defined, no-any-return]
    except AttributeError:
        pass
    form = ReceivedForm()
    if request.body:
        kind = _require_form(request, (URLENCODED, MULTIPART))
        form = ReceivedForm(
            parse_form(request.body, kind, keep_blank_values=True, **_limits(request))[0]
        )
    try:
        request.received_form = form  # type: ignore[attr-defined]
    except AttributeError:  # Sanic's own request has no place for it
        pass
    return form


def _limits(request: Request) -> dict[str, int]:
    """The limits of a form, as `parse_form` takes them."""
    config = request.app.config
    return {
        "most_parts": config.get("REQUEST_MAX_FORM_PARTS", 1000),
        "largest_field": config.get("REQUEST_MAX_FORM_FIELD_SIZE", 1_000_000),
        "largest_head": config.REQUEST_MAX_HEADER_SIZE,
    }


def _require_form(request: Request, kinds: tuple[str, ...]) -> str:
    sent = content_type(request)
    if sent is None or sent.partition(";")[0].strip().lower() not in kinds:
        how = f", not as {sent[:100]}" if sent is not None else ""
        raise UnsupportedMediaType(f"send the body as {' or '.join(kinds)}{how}")
    return sent


def compile_file(
    parameter: Parameter,
) -> Callable[[Request, Mapping[str, Any], list[FieldError]], Any]:
    """A function that gives a file of the form, or a list of them.

    Raises:
        TypeError: the parameter is something else.
    """
    name, default = parameter.wire_name, parameter.default
    is_list = _takes_list(parameter)

    def read(request: Request, path: Mapping[str, Any], errors: list[FieldError]) -> Any:
        form = form_of(request)
        files = form.files.get(name)
        if not files:
            if default is REQUIRED:
                errors.append(FieldError(name, "is required", MISSING))
                return None
            return default
        if is_list:
            return files
        if form.counts[name] > 1:
            text = f"is given {form.counts[name]} times and takes one value"
            errors.append(FieldError(name, text, REPEATED))
        return files[0]

    return read


def _takes_list(parameter: Parameter) -> bool:
    annotation = parameter.annotation
    if typing.get_origin(annotation) in (Union, UnionType):
        members = [entry for entry in typing.get_args(annotation) if entry is not NoneType]
        annotation = members[0] if len(members) == 1 else annotation
    is_list = typing.get_origin(annotation) is list
    inner = typing.get_args(annotation)[0] if is_list else annotation
    if not isinstance(inner, type) or not issubclass(inner, UploadFile):
        raise TypeError(
            f"the parameter {parameter.name!r}: no file becomes {describe(annotation)}: files are "
            "UploadFile, UploadFile | None or list[UploadFile], with File() around the whole"
        )
    return is_list


class _FormReceiver:
    """Receives the forms of a route whose handler takes files.

    Args:
        signature: What the handler takes.

    Raises:
        TypeError: a file's parameter is of no type that files become.
    """

    def __init__(self, signature: Signature) -> None:
        files = [entry for entry in signature.parameters if entry.source == "file"]
        self._rules = {entry.wire_name: _rules(entry) for entry in files}
        # What the files may have beyond the size of any other body.
        self._more = sum(rule.max_count * (rule.max_size or 0) for rule in self._rules.values())

    async def receive(self, request: Request, form: ReceivedForm) -> None:
        """Read the form of a request into ``form``, whose files the caller closes.

        Raises:
            UnsupportedMediaType: the body is another than a multipart form, or a file is of a type
                that is not taken.
            PayloadTooLarge: something is over its limit.
            BadRequest: the form is malformed.
        """
        if request.headers.get("content-length", "0") != "0":
            _require_form(request, (MULTIPART,))  # before the body is asked for (100)
        async with aclosing(self._body(request)) as body:
            first = await anext(body, b"")
            if not first:
                return
            parser_limits = _limits(request)
            largest_field = parser_limits.pop("largest_field")
            boundary = boundary_of(_require_form(request, (MULTIPART,)))
            parser = MultipartParser(boundary, **parser_limits)
            writer = _FormWriter(form, self._rules, request.app.config, largest_field)
            await writer.write(parser.feed(first))
            async for data in body:
                await writer.write(parser.feed(data))
            parser.close()

    async def _body(self, request: Request) -> AsyncGenerator[bytes]:
        """The body in pieces, up to the limit."""
        limit = request.app.config.REQUEST_MAX_SIZE + self._more
        too_large = f"the body is over {limit} bytes"
        length = request.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > limit:
            raise PayloadTooLarge(too_large)
        if request.body or request.stream is None:  # something has read it already
            yield request.body
            return
        size = 0
        async for data in request.stream:  # type: ignore[attr-defined]
            size += len(data)
            if size > limit:
                raise PayloadTooLarge(too_large)
            if data:
                yield data


def _rules(parameter: Parameter) -> File:
    return parameter.rules if _takes_list(parameter) else replace(parameter.rules, max_count=1)


class _FormWriter:
    """Writes the parts of one form to where they belong.

    Args:
        form: What they go to.
        rules: Of each file that is taken.
        config: The limits: ``UPLOAD_MEMORY_SIZE``, and ``REQUEST_MAX_SIZE`` for all texts together.
        largest_field: Bytes of one of them.
    """

    def __init__(
        self, form: ReceivedForm, rules: dict[str, File], config: Any, largest_field: int
    ) -> None:
        self._form = form
        self._rules = rules
        self._memory = config.get("UPLOAD_MEMORY_SIZE", 1_000_000)
        self._texts = config.REQUEST_MAX_SIZE
        self._largest_field = largest_field
        self._part: MultipartPart | None = None
        self._text = bytearray()
        self._file: UploadFile | None = None

    async def write(self, events: list[MultipartPart | bytes | None]) -> None:
        """Take what the parser has read."""
        for event in events:
            if isinstance(event, MultipartPart):
                self._begin(event)
            elif event is None:
                self._end()
            elif self._file is not None:
                await self._write_file(self._file, event)
            elif self._part is not None:
                self._write_text(self._part, event)

    def _begin(self, part: MultipartPart) -> None:
        self._part, self._file = None, None
        if part.filename is None:
            self._part, self._text = part, bytearray()
            return
        rule = self._rules.get(part.name)
        if rule is None or not part.filename:  # without a name: an input that was left empty
            return
        counts = self._form.counts
        counts[part.name] = count = counts.get(part.name, 0) + 1
        if count > rule.max_count:
            if rule.max_count > 1:
                raise PayloadTooLarge(f"there are more than {rule.max_count} files {part.name!r}")
            return  # one of them is refused where the parameter is read
        kind = part.content_type if "content-type" in part.headers else "application/octet-stream"
        if not _is_taken(kind, rule):
            kinds = " or ".join(rule.content_types)
            raise UnsupportedMediaType(
                f"send the file {part.name!r} as {kinds}, not as {kind[:100]}"
            )
        self._part = part
        self._file = UploadFile(filename=part.filename, content_type=kind, headers=part.headers)
        self._form.files.setdefault(part.name, []).append(self._file)

    async def _write_file(self, file: UploadFile, data: bytes) -> None:
        assert self._part is not None
        name = self._part.name
        largest = self._rules[name].max_size
        if largest is not None and file.size + len(data) > largest:
            raise PayloadTooLarge(f"the file {name!r} is over {largest} bytes")
        if file.is_in_memory and len(data) <= self._memory:
            self._memory -= len(data)
            file.append(data)
            return
        if file.is_in_memory:
            self._memory += file.size
        await file.append_on_disk(data)

    def _write_text(self, part: MultipartPart, data: bytes) -> None:
        self._text += data
        if len(self._text) > self._largest_field:
            raise field_too_large(part.name, self._largest_field)
        self._texts -= len(data)
        if self._texts < 0:
            raise PayloadTooLarge("the fields of the form are over REQUEST_MAX_SIZE bytes together")

    def _end(self) -> None:
        if self._part is not None and self._file is None:
            text = text_of(self._part, bytes(self._text))
            self._form.fields.setdefault(self._part.name, []).append(text)
        self._part, self._file = None, None


def _is_taken(kind: str, rule: File) -> bool:
    group = f"{kind.partition('/')[0]}/*"
    return not rule.content_types or kind in rule.content_types or group in rule.content_types


def with_files(
    call: Callable[..., Any],
    signature: Signature,
    read_form: Callable[[Any, dict[str, Any]], dict[str, Any]],
) -> Callable[..., Awaitable[Any]]:
    """A handler that is called once its form is there, and whose files are closed when it ends.

    Args:
        call: The handler.
        signature: What it takes.
        read_form: Adds the form's parameters to the others.

    Raises:
        TypeError: a file's parameter is of no type that files become.
    """
    receiver = _FormReceiver(signature)

    @functools.wraps(call)
    async def call_with_files(request: Any, **arguments: Any) -> Any:
        form = ReceivedForm()
        try:
            await receiver.receive(request, form)
            request.received_form = form
            value = call(request, **read_form(request, arguments))
            return await value if isawaitable(value) else value
        finally:
            form.close()

    return call_with_files
