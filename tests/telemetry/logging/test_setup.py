"""Setting logging up: by settings, by a file, and not at all where the application has done it."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from sanic_ms.config import Settings
from sanic_ms.exception import ConfigError, MissingDependency
from sanic_ms.telemetry.logging import (
    QueuedHandler,
    access_log,
    configure_logging,
    flush_logs,
    lost_lines,
    reset_logging,
    shipped_text,
)
from sanic_ms.telemetry.redaction import redactor

pytestmark = pytest.mark.usefixtures("bare_logging")


class Output:
    """What goes to standard output."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self.capture = capture
        self.text = ""

    def getvalue(self) -> str:
        """All of it so far."""
        flush_logs()
        self.text += self.capture.readouterr().out
        return self.text


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Output:
    """What goes to standard output."""
    return Output(capsys)


def lines(output: Output) -> list[dict[str, Any]]:
    """The JSON lines that were written."""
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_every_logger_of_the_process_writes_in_one_form(output: Output) -> None:
    """The framework's, Sanic's, libraries' and the application's."""
    configure_logging(Settings(), "users")
    for name in ("sanic.root", "sanic.error", "sanic_ms.db", "aiohttp.client", "views"):
        logging.getLogger(name).info("from %s", name)
    written = lines(output)
    assert [line["logger"] for line in written] == [
        "sanic.root", "sanic.error", "sanic_ms.db", "aiohttp.client", "views",
    ]  # fmt: skip
    assert {line["service"] for line in written} == {"users"}


def test_the_level_is_that_of_the_setting(output: Output) -> None:
    """For all loggers that have none of their own."""
    configure_logging(Settings(log_level="WARNING"), "users")
    logging.getLogger("views").info("no")
    logging.getLogger("sanic_ms.db").info("no")
    logging.getLogger("views").warning("yes")
    assert [line["message"] for line in lines(output)] == ["yes"]


def test_debug_is_for_the_framework_and_not_for_every_library(output: Output) -> None:
    """`DEBUG=true`."""
    configure_logging(Settings(debug=True), "users")
    logging.getLogger("sanic_ms.db").debug("yes")
    logging.getLogger("asyncio").debug("no")
    assert [line["message"] for line in lines(output)] == ["yes"]


def test_a_root_logger_with_a_handler_is_the_applications(output: Output) -> None:
    """`logging.basicConfig()` before the start: nothing is touched."""
    own = io.StringIO()
    logging.basicConfig(stream=own, format="%(name)s %(message)s", level=logging.INFO)
    handlers = list(logging.root.handlers)
    configure_logging(Settings(log_format="json", log_level="ERROR", redact=["iban"]), "users")
    assert logging.root.handlers == handlers
    assert logging.getLogger("sanic_ms").level == logging.NOTSET
    logging.getLogger("sanic_ms.db").info("hello")
    text = own.getvalue()
    assert "LOG_FORMAT=json has no effect" in text
    assert text.endswith("sanic_ms.db hello\n")
    assert output.getvalue() == ""
    assert redactor.is_secret("iban")
    assert own.getvalue().count("LOG_FORMAT") == 1
    reset_logging()
    configure_logging(Settings(log_format="auto"), "users")
    assert own.getvalue().count("LOG_FORMAT") == 1


def test_what_the_application_has_made_before_stays(output: Output, tmp_path: Path) -> None:
    """Handlers of other loggers are not closed, levels not set back, loggers not disabled."""
    audit, below = logging.getLogger("audit.x1"), logging.getLogger("sanic_ms.x1")
    handler = logging.FileHandler(tmp_path / "audit.log", mode="w")
    audit.addHandler(handler)
    below.setLevel(logging.ERROR)
    try:
        audit.warning("before")
        configure_logging(Settings(), "users")
        audit.warning("after")
        assert below.level == logging.ERROR
        assert (tmp_path / "audit.log").read_text() == "before\nafter\n"
        assert [line["message"] for line in lines(output)] == ["after"]
    finally:
        audit.removeHandler(handler)
        handler.close()
        below.setLevel(logging.NOTSET)


def test_it_is_done_once(output: Output) -> None:
    """A second service in the process adds no second handler; what either redacts counts."""
    configure_logging(Settings(redact=["ssn"]), "users")
    configure_logging(Settings(redact=["iban"], access_log_sample=0.5), "roles")
    logging.getLogger("views").info("iban=1 ssn=2")
    (line,) = lines(output)
    assert (line["service"], line["message"]) == ("users", "iban=*** ssn=***")
    assert access_log.ratio == 0.5


