"""What Sentry is sent: where it failed, and nobody's words, pictures or secrets."""

import json
import sys
from types import ModuleType
from typing import Any

import pytest

from bot import sentry
from bot.domain.current import working_on
from bot.domain.errors import SetupError
from bot.logs import Redaction

TOKEN, PROMPT, PICTURE = "discord-secret-token", "a whale named Ambergris", "iVBORw0KGgoAAAA"
DSN = "https://public-key@sentry.example/7"
SCRUB = sentry.scrubber(Redaction([TOKEN, DSN]))


def event() -> dict[str, Any]:
    """As sentry-sdk makes it of `log.exception`, with everything that it could ever add."""
    frame = {
        "filename": "bot/services/engine.py",
        "abs_path": f"/home/{TOKEN}/bot/services/engine.py",
        "function": "_handled",
        "module": "bot.services.engine",
        "lineno": 231,
        "in_app": True,
        "vars": {"task": f"Task(prompt='{PROMPT}')", "body": PICTURE, "key": TOKEN},
        "context_line": f'prompt = "{PROMPT}"',
    }
    return {
        "event_id": "abc",
        "level": "error",
        "platform": "python",
        "release": f"of {TOKEN}",
        "logger": "bot.services.engine",
        "logentry": {
            "message": "task %s stopped in state %s",
            "params": ["task0001", PROMPT],
            "formatted": f"task {PROMPT}",
        },
        "exception": {
            "values": [
                {
                    "type": "ValidationError",
                    "module": "pydantic",
                    "value": f"input_value={PROMPT} {TOKEN}",
                    "stacktrace": {"frames": [frame]},
                    "mechanism": {"data": PROMPT},
                },
                {"type": "KeyError", "value": PICTURE, "stacktrace": None},
            ]
        },
        "breadcrumbs": {"values": [{"message": PROMPT, "data": {"url": DSN}}]},
        "request": {"data": PROMPT, "headers": {"Authorization": TOKEN}},
        "extra": {"sys.argv": [TOKEN], "prompt": PROMPT},
        "user": {"id": 1, "ip_address": "192.0.2.1"},
        "server_name": "home",
        "modules": {"x": "1"},
        "threads": {"values": [{"stacktrace": {"frames": [frame]}}]},
    }


def test_no_words_pictures_or_secrets_are_sent() -> None:
    sent = json.dumps(SCRUB(event(), {"exc_info": (ValueError, ValueError(PROMPT), None)}))
    assert not [one for one in (TOKEN, PROMPT, PICTURE, "public-key", "192.0.2.1") if one in sent]


def test_what_failed_and_where_is_sent() -> None:
    with working_on("task0001"):
        sent = SCRUB(event(), {})
    first, second = sent["exception"]["values"]
    assert sent["logentry"] == {"message": "task %s stopped in state %s"}
    assert sent["tags"] == {"task": "task0001"}
    assert (first["type"], second["type"]) == ("ValidationError", "KeyError")
    assert first["stacktrace"]["frames"] == [
        {
            "filename": "bot/services/engine.py",
            "function": "_handled",
            "module": "bot.services.engine",
            "lineno": 231,
            "in_app": True,
        }
    ]
    assert sent["release"] == "of [hidden]"


def test_lines_of_other_libraries_lose_their_text() -> None:
    sent = SCRUB({"logger": "asyncio", "logentry": {"message": f"Task exception: {PROMPT}"}}, {})
    assert sent == {"logger": "asyncio"}


@pytest.mark.parametrize(
    "odd", [{}, {"exception": None, "logentry": "x"}, {"exception": {"values": [None, 7]}}]
)
def test_an_event_of_another_shape_is_no_error(odd: dict[str, Any]) -> None:
    assert SCRUB(odd, {}) == {}


def test_without_the_package_the_setting_is_refused() -> None:
    with pytest.raises(SetupError, match=r"SENTRY_DSN is set.*pip install 'conch\[sentry\]'"):
        sentry.set_up(DSN, Redaction([]))


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands for sentry-sdk; what `init` was given."""
    given: dict[str, Any] = {}

    def init(**options: Any) -> None:
        if "://" not in options["dsn"]:
            raise ValueError("Unsupported scheme ''")
        given.update(options)

    modules: dict[str, dict[str, Any]] = {
        "sentry_sdk": {"init": init},
        "sentry_sdk.integrations.logging": {"LoggingIntegration": lambda level: ("logging", level)},
    }
    for name, parts in modules.items():
        module = ModuleType(name)
        module.__dict__.update(parts)
        monkeypatch.setitem(sys.modules, name, module)
    return given


def test_it_is_set_up_to_gather_no_more_than_is_sent(sdk: dict[str, Any]) -> None:
    sentry.set_up(DSN, Redaction([TOKEN]))
    assert TOKEN not in json.dumps(sdk["before_send"](event(), {}))
    assert (sdk["dsn"], sdk["max_breadcrumbs"], sdk["integrations"]) == (DSN, 0, [("logging", None)])
    off = ("include_local_variables", "include_source_context", "send_default_pii", "auto_session_tracking")
    assert [sdk[name] for name in off] == [False] * len(off)


def test_a_dsn_that_is_none_is_told_without_it(sdk: dict[str, Any]) -> None:
    with pytest.raises(SetupError, match="SENTRY_DSN is no DSN") as caught:
        sentry.set_up("not-a-dsn", Redaction([]))
    assert "not-a-dsn" not in str(caught.value)
