"""A strict MiniMax on loopback: refuses what its pages refuse, mostly with HTTP 200, and counts every charge."""

import itertools
from typing import Any, ClassVar

from aiohttp import web

from tests.providers.standin import (
    Missing,
    StandIn,
    StandInJob,
    Wrong,
    check_data,
    list_price,
    problems,
    query,
    read_strictly,
    shape,
)

SUBMIT = "/v1/video_generation"
QUERY = "/v1/query/video_generation"
RETRIEVE = "/v1/files/retrieve"

_FLAG = {"type": "boolean"}
_URL = {"type": "string", "pattern": "^https?://[^/]"}
_PICTURE = {"type": "string", "pattern": "^(https?://[^/]|data:image/(jpe?g|png|webp);base64,.)"}
_ALWAYS: dict[str, Any] = {"model": {"type": "string"}, "prompt_optimizer": _FLAG, "callback_url": _URL}
_LARGE = ["768P", "1080P"]
_TEXT = shape(_LARGE, fast_pretreatment=_FLAG, **_ALWAYS)
_IMAGE = shape(_LARGE, fast_pretreatment=_FLAG, first_frame_image=_PICTURE, **_ALWAYS)
_IMAGE_02 = shape(["512P", *_LARGE], fast_pretreatment=_FLAG, first_frame_image=_PICTURE, **_ALWAYS)
_BOTH = shape(_LARGE, first_frame_image=_PICTURE, last_frame_image=_PICTURE, **_ALWAYS)

#: By model, and whether there is a first frame and a last one. With frames the prompt may be left out.
SCHEMAS = {
    ("MiniMax-Hailuo-02", False, False): _TEXT,
    ("MiniMax-Hailuo-02", True, False): _IMAGE_02 | {"required": []},
    ("MiniMax-Hailuo-02", True, True): _BOTH | {"required": []},
    ("MiniMax-Hailuo-2.3", False, False): _TEXT,
    ("MiniMax-Hailuo-2.3", True, False): _IMAGE | {"required": []},
    ("MiniMax-Hailuo-2.3-Fast", True, False): _IMAGE | {"required": []},
}


class MiniMaxStandIn(StandIn):
    """`error_status` is the HTTP code that comes with an error in `base_resp`.

    Every retrieve makes a new link; `expire` ends those that were given out. `codes` are told with a job's status.
    """

    first = "Preparing"
    failed = "Fail"
    steps: ClassVar = {"Preparing": "Queueing", "Queueing": "Processing", "Processing": "Success"}

    def __init__(self, *, key: str = "mm-stand-in-secret-key", auto: bool = False, clip: bytes = b"") -> None:
        super().__init__(key=key, auto=auto, clip=clip)
        self.error_status = 200
        self.codes: dict[str, int] = {}
        self.links: set[str] = set()
        self._link_numbers = itertools.count(1)

    def expire(self) -> None:
        self.links.clear()

    def file_id(self, job_id: str) -> int:
        """An int64 that a float would not hold."""
        return 2**60 + 1 + int(job_id)

    def _authorize(self, request: web.Request) -> None:
        if not self._has_key(request):
            raise Wrong(self.error_status, "login fail: the api key is wrong", "1004")

    def _refusal(self, wrong: Wrong) -> web.Response:
        code = wrong.code if wrong.code.isdigit() else _PARAMETER
        base = {"status_code": int(code), "status_msg": str(wrong)}
        return web.json_response({"task_id": "", "base_resp": base}, status=self.error_status)

    def _routed(self, request: web.Request, body: bytes) -> web.Response:
        if request.path.startswith("/clips/") and request.query.get("link") not in self.links:
            return web.Response(status=403, text="expired")
        return super()._routed(request, body)

    def _answer(self, request: web.Request, path: str, body: bytes) -> web.Response:
        match request.method, path:
            case "POST", "/v1/video_generation":
                query(request)
                return self._submit(body)
            case "GET", "/v1/query/video_generation":
                return self._status(*query(request, "task_id"))
            case "GET", "/v1/files/retrieve":
                return self._retrieve(*query(request, "file_id"))
        raise Wrong(404, "no such call", _PARAMETER)

    def _submit(self, body: bytes) -> web.Response:
        wish = _checked(body)
        if self.moderated in wish.get("prompt", ""):
            raise Wrong(200, "the prompt is sensitive", "1026")
        price = list_price(wish, fast=wish["model"].endswith("Fast"))
        job = self._make(str(176_000_000_000_000_000 + self._number()), wish["model"], wish, price)
        return web.json_response({"task_id": job.id, "base_resp": _OK})

    def _status(self, job_id: str) -> web.Response:
        job = self.jobs.get(job_id)
        if not job:
            raise Missing("invalid params, no such task", _PARAMETER)
        self._read(job)
        return web.json_response(self.view(job))

    def view(self, job: StandInJob) -> dict[str, Any]:
        """The answer to a query of a job."""
        succeeded = job.status.lower() == "success"
        code = self.codes.get(job.id, 0)
        return {
            "task_id": job.id,
            "status": job.status,
            "file_id": str(self.file_id(job.id)) if succeeded else "",
            "video_width": 1366 if succeeded else 0,
            "video_height": 768 if succeeded else 0,
            "base_resp": {"status_code": code, "status_msg": job.reason or "success"},
        }

    def _retrieve(self, file_id: str) -> web.Response:
        found = [one for one in self.clips if str(self.file_id(one)) == file_id]
        if not found:
            raise Wrong(200, "no such file", _PARAMETER)
        link = str(next(self._link_numbers))
        self.links.add(link)
        file = {
            "file_id": int(file_id),
            "bytes": len(self.clips[found[0]]),
            "created_at": self.now,
            "filename": "output.mp4",
            "purpose": "video_generation",
            "download_url": f"{self._clip_url(self.jobs[found[0]])}?link={link}",
        }
        return web.json_response({"file": file, "base_resp": _OK})


_OK = {"status_code": 0, "status_msg": "success"}
_PARAMETER = "2013"


def _checked(body: bytes) -> dict[str, Any]:
    asked = read_strictly(body)
    if not isinstance(asked, dict):
        raise Wrong(200, "invalid params, the body is no object", _PARAMETER)
    frames = ("first_frame_image" in asked, "last_frame_image" in asked)
    schema = SCHEMAS.get((str(asked.get("model")), *frames))
    if not schema:
        raise Wrong(200, "invalid params, this model does not take these frames", _PARAMETER)
    if problem := problems(asked, schema):
        raise Wrong(200, f"invalid params, {problem}", _PARAMETER)
    for picture in (asked.get("first_frame_image", ""), asked.get("last_frame_image", "")):
        check_data(picture, 200, _PARAMETER)
    return asked
