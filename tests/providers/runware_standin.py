"""A strict Runware on loopback: refuses what its pages refuse, answers task by task, and counts every charge."""

import re
from decimal import Decimal
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
    read_strictly,
)

V1 = "/v1"
LARGEST_BATCH = 20

_V4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_FLAG = {"type": "boolean"}
_URI = {"type": "string", "pattern": "^https?://[^/]"}
_PICTURE = {
    "type": "string",
    "pattern": "^(https?://[^/]|data:image/(jpeg|png|webp);base64,.|[0-9a-f-]{36}$|[A-Za-z0-9+/]+=*$)",
}


def _object(required: tuple[str, ...] = (), **fields: object) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "additionalProperties": False,
        "properties": fields,
    }


_FRAME = {
    "anyOf": [
        _PICTURE,
        _object(("image",), image=_PICTURE, frame={"enum": ["first", "last", 0, -1]}),
    ]
}
_INFERENCE = _object(
    ("taskType", "taskUUID", "model", "positivePrompt", "width", "height", "duration"),
    taskType={"const": "videoInference"},
    taskUUID={"type": "string"},
    model={"enum": ["minimax:3@1", "minimax:4@1", "minimax:4@2"]},
    positivePrompt={"type": "string", "minLength": 2, "maxLength": 2000},
    width={"type": "integer", "enum": [1366, 1920]},
    height={"type": "integer", "enum": [768, 1080]},
    duration={"type": "integer", "enum": [6, 10]},
    fps={"type": "integer", "const": 25},
    inputs=_object(frameImages={"type": "array", "minItems": 1, "maxItems": 2, "items": _FRAME}),
    providerSettings=_object(minimax=_object(promptOptimizer=_FLAG)),
    deliveryMethod={"const": "async"},
    outputType={"const": "URL"},
    outputFormat={"enum": ["MP4", "WEBM", "MOV"]},
    outputQuality={"type": "integer", "minimum": 20, "maximum": 99},
    numberResults={"type": "integer", "minimum": 1, "maximum": 20},
    includeCost=_FLAG,
    ttl={"type": "integer", "minimum": 60},
    webhookURL=_URI,
    uploadEndpoint=_URI,
    safety=_object(checkContent=_FLAG, mode={"enum": ["none", "fast", "full"]}),
)
_QUESTION = _object(("taskType", "taskUUID"), taskType={"const": "getResponse"}, taskUUID={"type": "string"})
_DETAILS = _object(
    ("taskType", "taskUUID", "operation"),
    taskType={"const": "accountManagement"},
    taskUUID={"type": "string"},
    operation={"const": "getDetails"},
)
_SIZES = {(1366, 768): "768P", (1920, 1080): "1080P"}