def test_it_can_be_taken_back(output: Output) -> None:
    """For tests: handlers, levels, names and ratios are as before."""
    configure_logging(Settings(redact=["iban"], access_log_sample=0.5), "users")
    reset_logging()
    assert logging.root.handlers == []
    assert logging.getLogger("sanic_ms").level == logging.NOTSET
    assert not redactor.is_secret("iban")
    assert access_log.ratio == 1
    reset_logging()


def test_handlers_may_be_somebody_elses_matter(output: Output) -> None:
    """A `Service` with a `log_config` of its own."""
    configure_logging(Settings(), "users", handlers=False)
    assert logging.root.handlers == []


def test_the_shipped_file_is_yaml_too() -> None:
    """The same table by PyYAML and by ours, which reads it as JSON with comments."""
    from sanic_ms.telemetry.logging.files import read_config

    assert yaml.safe_load(shipped_text()) == read_config()


def test_a_copy_of_the_shipped_file_does_the_same(output: Output, tmp_path: Path) -> None:
    """That is where one begins to change it."""
    path = tmp_path / "logging.yml"
    path.write_text(shipped_text())
    configure_logging(Settings(log_config=str(path)), "users")
    logging.getLogger("views").info("hello")
    assert lines(output)[-1]["service"] == "users"


YAML = """
formatters:
  short: {format: "%(levelname)s %(message)s"}
handlers:
  out: {class: logging.StreamHandler, formatter: short, stream: ext://sys.stdout}
root:
  level: $LOG_LEVEL
  handlers: [out]
"""


def test_a_file_of_ones_own_replaces_all(output: Output, tmp_path: Path) -> None:
    """Real YAML, any handler; existing loggers go on."""
    (tmp_path / "own.yaml").write_text(YAML)
    before = logging.getLogger("views.before")
    configure_logging(Settings(log_config=str(tmp_path / "own.yaml")), "users")
    before.info("hello")
    assert output.getvalue() == "INFO hello\n"
    for handler in list(logging.root.handlers):
        logging.root.removeHandler(handler)


def test_a_file_wins_over_what_the_application_did(output: Output, tmp_path: Path) -> None:
    """It was named on purpose."""
    logging.basicConfig(stream=io.StringIO())
    (tmp_path / "own.yaml").write_text(YAML)
    configure_logging(Settings(log_config=str(tmp_path / "own.yaml")), "users")
    logging.getLogger("views").info("hello")
    assert output.getvalue() == "INFO hello\n"
    logging.root.handlers.clear()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.ini", "", r"a file that ends in \.yml, \.yaml or \.json"),
        ("missing.yml", None, "No such file"),
        ("x.json", "{", "Input data was truncated"),
        ("x.yml", "a: [", "while parsing"),
        ("x.yml", "- a", "holds no table but a list"),
        ("x.json", '{"root": {"level": "$LOG_LEVLE"}}', r"\$LOG_LEVLE is no setting"),
        ("x.json", '{"root": {"handlers": ["nothing"]}}', "Unable to configure root logger"),
        ("x.json", '{"version": 2}', "Unsupported version"),
    ],
)
def test_a_wrong_file_is_one_line(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    """It names the file and what is wrong."""
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        configure_logging(Settings(log_config=str(tmp_path / name)), "users")
    assert "LOG_CONFIG" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_yaml_without_its_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped file, and JSON, need none."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "own.yml").write_text(YAML)
    with pytest.raises(MissingDependency, match=r"sanic-ms\[yaml\]"):
        configure_logging(Settings(log_config=str(tmp_path / "own.yml")), "users")
    (tmp_path / "own.yml").write_text(shipped_text())
    configure_logging(Settings(log_config=str(tmp_path / "own.yml")), "users")


def test_lost_lines_are_counted_over_all_handlers() -> None:
    """A public number, for a metric."""
    with open("/dev/full", "w") as stream:
        logging.root.addHandler(QueuedHandler(stream))
        logging.getLogger("views").error("x")
        flush_logs()
        assert lost_lines() >= 1


def test_another_formatter_may_be_used(output: Output) -> None:
    """Its lines are written by the thread as well; other handlers see the record as it was."""
    seen: list[Any] = []

    class Sink(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.args)

    queued = QueuedHandler()
    queued.setFormatter(logging.Formatter("%(name)s|%(message)s"))
    logging.root.addHandler(queued)
    logging.root.addHandler(Sink())
    logging.getLogger("views").warning("hello %s", "bob")
    assert output.getvalue() == "views|hello bob\n"
    assert seen == [("bob",)]


def test_settings_have_their_limits() -> None:
    """A share is from 0 to 1."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"access_log_sample": 2.0}, Settings)
