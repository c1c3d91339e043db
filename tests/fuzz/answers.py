"""Answers that no honest provider gives: right ones with wrong values in them, and bytes of any kind."""

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

#: What must stand in no error and no reason, where an answer repeats it.
KEY = "sk-stand-in-secret-key"
#: Made here, because hypothesis also tries words that stand in our code, and alone this is none to hide.
SIGNATURE = hashlib.sha256(b"a link").hexdigest()

_SECRETS = [
    KEY,
    f"Bearer {KEY}",
    "x" * 280 + KEY,
    f"see https://cdn.example/a.mp4?sig={SIGNATURE} there",
    f"HTTPS://CDN.example/a.mp4?sig={SIGNATURE}",
    f"https://cdn.example/a.mp4#sig={SIGNATURE}",
    f"https://cdn.example/a\u200b.mp4?sig={SIGNATURE}",
]
_WORDS = [
    "",
    "0",
    "17",
    "..",
    "success",
    "failed",
    "succeeded",
    "error",
    "queued",
    "TASK_FAILED",
    "INVALID_X",
    "BILLING_Y",
    "invalidApiKey",
    "rateLimit",
    "taskNotFound",
    "duplicateTaskUUID",
    "content policy",
    "a" * 5000,
    "\u202e\ud800@everyone",
]
_NUMBERS = [0, -1, 1004, 1008, 1026, 1002, 2013, 2**63, 10**400, 1e308, -0.0, float("nan"), float("inf")]


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([*_NUMBERS, *_WORDS]),
    st.sampled_from(_SECRETS),
    st.integers(),
    st.floats(),
    st.text(),
)
junk = st.recursive(
    _scalars | st.sampled_from([_deep(50), _deep(250)]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["error", "errors", "message", "code", "url", "status", "task_id", "data", "reason"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
_GONE = "…gone…"
_DEEPEST = 8
#: Which value of a right answer, counted through, becomes what.
changes = st.lists(st.tuples(st.integers(0, 40), junk | st.just(_GONE)), max_size=3)

raw_bytes = st.one_of(
    st.binary(max_size=300),
    st.sampled_from(
        [
            b"[" * 100_000,
            b'{"a":' * 50_000,
            b"9" * 100_000,
            b'{"task_id":' + b"1" * 5000 + b"}",
            b"\x1f\x8b\x00",
        ]
    ),
    st.sampled_from(_SECRETS).map(str.encode),
    st.sampled_from(_SECRETS).map(lambda text: json.dumps({"error": text}).replace("s", "\\u0073").encode()),
)
_header_text = st.text(
    st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=40
)
headers = st.dictionaries(
    st.sampled_from(["Retry-After", "Location", "Content-Type", "Set-Cookie", "Content-Encoding", "X-Other"]),
    _header_text
    | st.sampled_from(
        [
            "gzip",
            "br",
            "1",
            "1e9",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "http://[::1",
            "//xn--/",
            "http://a:b@[/",
            ",",
        ]
    ),
    max_size=3,
)
statuses = st.sampled_from(
    [
        200,
        200,
        200,
        200,
        201,
        204,
        301,
        302,
        307,
        400,
        401,
        402,
        403,
        404,
        408,
        409,
        410,
        413,
        418,
        422,
        429,
        500,
        502,
        503,
        504,
        599,
        999,
    ]
)


@dataclass(frozen=True)
class Wrong:
    """Bytes instead of the right answer, or else the right one changed and cut."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    instead: bytes | None = None
    changed: tuple[tuple[int, Any], ...] = ()
    cut: int | None = None

    def body(self, right: bytes) -> bytes:
        if self.instead is not None:
            return self.instead
        value = json.loads(right)
        for place, other in self.changed:
            value = _with(value, place, other)
        # Lone surrogates and NaN go out as Python writes them.
        return json.dumps(value).encode()[: self.cut]


wrongs = st.one_of(
    st.builds(Wrong, status=statuses, headers=headers, instead=raw_bytes),
    st.builds(Wrong, status=statuses, headers=headers, changed=changes.map(tuple)),
    st.builds(Wrong, changed=changes.map(tuple)),
    st.builds(Wrong, changed=changes.map(tuple), cut=st.integers(0, 200)),
)


def _with(value: Any, place: int, other: Any) -> Any:
    """The value with another in one of its places, counted through from the outside."""
    other = copy.deepcopy(other)
    places = list(_places(value, ()))
    path = places[place % len(places)]
    if not path:
        return None if other == _GONE else other
    holder = value
    for step in path[:-1]:
        holder = holder[step]
    if other == _GONE:
        del holder[path[-1]]
    else:
        holder[path[-1]] = other
    return value


def _places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps if len(path) < _DEEPEST else ():
        yield from _places(inner, (*path, step))