class RunwareStandIn(StandIn):
    """Where nothing but errors is to be told, `error_status` is the HTTP code.

    `oddly` answers in another order and with everything else it knows of; `unsafe` flags every clip. `balance` is in
    dollars, `wallet` shows it as an object. `costs` are told in place of the charges.
    """

    first = "queued"
    failed = "error"
    steps: ClassVar = {"queued": "processing", "processing": "success"}

    def __init__(self, *, key: str = "rw-stand-in-secret-key", auto: bool = False, clip: bytes = b"") -> None:
        super().__init__(key=key, auto=auto, clip=clip)
        self.error_status = 400
        self.oddly = False
        self.unsafe = False
        self.wallet = False
        self.balance = Decimal(100)
        self.codes: dict[str, str] = {}
        self.costs: dict[str, object] = {}

    def finish(self, job_id: str, *, clip: bytes | None = None, cost: object = None) -> None:
        """Succeed; a `cost` that is an amount replaces the charge, any other is only told."""
        if isinstance(cost, Decimal):
            self.charges[job_id] = cost
        elif cost is not None:
            self.costs[job_id] = cost
        super().finish(job_id, clip=clip)

    def fail(
        self, job_id: str, reason: str, *, cost: Decimal = Decimal(0), code: str = "inferenceError"
    ) -> None:
        self.codes[job_id] = code
        super().fail(job_id, reason, cost=cost)

    def _authorize(self, request: web.Request) -> None:
        if not self._has_key(request):
            raise Wrong(401, "the api key is wrong", "invalidApiKey")

    def _refusal(self, wrong: Wrong) -> web.Response:
        return web.json_response({"errors": [_entry(wrong)]}, status=wrong.status)

    def _answer(self, request: web.Request, path: str, body: bytes) -> web.Response:
        if (request.method, path, request.query_string) != ("POST", V1, ""):
            raise Wrong(404, "no such call", "invalidEndpoint")
        data: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for task in _tasks(body):
            try:
                data += self._done(task)
            except Wrong as wrong:
                if not isinstance(wrong, Missing):
                    self.refused.append(f"{task['taskType']}: {wrong.code} {wrong}")
                errors.append({"taskType": task["taskType"], "taskUUID": task["taskUUID"]} | _entry(wrong))
        if self.oddly:
            data = [self._item(job) for job in self.jobs.values() if job.status == "success"] + data
            errors.append(_entry(Wrong(400, "another's", "timeoutProvider")) | {"taskUUID": "f" * 8})
            data.reverse()
        view = {"data": data} if data or not errors else {}
        view |= {"errors": errors} if errors else {}
        return web.json_response(view, status=200 if data else self.error_status if errors else 200)

    def _done(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        match task["taskType"]:
            case "videoInference":
                return [self._submit(task)]
            case "getResponse":
                return self._status(task)
            case _:
                return [self._details(task)]

    def _submit(self, task: dict[str, Any]) -> dict[str, Any]:
        _check(task)
        if task["taskUUID"] in self.jobs:
            raise Missing("this taskUUID was used before", "conflictTaskUUID")
        if self.moderated in task["positivePrompt"]:
            raise Wrong(400, "the prompt is not allowed", "invalidProviderContent")
        resolution = _SIZES[task["width"], task["height"]]
        wish = {"duration": task["duration"], "resolution": resolution}
        price = list_price(wish, fast=task["model"] == "minimax:4@2") * task.get("numberResults", 1)
        if price > self._left():
            raise Wrong(402, "top up first", "insufficientCredits")
        self._make(task["taskUUID"], task["model"], task, price)
        return {"taskType": "videoInference", "taskUUID": task["taskUUID"]}

    def _status(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        if problem := problems(task, _QUESTION):
            raise Wrong(400, problem, "invalidParameter")
        job = self.jobs.get(task["taskUUID"])
        if not job:
            raise Missing("no such task", "taskFailedOrNotFound")
        self._read(job)
        if job.status == "error":
            code = self.codes.get(job.id, "inferenceError")
            raise _Failed(job.reason or "", code)
        return [] if job.status == "queued" else [self._item(job)]

    def _item(self, job: StandInJob) -> dict[str, Any]:
        item: dict[str, Any] = {"taskType": "videoInference", "taskUUID": job.id, "status": job.status}
        if job.status == "success":
            item |= {"videoUUID": job.id, "videoURL": self._clip_url(job), "seed": 17}
            if job.input.get("includeCost"):
                item["cost"] = self.costs.get(job.id, float(self.charges[job.id]))
            if job.input.get("safety", {}).get("checkContent"):
                item["NSFWContent"] = self.unsafe
        return item

    def _details(self, task: dict[str, Any]) -> dict[str, Any]:
        if problem := problems(task, _DETAILS):
            raise Wrong(400, problem, "invalidParameter")
        left = float(self._left())
        shown = {"amount": left - 1, "freeBalance": 1.0, "currency": "USD"} if self.wallet else left
        return task | {"organizationName": "Acme", "balance": shown, "apiKeys": [{"apiKey": "rw-s****"}]}

    def _left(self) -> Decimal:
        return self.balance - sum(self.charges.values())


class _Failed(Missing):
    """A failed job, told as an error; no mistake of the one who asks."""


def _entry(wrong: Wrong) -> dict[str, Any]:
    entry = {"code": wrong.code or "invalidRequest", "message": str(wrong)}
    return entry | ({"status": "error", "taskType": "videoInference"} if isinstance(wrong, _Failed) else {})


def _tasks(body: bytes) -> list[dict[str, Any]]:
    """The array of tasks; what is wrong with any of their frames is wrong with the request."""
    tasks = read_strictly(body)
    if not isinstance(tasks, list) or not 1 <= len(tasks) <= LARGEST_BATCH:
        raise Wrong(400, f"the body is an array of 1 to {LARGEST_BATCH} tasks", "invalidArray")
    if not all(isinstance(task, dict) and isinstance(task.get("taskUUID"), str) for task in tasks):
        raise Wrong(400, "every task is an object with a taskUUID", "missingTaskUUID")
    ids = [task["taskUUID"] for task in tasks]
    if len(set(ids)) != len(ids) or not all(map(_V4.fullmatch, ids)):
        raise Wrong(400, "every taskUUID is a version 4 UUID of its own", "invalidTaskUUID")
    kinds = {"videoInference", "getResponse", "accountManagement"}
    if not all(task.get("taskType") in kinds for task in tasks):
        raise Wrong(400, "no such task type", "unsupportedTaskType")
    return tasks


def _check(task: dict[str, Any]) -> None:
    if problem := problems(task, _INFERENCE):
        raise Wrong(400, problem, "invalidParameter")
    size = (task["width"], task["height"])
    if size not in _SIZES or (size == (1920, 1080) and task["duration"] == 10):
        raise Wrong(400, f"{size} does not go with {task['duration']} s", "unsupportedDimensions")
    frames = task.get("inputs", {}).get("frameImages", [])
    places = [_place(number, frame) for number, frame in enumerate(frames)]
    for frame in frames:
        check_data(frame if isinstance(frame, str) else frame["image"], 400, "invalidImage")
    allowed: dict[str, list[list[str]]] = {
        "minimax:3@1": [[], ["first"], ["first", "last"]],
        "minimax:4@1": [[], ["first"]],
        "minimax:4@2": [["first"]],
    }
    if sorted(places) not in allowed[task["model"]]:
        raise Wrong(400, f"{task['model']} takes no frames {places}", "unsupportedFrameImages")


def _place(number: int, frame: Any) -> str:
    """An image without a position becomes the first frame, a second one the last."""
    named = frame.get("frame") if isinstance(frame, dict) else None
    return {None: ["first", "last"][number], 0: "first", -1: "last"}.get(named, str(named))
