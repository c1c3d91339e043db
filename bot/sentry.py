"""Errors told to Sentry, where `SENTRY_DSN` is set: what failed and where; no words, no pictures, no secrets."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from bot.domain.current import current_task_id
from bot.domain.errors import SetupError
from bot.logs import Redaction

Event = dict[str, Any]

#: Known to be harmless as they are, but for secrets in them.
_KEPT = ("event_id", "timestamp", "level", "logger", "platform", "release", "environment", "sdk")
_FRAME = ("filename", "function", "module", "lineno", "in_app")
#: Their log texts are constants; others put values into theirs.
_OURS = ("bot.", "cogs.", "storage.")


def set_up(dsn: str, redaction: Redaction) -> None:
    """Tell Sentry every line of the log from ERROR on. `SetupError` where it is not installed or the DSN is none."""
    try:
        sdk = importlib.import_module("sentry_sdk")
        logging_integration = importlib.import_module("sentry_sdk.integrations.logging").LoggingIntegration
    except ImportError as error:
        raise SetupError(
            "SENTRY_DSN is set, but sentry-sdk is not installed. Install it with: pip install 'conch[sentry]' "
            "(or pip install sentry-sdk), or take SENTRY_DSN away."
        ) from error
    try:
        sdk.init(
            dsn=dsn,
            before_send=scrubber(redaction),
            auto_enabling_integrations=False,
            integrations=[logging_integration(level=None)],
            max_breadcrumbs=0,
            include_local_variables=False,
            include_source_context=False,
            auto_session_tracking=False,
        )
    except ValueError as error:
        raise SetupError("SENTRY_DSN is no DSN. Copy it from the project's settings at Sentry.") from error


def scrubber(redaction: Redaction) -> Callable[[Event, Mapping[str, Any]], Event]:
    """What Sentry calls with every event before it is sent: a new one of what is known to be harmless.

    Left out are the words of errors, since they may quote a prompt, and local variables, arguments of log lines,
    requests and whatever a later version of the library may add. The log here has the words.
    """

    def before_send(event: Event, _hint: Mapping[str, Any]) -> Event:
        sent: Event = {name: event[name] for name in _KEPT if name in event}
        text = _mapping(event.get("logentry")).get("message")
        if isinstance(text, str) and str(event.get("logger", "")).startswith(_OURS):
            sent["logentry"] = {"message": text}
        if task_id := current_task_id():
            sent["tags"] = {"task": task_id}
        if errors := _values(event.get("exception")):
            sent["exception"] = {"values": [_error(error) for error in errors]}
        redacted: Event = _redacted(sent, redaction)
        return redacted

    return before_send


def _error(error: Mapping[str, Any]) -> Event:
    frames = _mapping(error.get("stacktrace")).get("frames") or []
    return {
        "type": error.get("type"),
        "module": error.get("module"),
        "stacktrace": {
            "frames": [{name: frame[name] for name in _FRAME if name in frame} for frame in frames]
        },
    }


def _values(found: Any) -> list[Mapping[str, Any]]:
    return [one for one in _mapping(found).get("values") or [] if isinstance(one, Mapping)]


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _redacted(found: Any, redaction: Redaction) -> Any:
    match found:
        case str():
            return redaction(found)
        case Mapping():
            return {name: _redacted(value, redaction) for name, value in found.items()}
        case list() | tuple():
            return [_redacted(value, redaction) for value in found]
    return found
