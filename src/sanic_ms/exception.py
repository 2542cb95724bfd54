"""Every error of the framework, in one tree.

::

    SanicMSError
    ├── ConfigError                      a setting is wrong or missing
    ├── MissingDependency                an extra is not installed (also an ImportError)
    ├── LifecycleError                   a component did not start, or an illegal move
    ├── MigrationError                   a migration cannot be made, applied or taken back
    │   └── MigrationFailed              a migration was started and raised
    └── HTTPError                        an error with an HTTP answer
        ├── ClientError                  4xx
        │   ├── BadRequest 400 … UnavailableForLegalReasons 451
        │   ├── Conflict 409             ── StaleVersion
        │   └── ValidationError 422      with one entry for each wrong field
        └── ServerError 500
            ├── NotImplementedByServer 501 … NetworkAuthenticationRequired 511
            ├── DatabaseError 500        a statement failed; the driver's text goes to the log only
            │   ├── IntegrityError 409   ├── UniqueViolation ├── ForeignKeyViolation
            │   │                        ├── NotNullViolation 500 └── CheckViolation 500
            │   ├── DataError 500        a value that the column's type cannot hold
            │   ├── StatementError 500   bad SQL, unknown table or column, wrong number of arguments
            │   ├── TransactionConflict 503  serialization failure or deadlock: try again
            │   ├── ReadOnlyViolation 500
            │   ├── StorageFull 507
            │   ├── QueryTimeout 504
            │   └── DatabaseUnavailable 503
            │       └── PoolExhausted 503
            └── ServiceCallError 502     another service could not be reached or understood
                └── ServiceTimeout 504

An answer made from an `HTTPError` has its ``status``, its ``code`` (10000 + status unless given),
its ``message`` (the status' reason phrase unless given) and its ``error``. Everything else about
the exception, its ``str()`` included, is for the log.

In a process that serves requests each `HTTPError` but a `DatabaseError` is one of Sanic's
exceptions too: `sanic_ms.http.sanic_errors` joins the two trees, as nothing here may import Sanic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple

__all__ = [
    "BadGateway",
    "BadRequest",
    "CheckViolation",
    "ClientError",
    "ConfigError",
    "Conflict",
    "CustomException",
    "DataError",
    "DatabaseError",
    "DatabaseUnavailable",
    "DeadlineExceeded",
    "ExpectationFailed",
    "FailedDependency",
    "FieldError",
    "Forbidden",
    "ForeignKeyViolation",
    "GatewayTimeout",
    "Gone",
    "HTTPError",
    "HTTPVersionNotSupported",
    "InsufficientStorage",
    "IntegrityError",
    "LengthRequired",
    "LifecycleError",
    "Locked",
    "MethodNotAllowed",
    "MigrationError",
    "MigrationFailed",
    "MisdirectedRequest",
    "MissingDependency",
    "NetworkAuthenticationRequired",
    "NotAcceptable",
    "NotFound",
    "NotImplementedByServer",
    "NotNullViolation",
    "PayloadTooLarge",
    "PaymentRequired",
    "PoolExhausted",
    "PreconditionFailed",
    "PreconditionRequired",
    "ProxyAuthenticationRequired",
    "QueryTimeout",
    "RangeNotSatisfiable",
    "ReadOnlyViolation",
    "RedisUnavailable",
    "RequestHeaderFieldsTooLarge",
    "RequestTimeout",
    "SanicMSError",
    "ServerError",
    "ServiceCallError",
    "ServiceTimeout",
    "ServiceUnavailable",
    "StaleVersion",
    "StatementError",
    "StorageFull",
    "TooEarly",
    "TooManyRequests",
    "TransactionConflict",
    "URITooLong",
    "Unauthorized",
    "UnavailableForLegalReasons",
    "UniqueViolation",
    "UnprocessableEntity",
    "UnsupportedMediaType",
    "UpgradeRequired",
    "ValidationError",
    "error_for_status",
    "reason",
]


class SanicMSError(Exception):
    """The root: catch this to catch everything that the framework itself raises."""


class ConfigError(SanicMSError):
    """A setting has a wrong value, or one that is needed is missing. The text is one line."""


class MissingDependency(SanicMSError, ImportError):
    """An optional library is needed and not installed. The text names the pip command."""


class LifecycleError(SanicMSError):
    """A component failed to start, or was asked for something that its state does not allow."""


class MigrationError(SanicMSError):
    """A migration cannot be made, applied or taken back as asked; nothing was changed."""


class MigrationFailed(MigrationError):
    """A migration was started and raised. The text names file and line, and says what stayed."""


class FieldError(NamedTuple):
    """One wrong field of a request: its dotted path (``items[2].price``) and what is wrong.

    ``message`` is for people; ``type`` is a word that stays the same: ``missing``, ``too_long``.
    ``params`` are the values that the message mentions, for `Envelope.translate`:
    ``{"limit": 3}``; they are not part of the response.
    """

    field: str
    message: str
    type: str = "invalid"
    params: Mapping[str, Any] | None = None


class _StatusCode:
    """``status_code``, Sanic's name for ``status``, of a class and of an instance."""

    def __get__(self, error: HTTPError | None, cls: type[HTTPError]) -> int:
        return cls.status if error is None else error.status

    def __set__(self, error: HTTPError, status: int) -> None:
        error.status = status


