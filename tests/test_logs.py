"""Log lines: the field that names the task, and secrets in whatever form they are written."""

import json
import logging
from collections.abc import Iterator

import pytest

from bot import logs
from bot.domain.current import working_on

KEY = 'k"ey\\with/odd+signs=='


@pytest.fixture
def loggers() -> Iterator[None]:
    """They are afterwards as before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_in_json_names_the_task_it_is_about(loggers: None, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(style="json", level="INFO", secrets=[])
    log = logging.getLogger("bot.anything")
    log.info("before")
    with working_on("task0001"):
        log.info("within")
        with working_on("task0002"):
            log.warning("deeper")
        logging.getLogger("another.library").error("said meanwhile")
    log.info("after")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["message"], line.get("task")) for line in lines] == [
        ("before", None),
        ("within", "task0001"),
        ("deeper", "task0002"),
        ("said meanwhile", "task0001"),
        ("after", None),
    ]


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_secret_is_hidden_as_json_python_and_addresses_write_it(
    style: str, loggers: None, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up(style="json" if style == "json" else "text", level="INFO", secrets=[KEY])
    log = logging.getLogger("bot.anything")
    log.info("%s %r %s", KEY, [KEY], json.dumps({"key": KEY}))
    log.info("https://x.example/k%%22ey%%5Cwith%%2Fodd%%2Bsigns%%3D%%3D/%s", "end")
    log.error("failed", exc_info=RuntimeError(KEY), extra={"more": KEY})
    written = capsys.readouterr().err
    assert "RuntimeError" in written
    assert not [part for part in ("ey\\with", "odd+signs", "odd%2B") if part in written], written
