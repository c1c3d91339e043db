"""What a provider's answer is: the models' base and field types, a bounded body, its words, its Retry-After."""

import logging
import re
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import httpx
import pydantic_core
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from bot.domain.errors import JobNotFound
from bot.domain.task import TaskState
from bot.providers import sentences

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Bytes, packed and unpacked.
LARGEST_ANSWER = 1024 * 1024
#: Seconds.
LONGEST_RETRY_AFTER = 120.0
_ABSURD_RETRY_AFTER = 86_400.0
#: Error texts beyond this many bytes are not parsed.
_WORDS_BYTES = 16_384


class Answer(BaseModel):
    """Base of the wire models: unknown fields ignored, types strict, no value repeated in an error."""

    model_config = ConfigDict(
        extra="ignore", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


def _none_if_unreadable(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    try:
        return handler(value)
    except ValidationError:
        log.warning("a provider sent %s in a form we cannot read; it counts as missing", info.field_name)
        return None


#: A field whose loss must not cost us the rest of the answer.
Lenient = Annotated[T | None, WrapValidator(_none_if_unreadable)]


#: An amount some provider charged. Not strict: within `Lenient` a number has become a float before it gets here.
Dollars = Annotated[Decimal, Field(ge=0, le=100_000, strict=False)]


def _no_path(text: str) -> str:
    if not text.strip("."):
        raise ValueError("dots alone are no id")
    return text


#: A provider's id: anything printable, because refusing an odd one would lose a paid job.
JobId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$"), AfterValidator(_no_path)]


#: Where a clip can be had from.
ClipUrl = Annotated[str, StringConstraints(pattern=r"(?i)^https?://[^\s\x00-\x1f\x7f]+$", max_length=4096)]


def state_of(word: str, states: Mapping[str, TaskState]) -> TaskState:
    """Our state for a status word. One we do not know is no end: the task is asked about again."""
    return states.get(word.strip().lower(), TaskState.PROCESSING)


def segment(text: str) -> str:
    """One quoted path segment; `JobNotFound` for what cannot be an id."""
    if not re.fullmatch(r"[!-~]{1,200}", text) or not text.strip("."):
        raise JobNotFound(sentences.NO_JOB_ID)
    return quote(text, safe="")


async def bounded_body(response: httpx.Response) -> bytes | None:
    """The body unpacked, or None where it is longer than `LARGEST_ANSWER`, packed or on the way, or unreadable."""
    packing = response.headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in {"identity", "", "gzip", "x-gzip", "deflate"}:
        return None
    unpack = None if packing in {"identity", ""} else zlib.decompressobj(zlib.MAX_WBITS | 32)
    body, received = bytearray(), 0
    async for part in response.aiter_raw():
        received += len(part)
        try:
            body += unpack.decompress(part, LARGEST_ANSWER + 1 - len(body)) if unpack else part
        except zlib.error:
            return None
        if max(received, len(body)) > LARGEST_ANSWER:
            return None
    return bytes(body)


def retry_after(headers: httpx.Headers, now: float) -> float | None:
    """Seconds, at most `LONGEST_RETRY_AFTER`; None where nothing sensible is asked."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,12}(\.\d{1,6})?", text, re.ASCII):
        seconds = float(text)
    else:
        try:
            date = parsedate_to_datetime(text)
            seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return min(seconds, LONGEST_RETRY_AFTER) if 0 < seconds <= _ABSURD_RETRY_AFTER else None


_QUERY = re.compile(r"(https?://[^\s?#]*)[?#]\S*", re.IGNORECASE)


def clean(text: str, limit: int) -> str:
    """One line without control, format or surrogate characters and without the query of any URL."""
    # The query first: a character that goes would cut the address in two, and hide what is one.
    unsigned = _QUERY.sub(r"\1", text[: limit * 8])
    line = " ".join(
        "".join(" " if unicodedata.category(char)[0] == "C" else char for char in unsigned).split()
    )
    return line if len(line) <= limit else line[: limit - 1] + "…"


def reason_in(text: str) -> str:
    """A provider's words as the reason for something; hide its key first, this may cut one in two."""
    return clean(text, 300)


_CONTENT = re.compile(
    r"content[ _-]?(policy|filter|moderation|violation|rule|guideline)|moderat(ed|ion)|\bnsfw\b|\bsafety\b"
    r"|(?<!case[ _-])(?<!time[ _-])\bsensitive\b|(prohibited|inappropriate|explicit) content"
    r"|community (guideline|standard)",
    re.IGNORECASE,
)


def speaks_of_content(text: str) -> bool:
    """Whether a provider's words plainly name its content rules."""
    return bool(_CONTENT.search(text))


_TELLING = ("message", "msg", "detail", "error", "errors", "reason", "code", "title")


def words_of(body: bytes) -> str:
    """What an error body says; only its telling fields, because some repeat the whole prompt."""
    if len(body) > _WORDS_BYTES:
        return ""
    try:
        return " · ".join(dict.fromkeys(_said(pydantic_core.from_json(body))))
    except ValueError:
        text = body.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text


def _said(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for entry in value:
            yield from _said(entry)
    elif isinstance(value, dict):
        for key in _TELLING:
            yield from _said(value.get(key))
