"""The fixtures of a whole bot and of providers; at the end, how many examples each property saw."""

from collections.abc import Generator

import pytest

from tests.cogs.fixtures import open_bot, real_clip, scene, standin, template
from tests.fuzz.examples import SECONDS, Enough, ran
from tests.providers.conftest import client, downloads, parts, sleeper

__all__ = ["client", "downloads", "open_bot", "parts", "real_clip", "scene", "sleeper", "standin", "template"]

_NAME = "examples"


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    try:
        return (yield)
    except Enough:
        return True
    finally:
        if number := ran[pyfuncitem.nodeid]:
            pyfuncitem.user_properties.append((_NAME, number))


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
