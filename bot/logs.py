"""Log lines for people or machines, with every known secret and every signed address taken out."""

import json
import logging
import re
import sys
from collections.abc import Iterable
from typing import Literal
from urllib.parse import quote

from pythonjsonlogger.json import JsonFormatter

from bot.domain.current import current_task_id

#: They log whole addresses with their signatures, at INFO and below.
_CHATTY = ("httpx", "httpcore", "aiohttp", "discord", "PIL", "alembic", "tenacity", "aiosqlite", "filelock")
#: The invite link is no secret and of no use without its query.
_QUERY = re.compile(r"(https?://(?!discord\.com/oauth2/)[^\s?'\"<>]+)\?[^\s'\"<>]+")
_INTERACTION_TOKEN = re.compile(r"(/(?:webhooks|interactions)/\d+/)[\w.~-]{20,}")
_HIDDEN = "[hidden]"


class Redaction:
    """Takes secrets out of a text, also as JSON, Python or an address would write them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        plain = {
            form
            for secret in secrets
            if secret
            for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe=""))
        }
        # A line in JSON writes what it holds once more.
        self._secrets = sorted(plain | {json.dumps(form)[1:-1] for form in plain}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        text = _INTERACTION_TOKEN.sub(rf"\1{_HIDDEN}", text)
        return _QUERY.sub(rf"\1?{_HIDDEN}", text)


class Redacted(logging.Formatter):
    """Takes secrets out of the finished line, so that no way into it is missed: arguments, tracebacks, extras."""

    def __init__(self, inner: logging.Formatter, secrets: Iterable[str]) -> None:
        super().__init__()
        self._inner = inner
        self._redaction = Redaction(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return self._redaction(self._inner.format(record))


def name_task(record: logging.LogRecord) -> bool:
    """A filter that gives a line the id of the task it was written for, as the field `task`; lets all lines pass."""
    if task_id := current_task_id():
        record.task = task_id
    return True


def set_up(*, style: Literal["text", "json"], level: str, secrets: Iterable[str]) -> None:
    """Send all logs to standard error in one style; other libraries only from WARNING on."""
    inner: logging.Formatter
    if style == "json":
        inner = JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )
    else:
        inner = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Redacted(inner, secrets))
    handler.addFilter(name_task)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
