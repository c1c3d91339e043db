"""The fixtures of a whole bot and of providers; at the end, how many examples each property saw."""

from collections.abc import Iterator

import pytest

from tests.cogs.fixtures import open_bot, real_clip, scene, standin, template
from tests.fuzz.examples import SECONDS, ran
from tests.providers.conftest import client, downloads, parts, sleeper

__all__ = ["client", "downloads", "open_bot", "parts", "real_clip", "scene", "sleeper", "standin", "template"]

_NAME = "examples"


@pytest.fixture(autouse=True)
def counted(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if number := ran[request.node.nodeid]:
        request.node.user_properties.append((_NAME, number))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not SECONDS:
        return
    terminalreporter.section("examples")
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    counts = {
        report.nodeid: count for report in reports for name, count in report.user_properties if name == _NAME
    }
    for case, number in sorted(counts.items()):
        terminalreporter.write_line(f"{number:>8,} {case}")
    terminalreporter.write_line(f"{sum(counts.values()):>8,} in all")
