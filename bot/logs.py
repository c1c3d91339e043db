"""Log lines for people or machines, with every known secret and every signed address taken out."""

import logging
import re
import sys
from collections.abc import Iterable
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

#: They log whole addresses with their signatures, at INFO and below.
_CHATTY = ("httpx", "httpcore", "aiohttp", "discord", "PIL", "alembic", "tenacity", "aiosqlite", "filelock")
#: The invite link is no secret and of no use without its query.
_QUERY = re.compile(r"(https?://(?!discord\.com/oauth2/)[^\s?'\"<>]+)\?[^\s'\"<>]+")
_INTERACTION_TOKEN = re.compile(r"(/(?:webhooks|interactions)/\d+/)[\w.~-]{20,}")
_HIDDEN = "[hidden]"


class Redacted(logging.Formatter):
    """Takes secrets out of the finished line, so that no way into it is missed: arguments, tracebacks, extras."""

    def __init__(self, inner: logging.Formatter, secrets: Iterable[str]) -> None:
        super().__init__()
        self._inner = inner
        self._secrets = sorted((secret for secret in secrets if secret), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        line = self._inner.format(record)
        for secret in self._secrets:
            line = line.replace(secret, _HIDDEN)
        line = _INTERACTION_TOKEN.sub(rf"\1{_HIDDEN}", line)
        return _QUERY.sub(rf"\1?{_HIDDEN}", line)


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
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
