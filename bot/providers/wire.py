"""How every provider speaks HTTP: deadlines, bounds on answers, one table of errors, one layer of retries."""

import asyncio
import logging
import random
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from http.cookiejar import CookieJar
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from bot.domain.errors import (
    ContentRefused,
    JobNotFound,
    JobRejected,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    ProviderError,
    SetupError,
)
from bot.domain.language import kept
from bot.providers import sentences
from bot.providers.answers import bounded_body, clean, reason_in, retry_after, speaks_of_content, words_of

log = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)

IN_FLIGHT = 10
TRIES = 3
#: Seconds. What a provider asks for beyond `PATIENCE` is left to the caller's scheduler.
PATIENCE = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
#: Bytes a second that a large body (two pictures as data) is given on top of the deadline.
_UPLOAD_SPEED = 200_000
#: A retry costs ten, a success earns one: an outage adds ten requests to a provider, whatever its length.
_BUDGET, _RETRY_COSTS = 100, 10


class _NoCookies(CookieJar):
    def extract_cookies(self, response: object, request: object) -> None:
        """Keep none: a provider's cookie is of no use, and parsing a hostile one costs time."""


class _Pools(httpx.AsyncBaseTransport):
    """Keeps its connections for the next request, but gives a request with the extension `fresh` one of its own.

    A server may close a kept connection in the moment a request goes out on it. The request was not read then, and
    nobody can tell.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        # Ten requests for each of six providers fit; httpcore's cost grows with the number of idle connections.
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=20, keepalive_expiry=15)
        self._kept = httpx.AsyncHTTPTransport(verify=tls, limits=limits, trust_env=False)
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=0)
        self._fresh = httpx.AsyncHTTPTransport(verify=tls, limits=limits, trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        pool = self._fresh if request.extensions.get("fresh") else self._kept
        answer = await pool.handle_async_request(request)
        # No redirect is followed, but httpx reads where it leads, and fails in several ways on what is no address.
        answer.headers.pop("Location", None)
        return answer

    async def aclose(self) -> None:
        await self._kept.aclose()
        await self._fresh.aclose()


def open_client(tls: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """The one client of the process; the caller closes it. Loading the certificates for `tls` takes 15 ms."""
    return httpx.AsyncClient(
        transport=_Pools(tls or httpx.create_ssl_context(trust_env=False)),
        headers={"Accept-Encoding": "identity", "User-Agent": "conch"},
        cookies=_NoCookies(),
        timeout=httpx.Timeout(connect=5, read=15, write=15, pool=10),
        follow_redirects=False,
        trust_env=False,
    )


def bearer(key: str) -> dict[str, str]:
    """The auth header most providers take; `SetupError` where the key could not be sent at all."""
    if not re.fullmatch(r"[!-~]+", key):
        raise SetupError("The provider's key is empty or has characters no key has: copy it again.")
    return {"Authorization": f"Bearer {key}"}


@dataclass(frozen=True, slots=True)
class Heard:
    """A whole answer, as a classifier sees it: our key is hidden in `body`. `spends` tells of the request."""

    status: int
    headers: httpx.Headers
    body: bytes
    spends: bool


class Verdict(Enum):
    #: The body is to be read as the model, whatever the HTTP code.
    ANSWER = auto()


#: Looks at an answer before the table of errors does, 2xx included, and names its error; None leaves it to the
#: table. An `OutcomeUnknown` from it counts as `ProviderBusy` on a call that spends nothing.
Classifier = Callable[[Heard], ProviderError | Verdict | None]


@dataclass(frozen=True, slots=True)
class Timing:
    """Time and chance, handed in. `deadline` is seconds for one attempt, headers and body together."""

    deadline: float = 20.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    #: Seconds since 1970, for a `Retry-After` that is a date.
    now: Callable[[], float] = time.time


@dataclass(slots=True)
class _Ask:
    method: str
    url: httpx.URL
    body: bytes | None
    headers: Mapping[str, str]
    spends: bool
    repeatable: bool
    about_job: bool
    #: An earlier try got no answer.
    lost: bool = False
    #: The refusal is of this try alone and says nothing about an earlier one.
    vague: bool = False


class Wire:
    """One provider's HTTP: at most ten requests at once, errors in our words, retries where they are safe.

    `label` names the provider in sentences; `auth` is sent with every request and hidden in every text;
    `key_help` tells the operator what to do about a refused key.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base: str,
        *,
        label: str,
        auth: Mapping[str, str],
        key_help: str = "Check the key.",
        classify: Classifier | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._client = client
        self._base = base.rstrip("/")
        self._label = label
        self._auth = dict(auth)
        self._secrets = [
            part for value in auth.values() for part in value.split() if len(part) > len("Bearer")
        ]
        self._key_help = key_help
        self._classify = classify
        self._timing = timing or Timing()
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._budget = _BUDGET

    async def call(
        self,
        method: str,
        path: str,
        *,
        model: type[M],
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        spends: bool = False,
        repeatable: bool = True,
        about_job: bool = True,
    ) -> M:
        """One answer as `model`, or a `ProviderError`.

        `spends` makes a lost answer `OutcomeUnknown`; `repeatable` says that the same bytes sent again cost
        nothing more, so that a lost answer may be asked for again. A paid call that is not repeatable goes out on a
        connection of its own. `about_job` is False where a 404 cannot mean that a job is not there: a list, an
        account. `path` is quoted already (see `segment`).
        """
        url = httpx.URL(f"{self._base}/{path.lstrip('/')}", params=query)
        ask = _Ask(method, url, body, headers or {}, spends, repeatable, about_job)
        retrying = AsyncRetrying(
            stop=self._stop,
            wait=self._wait,
            retry=retry_if_exception(lambda error: _worth_repeating(ask, error)),
            sleep=self._timing.sleep,
            reraise=True,
        )
        try:
            return await retrying(self._attempt, ask, model)
        except (ProviderBusy, ProviderClosed, JobNotFound, JobRejected) as error:
            if ask.lost and (ask.vague or not isinstance(error, JobRejected)):
                raise self._lost(
                    ask, kept("an earlier try got no answer, the last one: {error}", error=error)
                ) from error
            raise

    def hide(self, text: str) -> str:
        """Without the key; for whatever a provider says before anyone reads it."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text

    def reason(self, text: str) -> str | None:
        """A provider's words as the reason of a job's end; None where it says nothing."""
        return reason_in(self.hide(text)) or None

    def _stop(self, state: RetryCallState) -> bool:
        if state.attempt_number >= TRIES or self._budget < _RETRY_COSTS:
            return True
        self._budget -= _RETRY_COSTS
        return False

    def _wait(self, state: RetryCallState) -> float:
        pause = self._timing.chance() * min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (state.attempt_number - 1))
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, ProviderBusy) else None
        return pause + (asked or 0.0)

    async def _attempt(self, ask: _Ask, model: type[M]) -> M:
        try:
            status, headers, body = await self._send(ask)
            self._refuse(ask, status, headers, body)
            answer = self._read(ask, model, body)
        except OutcomeUnknown:
            ask.lost = True
            raise
        self._budget = min(_BUDGET, self._budget + 1)
        return answer

    async def _send(self, ask: _Ask) -> tuple[int, httpx.Headers, bytes | None]:
        async with self._slots:
            started = time.monotonic()
            outcome = "nothing"
            try:
                async with asyncio.timeout(self._timing.deadline + len(ask.body or b"") / _UPLOAD_SPEED):
                    answer = await self._exchange(ask)
                outcome = str(answer[0])
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                outcome = type(error).__name__
                raise ProviderBusy(
                    kept("{provider} cannot be reached ({why}).", provider=self._label, why=outcome)
                ) from error
            # OSError: a TLS error in the middle of a stream passes httpx unmapped, and TimeoutError is one too.
            except (httpx.TransportError, OSError) as error:
                outcome = type(error).__name__
                raise self._lost(ask, outcome) from error
            finally:
                spent = (time.monotonic() - started) * 1000
                log.debug("%s %s answered %s in %.0f ms", ask.method, ask.url.path, outcome, spent)
            return answer

    async def _exchange(self, ask: _Ask) -> tuple[int, httpx.Headers, bytes | None]:
        headers = {"Accept": "application/json", **self._auth, **ask.headers}
        if ask.body is not None:
            headers.setdefault("Content-Type", "application/json")
        fresh = {"fresh": ask.spends and not ask.repeatable}
        async with self._client.stream(
            ask.method, ask.url, content=ask.body, headers=headers, extensions=fresh
        ) as response:
            return response.status_code, response.headers, await bounded_body(response)

    def _refuse(self, ask: _Ask, status: int, headers: httpx.Headers, body: bytes | None) -> None:
        """Raise the error that the answer is, if it is one."""
        heard = Heard(status, headers, self._hidden(body or b""), ask.spends)
        verdict = None if body is None else self._classified(heard)
        if verdict is Verdict.ANSWER or (verdict is None and httpx.codes.is_success(status)):
            return
        error = verdict or self._error(ask, heard)
        if isinstance(error, ProviderBusy):
            error.retry_after = retry_after(headers, self._timing.now()) or error.retry_after
        raise error

    def _classified(self, heard: Heard) -> ProviderError | Verdict | None:
        verdict = self._classify(heard) if self._classify else None
        if isinstance(verdict, ProviderError):
            verdict.args = (self.hide(str(verdict)),)
        if isinstance(verdict, OutcomeUnknown) and not heard.spends:
            return ProviderBusy(str(verdict))
        return verdict

    def _hidden(self, body: bytes) -> bytes:
        for secret in self._secrets:
            body = body.replace(secret.encode(), "…".encode())
        return body

    def _error(self, ask: _Ask, heard: Heard) -> ProviderError:
        status, said = heard.status, words_of(heard.body)
        words = reason_in(self.hide(said))
        answer = f"{status}: {words}" if words else str(status)
        if status == httpx.codes.PAYMENT_REQUIRED:
            return ProviderClosed(
                kept("The balance at {provider} is used up ({said}).", provider=self._label, said=answer)
            )
        if status in {401, 403}:
            return ProviderClosed(
                kept(
                    "{provider} does not accept the key ({said}). {fix}",
                    provider=self._label,
                    said=answer,
                    fix=self._key_help,
                )
            )
        if status in {400, 413, 422}:
            refusal = ContentRefused if speaks_of_content(said) else JobRejected
            return refusal(sentences.refused(self._label, answer))
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return ProviderBusy(sentences.wait(self._label, str(status)))
        return self._odd_error(ask, status, answer)

    def _odd_error(self, ask: _Ask, status: int, answer: str) -> ProviderError:
        if status == httpx.codes.CONFLICT:
            log.error("%s %s answered 409: one key for two bodies, a bug of ours", ask.method, ask.url.path)
            ask.vague = True
            return JobRejected(sentences.refused(self._label, answer))
        if not httpx.codes.is_client_error(status) or status == httpx.codes.REQUEST_TIMEOUT:
            return self._lost(ask, f"status {status}")
        if ask.spends or (status in {404, 410} and not ask.about_job):
            ask.vague = True
            return JobRejected(sentences.refused(self._label, answer))
        if status in {404, 410}:
            return JobNotFound(sentences.unknown_job(self._label, answer))
        return self._lost(ask, f"status {status}")

    def _read(self, ask: _Ask, model: type[M], body: bytes | None) -> M:
        if body is None:
            raise self._lost(ask, kept("too long, or packed in a way we do not read"))
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the answer"
            raise self._lost(ask, clean(f"{place}: {first['msg']}", 200)) from None

    def _lost(self, ask: _Ask, why: str) -> ProviderError:
        if ask.spends:
            return OutcomeUnknown(sentences.unusable_to_paid(self._label, why))
        return ProviderBusy(sentences.unusable(self._label, why))


def _worth_repeating(ask: _Ask, error: BaseException) -> bool:
    if isinstance(error, OutcomeUnknown):
        return ask.repeatable
    return isinstance(error, ProviderBusy) and (error.retry_after or 0.0) <= PATIENCE
