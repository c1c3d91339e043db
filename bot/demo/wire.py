"""What passes the stand-in's loopback socket: requests, uploads, answers and faults."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

from aiohttp import web
from simcord.http.router import parse_form

API: Final = "/api/v10"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a multipart request, in the shape simcord reads."""

    filename: str
    data: bytes
    description: str | None = None

    @property
    def fp(self) -> BytesIO:
        return BytesIO(self.data)


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is without `/api/v10`; the files are (name, bytes) pairs."""

    method: str
    path: str
    query: Mapping[str, str]
    json: Any
    files: tuple[tuple[str, int], ...]
    content_type: str
    authorized: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Response:
    """`body` is JSON; a `str` goes out as an HTML page, `bytes` as a file, `None` as nothing."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Fault(Response):
    """What a hook has the stand-in answer instead."""


DROP: Final = Fault(0)
"""The connection breaks and there is no answer."""


async def read(http: web.Request, token: str) -> tuple[Request, list[Upload]]:
    uploads: list[Upload] = []
    if http.content_type == "multipart/form-data":
        body, uploads = await _form(http)
    else:
        raw = await http.read()
        body = json.loads(raw) if raw else None
    request = Request(
        method=http.method,
        path=http.rel_url.raw_path.removeprefix(API),
        query=dict(http.query),
        json=body,
        files=tuple((upload.filename, len(upload.data)) for upload in uploads),
        content_type=http.content_type,
        authorized=http.headers.get("Authorization") == f"Bot {token}",
    )
    return request, uploads


async def _form(http: web.Request) -> tuple[Any, list[Upload]]:
    fields = await http.post()
    body, _ = parse_form(
        [{"name": name, "value": value} for name, value in fields.items() if isinstance(value, str)], []
    )
    described = {
        str(entry.get("id")): entry.get("description") for entry in message_in(body).get("attachments") or ()
    }
    files = {
        match[1]: value
        for name, value in fields.items()
        if isinstance(value, web.FileField) and (match := re.fullmatch(r"files\[(\d+)\]", name))
    }
    return body, [
        Upload(file.filename, file.file.read(), described.get(number)) for number, file in files.items()
    ]


def message_in(body: Any) -> Mapping[str, Any]:
    """The message of a body: an interaction callback and a forum post wrap it."""
    if not isinstance(body, dict):
        return {}
    wrapped = body.get("data") or body.get("message")
    return wrapped if isinstance(wrapped, dict) else body


def render(response: Response) -> web.Response:
    # discord.py waits out a 429 only if it carries `Via`, which tells Discord from its proxy.
    headers = {"Via": "1.1 stand-in", **response.headers}
    match response.body:
        case None:
            return web.Response(status=response.status, headers=headers)
        case bytes():
            return web.Response(status=response.status, headers=headers, body=response.body)
        case str():
            return web.Response(
                status=response.status, headers=headers, text=response.body, content_type="text/html"
            )
    # No charset may follow: discord.py compares the whole header with "application/json".
    return web.Response(
        status=response.status,
        headers=headers,
        body=json.dumps(response.body).encode(),
        content_type="application/json",
    )
