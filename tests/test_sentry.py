"""What Sentry is sent: where it failed, and nobody's words, pictures or secrets."""

import asyncio
import json
import sys
from typing import Any

import pytest
from aiohttp import web

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


def test_without_the_package_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    with pytest.raises(SetupError, match=r"SENTRY_DSN is set.*pip install 'conch\[sentry\]'"):
        sentry.set_up(DSN, Redaction([]))


def test_a_dsn_that_is_none_is_told_without_it() -> None:
    with pytest.raises(SetupError, match="SENTRY_DSN is no DSN") as caught:
        sentry.set_up("not-a-dsn", Redaction([]))
    assert "not-a-dsn" not in str(caught.value)


#: In a process of its own: the library changes what is global, such as the log and the end of the process.
_FAILS = """
import logging, sys
from bot import sentry
from bot.logs import Redaction

dsn, token, prompt = sys.argv[1:]
sentry.set_up(dsn, Redaction([token]))
logging.getLogger("bot.app").warning("only a warning of %s", prompt)
try:
    raise ValueError(f"{prompt} {token}")
except ValueError:
    logging.getLogger("bot.services.engine").exception("task %s stopped in state %s", "task0001", prompt)
logging.getLogger("asyncio").error(f"Task exception: {prompt}")
"""


async def test_what_the_real_library_sends(unused_tcp_port: int) -> None:
    sent = []

    async def take(request: web.Request) -> web.Response:
        sent.append(await request.text())
        return web.json_response({})

    server = web.Application()
    server.router.add_post("/api/7/envelope/", take)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    dsn = f"http://public-key@127.0.0.1:{unused_tcp_port}/7"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _FAILS, dsn, TOKEN, PROMPT), stderr=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0
    await runner.cleanup()
    events = [json.loads(text.splitlines()[2]) for text in sent if '"type":"event"' in text]
    assert [event["logger"] for event in events] == ["bot.services.engine", "asyncio"]
    assert events[0]["logentry"] == {"message": "task %s stopped in state %s"}
    assert [one["type"] for one in events[0]["exception"]["values"]] == ["ValueError"]
    assert not [words for words in (TOKEN, "Ambergris") if words in "".join(sent)]
