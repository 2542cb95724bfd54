"""`check_contract`: every documented route of a service against its own OpenAPI document.

schemathesis (extra ``testing``) makes the requests out of the document: valid ones, which must be
taken, and invalid ones, which must be refused. They go over a socket to the service as it runs in
production, so that its parser, its limits and its errors are part of what is checked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from sanic_ms._extras import require
from sanic_ms.client.base import Transport
from sanic_ms.service import Service
from sanic_ms.testing.factory import made
from sanic_ms.testing.live import LiveServer

__all__ = ["Breach", "ContractBroken", "ContractReport", "check_contract", "contract_operations"]

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_REFUSED_METHODS = {"get", "put", "post", "delete", "patch"}
"""Tried on paths that do not document them. (TRACE is not spoken at all: 501.)"""

_REQUEST_TIMEOUT = 10.0
_MOST_SHOWN = 20
_MOST_SHOWN_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Breach:
    """One way in which a route does not do what its document says.

    Attributes:
        operation: ``"POST /users"``.
        kind: The name of the check, as schemathesis has it: ``"response_schema_conformance"``.
        said: What the document says, and what came instead.
        request: The request, as a command line of curl; the port is that of this one run.
        answer: Status and body; empty where none came.
    """

    operation: str
    kind: str
    said: str
    request: str
    answer: str

    def __str__(self) -> str:
        parts = [f"{self.operation}: {self.said}"]
        if self.request:
            parts.append(f"request:\n{_indented(self.request)}")
        if self.answer:
            parts.append(f"answer:\n{_indented(self.answer)}")
        return _indented("\n".join(parts)).lstrip()


@dataclass(slots=True)
class ContractReport:
    """What was checked.

    Attributes:
        requests: How many requests each operation got: ``{"POST /users": 41}``.
        breaches: What was found, each kind once an operation and status.
        seed: With it and the same service the same requests are made again.
        is_complete: False where the time was over before everything was tried.
    """

    seed: int
    requests: dict[str, int] = field(default_factory=dict)
    breaches: list[Breach] = field(default_factory=list)
    is_complete: bool = True


class ContractBroken(AssertionError):
    """A service does not do what its document says.

    Attributes:
        report: What was checked and found.
    """

    def __init__(self, text: str, report: ContractReport) -> None:
        super().__init__(text)
        self.report = report


def check_contract(
    app: Service | Callable[[], Service],
    *,
    only: str | Collection[str] = (),
    exclude: str | Collection[str] = (),
    headers: Mapping[str, str] | None = None,
    services: Transport | None = None,
    examples: int = 20,
    seconds: float = 60.0,
    seed: int = 1,
) -> ContractReport:
    """Hold each documented route of a service to its OpenAPI document.

    Valid requests must be taken (2xx, 3xx, or what the state of the data or the caller's rights
    forbid: 401, 403, 404, 409, 429), invalid ones refused with a 4xx, other methods with a 405.
    Every status, media type, header and body that comes must be documented. The requests write:
    give the service a database of its own.

    Args:
        app: The service, or a function that makes one. It is started on a free port and stopped.
        only: Operations to check, each as its operationId or as ``"POST /users"``; default all.
        exclude: Operations to leave out, likewise.
        headers: Sent with every request: credentials, say.
        services: Answers the service's calls to other services, usually `MockServices`; default:
            the calls go out.
        examples: Random requests for each operation. To them come those at the limits of each
            field, of which there are as many as the document has limits.
        seconds: For all of it, to within the one request that is on its way then. What was found by
            then is judged, and operations that had no turn fail.
        seed: Of the random requests.

    Raises:
        ContractBroken: an `AssertionError` whose text shows each breach: the request as curl, the
            answer, and what the document says.
        ValueError: there is no such operation, nothing is left to check, or a number is not
            positive.
        MissingDependency: schemathesis is not installed.
        LifecycleError: the service does not start.
    """
    if examples < 1 or seconds <= 0:
        raise ValueError(f"examples={examples} and seconds={seconds} have to be positive")
    library = require("schemathesis", "testing", purpose="contract checks")
    report = ContractReport(seed)
    with ExitStack() as stack:
        service = stack.enter_context(made(app))
        document = service.openapi()
        chosen = _chosen(document, only, exclude)
        server = stack.enter_context(LiveServer(service, transport=services))
        config = _configuration(server.url, headers, examples, seed)
        schema = library.openapi.from_dict(document, config=config)
        schema = schema.include(lambda context: context.operation.label in chosen)
        report.requests = dict.fromkeys(chosen, 0)
        _run(library, schema, report, seconds)
    untried = [label for label, count in report.requests.items() if count == 0]
    if report.breaches or untried:
        raise ContractBroken(_text(service, report, untried, seconds), report)
    return report


def contract_operations(app: Service, *, exclude: str | Collection[str] = ()) -> list[str]:
    """The documented operations, for one test each::

        @pytest.mark.parametrize("operation", contract_operations(app))
        def test_contract(operation):
            check_contract(app, only=operation)

    Args:
        app: The service. It is not started.
        exclude: Operations to leave out, each as its operationId or as ``"POST /users"``.

    Raises:
        TypeError: it is no service.
        ValueError: there is no such operation, or nothing is left.
    """
    if not isinstance(app, Service):
        raise TypeError(f"contract_operations({app!r}): give the Service itself")
    return list(_chosen(app.openapi(), (), exclude))


def _chosen(
    document: Mapping[str, Any], only: str | Collection[str], exclude: str | Collection[str]
) -> list[str]:
    """The operations to check, as ``"POST /users"``."""
    labels: dict[str, str] = {}
    for path, item in document.get("paths", {}).items():
        for method in _METHODS:
            if method in item:
                label = f"{method.upper()} {path}"
                labels[label] = labels[item[method].get("operationId", label)] = label
    every = dict.fromkeys(labels.values())
    wanted = _named(only, labels) or every
    unwanted = _named(exclude, labels)
    chosen = [label for label in every if label in wanted and label not in unwanted]
    if not chosen:
        raise ValueError("there is no operation to check" if every else "no route is documented")
    return chosen


def _named(names: str | Collection[str], labels: Mapping[str, str]) -> set[str]:
    names = [names] if isinstance(names, str) else names
    for name in names:
        if name not in labels:
            known = ", ".join(name for name in labels if " " not in name)
            raise ValueError(f"no operation is called {name!r} (there are {known})")
    return {labels[name] for name in names}


def _configuration(url: str, headers: Mapping[str, str] | None, examples: int, seed: int) -> Any:
    config = require("schemathesis.config", "testing", purpose="contract checks")
    found = config.SchemathesisConfig(
        seed=seed,
        suppress_health_check=[config.HealthCheck.all],
        cache=config.CacheConfig(enabled=False),
    )
    project = found.projects.default
    project.update(
        base_url=url,
        headers=dict(headers or {}),
        workers=1,
        request_timeout=_REQUEST_TIMEOUT,
        continue_on_failure=True,
        warnings=config.WarningsConfig.from_value(False),
    )
    # The database is that of hypothesis, which would begin with what failed the last time.
    project.generation.update(max_examples=examples, deterministic=True, database="none")
    project.phases.coverage.unexpected_methods = _REFUSED_METHODS
    # Sequences of calls need links between the operations, which our documents do not have.
    project.phases.stateful.enabled = False
    return found


def _run(library: ModuleType, schema: Any, report: ContractReport, seconds: float) -> None:
    engine = require("schemathesis.engine", "testing", purpose="contract checks")
    events = require("schemathesis.engine.events", "testing", purpose="contract checks")
    seen: set[tuple[str, str, int | None]] = set()
    deadline = time.monotonic() + seconds

    def map_case(_: Any, case: Any) -> Any:
        # The engine asks its clock between operations only. This is how it is told within one; it
        # ends the operation and keeps what was found.
        if time.monotonic() > deadline:
            raise KeyboardInterrupt
        return case

    schema.hook(map_case)
    stream = engine.from_schema(schema).execute()
    timer = threading.Timer(seconds, stream.stop)
    timer.start()
    try:
        for event in stream:
            if isinstance(event, events.ScenarioFinished):
                report.requests[event.label] += len(event.recorder.interactions)
                for key, breach in _breaches(event.label, event.recorder):
                    if key not in seen:
                        seen.add(key)
                        report.breaches.append(breach)
            elif isinstance(event, events.NonFatalError):
                text = f"{event.info.title}: {event.info.message}"
                report.breaches.append(Breach(event.label, "error", text, "", ""))
            elif isinstance(event, events.FatalError):
                raise event.exception
            elif isinstance(event, events.EngineFinished):
                report.is_complete = event.stop_reason == engine.StopReason.COMPLETED
    finally:
        timer.cancel()


def _breaches(
    operation: str, recorder: Any
) -> Iterator[tuple[tuple[str, str, int | None], Breach]]:
    """What a series of requests found, each with what it is told apart by."""
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is None:
                continue
            failure = check.failure_info.failure
            interaction = recorder.interactions.get(failure.case_id or case_id)
            response = interaction.response if interaction is not None else None
            status = response.status_code if response is not None else None
            key = (operation, f"{check.name} {failure.title}", status)
            said = f"{failure.title}\n{failure.message}".strip()
            yield (
                key,
                Breach(
                    operation, check.name, said, check.failure_info.code_sample, _answer(response)
                ),
            )


def _answer(response: Any) -> str:
    if response is None:
        return ""
    body = response.content.decode("utf-8", "replace") if response.content else ""
    return f"{response.status_code} {_shortened(body)}".rstrip()


def _shortened(text: str) -> str:
    if len(text) <= _MOST_SHOWN_CHARACTERS:
        return text
    return f"{text[:_MOST_SHOWN_CHARACTERS]}… ({len(text)} characters)"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def _text(service: Service, report: ContractReport, untried: Iterable[str], seconds: float) -> str:
    found = report.breaches
    total = sum(report.requests.values())
    lines = [
        f"{service.name} does not hold its document: {len(found)} breaches in {total} requests "
        f"to {len(report.requests)} operations (seed {report.seed})"
    ]
    lines += [f"{number}. {breach}" for number, breach in enumerate(found[:_MOST_SHOWN], 1)]
    if len(found) > _MOST_SHOWN:
        lines.append(f"and {len(found) - _MOST_SHOWN} more")
    if untried := list(untried):
        over = f": the {seconds:g} s were over" if not report.is_complete else ""
        lines.append(f"not tried{over}: {', '.join(untried)}")
    return "\n\n".join(lines)