class _Quiet:
    """``quiet``: an error of the caller has no stack in the log, as with Sanic's own."""

    def __get__(self, error: HTTPError | None, cls: type[HTTPError]) -> bool:
        return (cls.status if error is None else error.status) < 500


class HTTPError(SanicMSError):
    """An error that has an HTTP answer. Raise a subclass, or make a subclass.

    A subclass may set ``status`` (Sanic's name ``status_code`` will do), ``code``, ``message``,
    ``error`` and ``headers`` as class attributes. Its own subclasses inherit them, and arguments
    win over them::

        class OutOfStock(Conflict):
            code = 20001
            message = "Out Of Stock"

    Args:
        error: What went wrong, for the caller to read. Text, or any JSON value. Default: that of
            the class, None.
        code: The application's number for it; default that of the class, else 10000 + ``status``.
        message: The short name of the error; default that of the class, else the reason phrase of
            the status.
        status: The HTTP status, to override that of the class.
        status_code: The same, by Sanic's name.
        headers: Headers to add to the answer (``Retry-After``, ``WWW-Authenticate`` …). Those of
            the class are added too, unless one of the same name is given.

    Attributes:
        status_code: ``status``, under Sanic's name.
        quiet: Whether the status is below 500, or the error a `ServiceUnavailable`; Sanic's name
            for an error without a stack in the log.
        context: What else the caller is told, by Sanic's name: a JSON object that stands in the
            response as ``context``. Default: None.
        extra: None; Sanic's error pages look for it.

    Raises:
        ValueError: ``status`` is not between 400 and 599. At the definition of a subclass: that,
            or a ``code`` of 0, which means success.
        TypeError: at the definition of a subclass: a class attribute of another type.
    """

    status: int = 500
    code: int
    message: str
    error: object = None
    headers: dict[str, str]
    status_code: int = _StatusCode()  # type: ignore[assignment]
    quiet: bool | None = _Quiet()  # type: ignore[assignment]
    context: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        _check_class(cls)

    def __init__(
        self,
        error: object = None,
        code: int | None = None,
        message: str | None = None,
        *,
        status: int | None = None,
        status_code: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if status is None:
            status = status_code
        if status is not None:
            if not 400 <= status <= 599:
                raise ValueError(f"status={status!r}: an error's status is between 400 and 599")
            self.status = int(status)
        cls = type(self)
        if error is None:
            error = cls.error
        if code is None:
            code = getattr(cls, "code", None)
        if message is None:  # `SanicException.message` is the empty text
            message = getattr(cls, "message", None) or reason(self.status)
        self.error = error
        self.code = 10000 + self.status if code is None else code
        self.message = message
        self.headers = _merged(getattr(cls, "headers", None), headers)
        # Not `super()`: Sanic's class, where there is one, would set all this in its own way.
        Exception.__init__(self, self.message if error is None else error)

    def __reduce__(self) -> tuple[Any, ...]:
        # A subclass may take other arguments than those that `args` has.
        return _without_init, (type(self), self.args), self.__dict__

    def __str__(self) -> str:
        text = f"{self.status} {self.message}"
        return text if self.error is None else f"{text}: {self.error}"


def _without_init(cls: type[HTTPError], args: tuple[Any, ...]) -> HTTPError:
    """The copy of an error, before its attributes are set."""
    return cls.__new__(cls, *args)


def _merged(of_class: Mapping[str, str] | None, given: Mapping[str, str] | None) -> dict[str, str]:
    if not of_class or not given:
        return dict(given or of_class or {})
    names = {name.lower() for name in given}
    return {**{k: v for k, v in of_class.items() if k.lower() not in names}, **given}


def _check_class(cls: type[HTTPError]) -> None:
    """Check what a class declares of itself; what is inherited was checked there."""
    declared = vars(cls)
    where = f"{cls.__module__}.{cls.__qualname__}"
    for name in ("status", "status_code"):
        if name in declared:
            status = declared[name]
            if not _is_integer(status):
                raise TypeError(f"{where}.{name} = {status!r}: a status is an integer")
            if not 400 <= status <= 599:
                raise ValueError(
                    f"{where}.{name} = {status!r}: an error's status is between 400 and 599"
                )
    if "status_code" in declared:
        if declared.get("status", declared["status_code"]) != declared["status_code"]:
            raise TypeError(f"{where}: status and status_code are the same thing, and differ")
        cls.status = declared["status_code"]
        del cls.status_code  # from here on it follows `status`, as on every other class
    if "code" in declared:
        if not _is_integer(declared["code"]):
            raise TypeError(f"{where}.code = {declared['code']!r}: a code is an integer")
        if declared["code"] == 0:
            raise ValueError(f"{where}.code = 0: this code means success")
    if "message" in declared and not (isinstance(declared["message"], str) and declared["message"]):
        raise TypeError(f"{where}.message = {declared['message']!r}: a message is text")
    if callable(declared.get("error")) or hasattr(declared.get("error"), "__get__"):
        raise TypeError(f"{where}.error = {declared['error']!r}: this is text, or a JSON value")
    headers = declared.get("headers", {})
    if not isinstance(headers, Mapping) or not all(
        isinstance(text, str) for pair in headers.items() for text in pair
    ):
        raise TypeError(f"{where}.headers = {headers!r}: headers are a dict of text to text")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


CustomException = HTTPError
"""`HTTPError` by its name in the first generation."""


def reason(status: int) -> str:
    """The reason phrase of an HTTP status, `"Error"` for one that has none."""
    if status in _PHRASES:
        return _PHRASES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


# RFC 9110 renamed these; the standard library follows only from Python 3.13 on.
_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


# --- 4xx -----------------------------------------------------------------------------------------


class ClientError(HTTPError):
    """The request is at fault: 4xx."""

    status = 400


class BadRequest(ClientError):
    """400: the request cannot be understood (broken JSON, a malformed header …)."""

    status = 400


class Unauthorized(ClientError):
    """401: no credentials, or wrong ones. Give ``headers={"WWW-Authenticate": …}``."""

    status = 401


class PaymentRequired(ClientError):
    """402."""

    status = 402


class Forbidden(ClientError):
    """403: the caller is known and may not do this."""

    status = 403


class NotFound(ClientError):
    """404: there is no such resource."""

    status = 404


class MethodNotAllowed(ClientError):
    """405: the resource exists and does not know this method."""

    status = 405


class NotAcceptable(ClientError):
    """406: no representation fits the request's ``Accept``."""

    status = 406


class ProxyAuthenticationRequired(ClientError):
    """407."""

    status = 407


class RequestTimeout(ClientError):
    """408: the request did not arrive whole in time."""

    status = 408


class Conflict(ClientError):
    """409: the request contradicts the state of the resource."""

    status = 409


class StaleVersion(Conflict):
    """409: a row was changed since the version that an update is based on was read."""


class Gone(ClientError):
    """410: the resource existed and will not come back."""

    status = 410


class LengthRequired(ClientError):
    """411."""

    status = 411


class PreconditionFailed(ClientError):
    """412: an ``If-…`` header does not hold."""

    status = 412


class PayloadTooLarge(ClientError):
    """413: the body is over ``REQUEST_MAX_SIZE``."""

    status = 413


class URITooLong(ClientError):
    """414."""

    status = 414


class UnsupportedMediaType(ClientError):
    """415: the body's content type is not one that the route reads."""

    status = 415


class RangeNotSatisfiable(ClientError):
    """416."""

    status = 416


class ExpectationFailed(ClientError):
    """417."""

    status = 417


class MisdirectedRequest(ClientError):
    """421."""

    status = 421


class Locked(ClientError):
    """423: the resource is locked."""

    status = 423


class FailedDependency(ClientError):
    """424."""

    status = 424


class TooEarly(ClientError):
    """425."""

    status = 425


class UpgradeRequired(ClientError):
    """426."""

    status = 426


class PreconditionRequired(ClientError):
    """428: the route wants an ``If-Match`` so that no update is lost."""

    status = 428


class TooManyRequests(ClientError):
    """429: a rate limit. Give ``headers={"Retry-After": "<seconds>"}``."""

    status = 429


class RequestHeaderFieldsTooLarge(ClientError):
    """431."""

    status = 431


class UnavailableForLegalReasons(ClientError):
    """451."""

    status = 451


class ValidationError(ClientError):
    """422: the request is well-formed and its values do not fit.

    Args:
        errors: Every wrong field, as `FieldError`, ``(field, message)``, ``(field, message,
            type)`` or ``(field, message, type, params)``. A field is named by its path in the part
            of the request it stands in: ``address.city``, ``items[2]``; the whole body is ``body``.
        error: A sentence for the whole; default counts the fields.

    The other arguments are those of `HTTPError`.
    """

    status = 422

    def __init__(
        self,
        errors: Sequence[
            tuple[str, str] | tuple[str, str, str] | tuple[str, str, str, Mapping[str, Any] | None]
        ],
        error: object = None,
        code: int | None = None,
        message: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.errors = tuple(FieldError(*entry) for entry in errors)
        if error is None:
            count = len(self.errors)
            error = "1 field is not valid" if count == 1 else f"{count} fields are not valid"
        super().__init__(error, code, message, headers=headers)


class UnprocessableEntity(ClientError):
    """422, without a list of fields; what validation raises is a `ValidationError`."""

    status = 422


# --- 5xx -----------------------------------------------------------------------------------------


class ServerError(HTTPError):
    """500: the service is at fault."""

    status = 500


class NotImplementedByServer(ServerError):
    """501."""

    status = 501


class BadGateway(ServerError):
    """502: a service behind this one gave an unusable answer."""

    status = 502


class ServiceUnavailable(ServerError):
    """503: not now. Give ``headers={"Retry-After": "<seconds>"}``."""

    status = 503
    quiet = True  # as Sanic's


class RedisUnavailable(ServiceUnavailable):
    """503: Redis cannot be reached, or did not answer in time."""


class GatewayTimeout(ServerError):
    """504: a service behind this one did not answer in time."""

    status = 504


class DeadlineExceeded(GatewayTimeout):
    """504: the deadline of the request was over before its work was done."""


class HTTPVersionNotSupported(ServerError):
    """505."""

    status = 505


class InsufficientStorage(ServerError):
    """507: the disk is full."""

    status = 507


class NetworkAuthenticationRequired(ServerError):
    """511."""

    status = 511


class ServiceCallError(BadGateway):
    """502: a call to another service failed before an answer was understood.

    Args:
        error: What the caller may know. It names the service, never an address or a credential.
        service: The name of the service that was called.
    """

    def __init__(
        self, error: object = None, *, service: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(error, status=status)
        self.service = service


class ServiceTimeout(ServiceCallError):
    """504: another service did not answer in time."""

    status = 504


# --- databases -----------------------------------------------------------------------------------


class _DatabaseErrorType(type):
    """Leaves Sanic's classes out of the ancestors, where `ServerError` has got them.

    Applications written for Sanic show the text of a `SanicException`, and that of a database error
    has values of rows in it.
    """

    def mro(cls) -> list[type]:
        return [entry for entry in super().mro() if entry.__module__.partition(".")[0] != "sanic"]


class DatabaseError(ServerError, metaclass=_DatabaseErrorType):
    """500: a statement failed.

    Args:
        detail: The driver's text. It may hold values and names of the schema, so it is for the
            log (``str(exc)``) and never for the answer.
        sqlstate: The database's own code of the error, where it has one (``"23505"``).
        constraint: The name of the violated constraint, where the database says it.
        column: The name of the column that it is about, where the database says it.

    ``error`` is the sentence that the answer shows, `public` of the class.

    Attributes:
        statement: The SQL text that failed, without the strings and numbers in it; None: not known.
    """

    status = 500
    public: ClassVar[str | None] = None
    retry_after: ClassVar[int | None] = None

    def __init__(
        self,
        detail: str = "",
        *,
        sqlstate: str | None = None,
        constraint: str | None = None,
        column: str | None = None,
    ) -> None:
        headers = None if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        super().__init__(self.public, headers=headers)
        self.detail = detail
        self.sqlstate = sqlstate
        self.constraint = constraint
        self.column = column
        self.statement: str | None = None

    def __str__(self) -> str:
        return self.detail or super().__str__()


class IntegrityError(DatabaseError):
    """409: the row would break a constraint.

    What depends on other rows is a conflict. A missing value and a value that breaks a check are
    errors of the service, which has validated its input: `NotNullViolation`, `CheckViolation`.
    """

    status = 409
    public: ClassVar[str | None] = "the change conflicts with existing data"


class UniqueViolation(IntegrityError):
    """409: another row has the same unique value."""

    public = "a row with the same unique value already exists"


class ForeignKeyViolation(IntegrityError):
    """409: a referenced row is missing, or the row is still referenced."""

    public = "a referenced row does not exist or is still in use"


class NotNullViolation(IntegrityError):
    """500: a column that must have a value got none."""

    status = 500
    public = None


class CheckViolation(IntegrityError):
    """500: a check of the table does not hold."""

    status = 500
    public = None


class DataError(DatabaseError):
    """500: a value does not fit the column's type (too long, out of range, not a date …).

    Attributes:
        bits: An integer does not fit into so many; None: it is about something else.
        argument: The number of the argument that does not fit, from 1; None: not known.
        out_of_range: The integers among the statement's arguments that do not fit. One that is a
            path parameter of the request makes it a 404, one of the query a 422.
    """

    bits: int | None = None
    argument: int | None = None
    out_of_range: tuple[int, ...] = ()


class StatementError(DatabaseError):
    """500: the statement itself is wrong: syntax, an unknown name, the number of arguments."""


class TransactionConflict(DatabaseError):
    """503: a deadlock or a serialization failure. The same transaction may succeed if repeated."""

    status = 503
    public = "the transaction conflicted with another one; try again"
    retry_after = 1


class ReadOnlyViolation(DatabaseError):
    """500: a write was tried in a read-only transaction or on a read-only database."""


class StorageFull(DatabaseError):
    """507: the database's disk is full. The transaction was rolled back."""

    status = 507
    public = "the database cannot store more data"


class QueryTimeout(DatabaseError):
    """504: a statement ran longer than its timeout and was cancelled."""

    status = 504
    public = "the database did not answer in time"


class DatabaseUnavailable(DatabaseError):
    """503: the database cannot be reached, or the connection was lost in the middle."""

    status = 503
    public = "the database is not available"
    retry_after = 1


class PoolExhausted(DatabaseUnavailable):
    """503: no connection became free in time, or too many callers wait already."""

    public = "the database is busy"


def error_for_status(status: int) -> type[HTTPError]:
    """The class of the tree for an HTTP status: `NotFound` for 404, `ClientError` or `ServerError`
    for one that has no class of its own.

    Raises:
        ValueError: ``status`` is not between 400 and 599.
    """
    if not 400 <= status <= 599:
        raise ValueError(f"status={status!r}: an error's status is between 400 and 599")
    return _BY_STATUS.get(status, ClientError if status < 500 else ServerError)


_BY_STATUS: Mapping[int, type[HTTPError]] = {
    cls.status: cls
    for cls in (
        BadRequest, Unauthorized, PaymentRequired, Forbidden, NotFound, MethodNotAllowed,
        NotAcceptable, ProxyAuthenticationRequired, RequestTimeout, Conflict, Gone, LengthRequired,
        PreconditionFailed, PayloadTooLarge, URITooLong, UnsupportedMediaType, RangeNotSatisfiable,
        ExpectationFailed, MisdirectedRequest, ValidationError, Locked, FailedDependency, TooEarly,
        UpgradeRequired, PreconditionRequired, TooManyRequests, RequestHeaderFieldsTooLarge,
        UnavailableForLegalReasons, ServerError, NotImplementedByServer, BadGateway,
        ServiceUnavailable, GatewayTimeout, HTTPVersionNotSupported, InsufficientStorage,
        NetworkAuthenticationRequired,
    )
}  # fmt: skip
