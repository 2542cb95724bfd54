"""The texts of an error, given one by one to `Envelope.translate`."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import pytest

from sanic_ms.exception import FieldError, NotFound, URITooLong, ValidationError
from sanic_ms.http.translation import ErrorText, translated


class Gone(NotFound):
    """An error whose sentence is data."""


def test_each_text_is_translated_in_a_copy() -> None:
    """The message, the sentence and each entry, with what a translator needs to know of it; the
    error itself stays as it is."""
    error = ValidationError(
        [
            FieldError("a", "is too long", "too_long", {"limit": 3}),
            FieldError("b", "is missing", "missing", None),
        ]
    )
    before = error.message, error.error, error.errors
    seen: list[ErrorText] = []

    def shout(text: ErrorText, request: Any) -> str:
        assert request is None
        seen.append(text)
        return text.message.upper()

    made = translated(error, shout, None)
    assert [(text.part, text.type, text.field, text.params) for text in seen] == [
        ("message", "validation_error", None, {"count": 2}),
        ("error", "validation_error_detail", None, {"count": 2}),
        ("field", "too_long", "a", {"limit": 3}),
        ("field", "missing", "b", {}),
    ]
    assert {(text.code, text.status) for text in seen} == {(error.code, 422)}
    assert all(text.exception is error for text in seen)
    assert isinstance(made, ValidationError)
    assert made.message == error.message.upper()
    assert made.error == str(error.error).upper()
    assert [entry.message for entry in made.errors] == ["IS TOO LONG", "IS MISSING"]
    assert [entry.type for entry in made.errors] == ["too_long", "missing"]
    assert (error.message, error.error, error.errors) == before


@pytest.mark.parametrize("sentence", [None, {"why": 1}, 7])
def test_a_sentence_that_is_no_text_is_left(sentence: Any) -> None:
    """It is data of the application's own."""
    parts: list[str] = []

    def note(text: ErrorText, request: Any) -> str:
        parts.append(text.part)
        assert text.params == {}
        return "x"

    made = translated(NotFound(sentence), note, None)
    assert (made.message, made.error, parts) == ("x", NotFound(sentence).error, ["message"])


def test_the_type_is_the_name_in_small_letters() -> None:
    """Capitals that follow each other are one word."""
    types: list[str] = []

    def note(text: ErrorText, request: Any) -> str:
        types.append(text.type)
        return text.message

    translated(URITooLong("x"), note, None)
    translated(Gone("x"), note, None)
    assert types == ["uri_too_long", "uri_too_long_detail", "gone", "gone_detail"]


async def test_a_translation_that_is_a_coroutine_is_closed() -> None:
    """It is not waited for, and leaves no warning that nobody did."""

    async def later() -> str:
        return "x"

    made: list[Any] = []

    def translate(text: ErrorText, request: Any) -> Any:
        made.append(later())
        return made[-1]

    error = NotFound("no shoes")
    assert translated(error, translate, None) is error
    assert [inspect.getcoroutinestate(one) for one in made] == [inspect.CORO_CLOSED]


def _raises(text: ErrorText, request: Any) -> str:
    raise KeyError(text.type)


@pytest.mark.parametrize(
    ("translate", "why"),
    [
        (_raises, "KeyError: 'not_found'"),
        (lambda text, request: None, "returned None, which is no text"),
        (lambda text, request: b"x", "returned b'x', which is no text"),
    ],
    ids=["raises", "none", "bytes"],
)
def test_a_translation_that_fails_leaves_the_error(
    translate: Any, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its texts are sent as they are, and the log says so once."""
    error = NotFound("no shoes")
    with caplog.at_level(logging.ERROR, "sanic_ms.http"):
        assert translated(error, translate, None) is error
    (record,) = caplog.records
    assert record.getMessage().startswith("Envelope.translate failed for ")
    assert why in str(caplog.text)
