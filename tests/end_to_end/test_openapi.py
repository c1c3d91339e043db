"""Every request the bot makes of Discord, checked against Discord's own OpenAPI document."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from bot.demo.standin import Request
from tests.end_to_end.stage import PATIENCE, REPOSITORY, Process, Stage
from tests.end_to_end.test_killed import Moment, first_drawing, killed_at

DOCUMENT = REPOSITORY.parent / "shared" / "discord" / "openapi.json"
#: Documented on Discord's pages but not in the document.
_UNLISTED = {
    "tts": {"type": "boolean"},
    "nsfw": {"type": "boolean"},
    "data": {"type": "null"},
    # Of an embed; discord.py sends it always.
    "flags": {"type": "integer"},
    # Of the files that an edit keeps: discord.py repeats all that Discord told of them.
    **{name: {"type": "string"} for name in ("content_type", "proxy_url", "url")},
    "size": {"type": "integer"},
    "spoiler": {"type": "boolean"},
}


def _strict(schema: dict[str, Any]) -> Any:
    """Close every object, so that a misspelt key is seen, and take ids that are numbers, as Discord does."""
    if schema.get("format") == "snowflake":
        return {**schema, "type": ["string", "integer"]}
    properties = schema.get("properties")
    # The files of a multipart body are no part of its JSON.
    if isinstance(properties, dict) and not {"additionalProperties", "files[0]"} & {*schema, *properties}:
        return {**schema, "properties": {**_UNLISTED, **properties}, "additionalProperties": False}
    return schema


class Document:
    def __init__(self, path: Path) -> None:
        self._contents = json.loads(path.read_text("utf-8"), object_hook=_strict)
        resource = Resource.from_contents(self._contents, default_specification=DRAFT202012)
        self._registry = Registry().with_resource("urn:discord", resource)
        templates = sorted(self._contents["paths"], key=lambda template: template.count("{"))
        self._paths = {re.sub(r"\{\w+\}", "[^/]+", template): template for template in templates}
        self._validator = cache(self._build)

    def problems(self, request: Request) -> list[str]:
        operation = self.operation(request)
        if operation is None:
            return [f"{request.method} {request.path}: no such operation"]
        known = self._contents["paths"][operation[0]]
        parameters = known[operation[1]].get("parameters", [])
        named = {one["name"] for one in parameters if one["in"] == "query"}
        found = [f"{operation}: no parameter {name}" for name in request.query if name not in named]
        if "requestBody" not in known[operation[1]]:
            return found + [f"{operation}: takes no body" for _ in [request.json] if request.json]
        if request.content_type not in known[operation[1]]["requestBody"]["content"]:
            return [*found, f"{operation}: takes no {request.content_type}"]
        errors = self._validator(*operation, request.content_type).iter_errors(request.json)
        return found + [f"{operation}: {error.json_path}: {error.message[:300]}" for error in errors]

    def operation(self, request: Request) -> tuple[str, str] | None:
        for pattern, template in self._paths.items():
            method = request.method.lower()
            if re.fullmatch(pattern, request.path) and method in self._contents["paths"][template]:
                return template, method
        return None

    def _build(self, template: str, method: str, content_type: str) -> jsonschema.Draft202012Validator:
        path = template.replace("/", "~1")
        body = f"requestBody/content/{content_type.replace('/', '~1')}/schema"
        schema = {"$ref": f"urn:discord#/paths/{path}/{method}/{body}"}
        return jsonschema.Draft202012Validator(schema, registry=self._registry)


async def use_everything(stage: Stage) -> None:
    """All commands, a menu that completes, buttons, refusals, a direct message, and what a restart needs."""
    bot = await stage.start(USER_DAILY_LIMIT="100")
    await make_clips(stage)
    for command in ("usage", "formats", "tasks list", "privacy show", "privacy export", "privacy erase"):
        await stage.say(command)
    (task, *_) = stage.rows("SELECT id FROM tasks")
    await stage.say("tasks show", task=task["id"])
    choices = await stage.discord.autocomplete(stage.ann, stage.channel, "tasks show", "task", "paper")
    assert choices
    await stage.say("video text", raw=True, prompt="\u200b")
    await post_to_a_member(stage)
    await recover(stage, bot)


async def make_clips(stage: Stage) -> None:
    frames: dict[str, Any] = {"first_frame": ("a.jpg", stage.picture), "last_frame": ("b.jpg", stage.picture)}
    stage.mindvideo.auto = False
    asked = await stage.ask("video text", prompt="a paper boat", camera="Pan left", enhance=False, count=4)
    await stage.mindvideo.until(lambda: len(stage.mindvideo.jobs) == 2, seconds=PATIENCE)
    (begun,), waiting = stage.progress(), stage.rows("SELECT id FROM tasks WHERE state = 'held'")
    await stage.answer(
        await stage.discord.click(stage.ann, begun, custom_id=f"conch:cancel:{waiting[0]['id']}")
    )
    await stage.say("tasks cancel", task=waiting[1]["id"])
    for job in list(stage.mindvideo.jobs):
        stage.mindvideo.finish(job)
    await stage.until(lambda: asked.response and asked.response.words.count("✅ Ready: ") == 2)
    stage.mindvideo.auto = True
    await stage.ask("video image", prompt="zoom", first_frame=frames["first_frame"])
    await stage.ask("video transition", prompt="fade", **frames)
    await stage.linked(4)


async def post_to_a_member(stage: Stage) -> None:
    closed = await stage.discord.add_channel(stage.server, "closed")
    stage.mindvideo.auto = False
    known = set(stage.mindvideo.jobs)
    await stage.ask("video text", prompt="to me", at=closed)
    await stage.mindvideo.until(lambda: len(stage.mindvideo.jobs) > len(known), seconds=PATIENCE)
    await stage.discord.delete_channel(closed)
    stage.mindvideo.finish(next(job for job in stage.mindvideo.jobs if job not in known))
    direct = await stage.discord.dm(stage.ann)
    await stage.until(lambda: stage.clips(direct))
    stage.mindvideo.auto = True


async def recover(stage: Stage, bot: Process) -> None:
    """Killed before its progress message: the next start looks through the channel, and posts one."""
    await stage.ask("video image", prompt="again", first_frame=("a.jpg", stage.picture))
    await killed_at(stage, bot, Moment("discord", "before", first_drawing))
    stage.let_time_pass()
    await stage.start(USER_DAILY_LIMIT="100")
    await stage.linked(5)


@pytest.mark.skipif(not DOCUMENT.exists(), reason=f"{DOCUMENT} is not there")
async def test_every_request_is_one_that_discord_documents(stage: Stage) -> None:
    document = Document(DOCUMENT)
    await use_everything(stage)
    requests = [request for request in stage.discord.requests if not request.path.startswith("/cdn/")]
    assert [problem for request in requests for problem in document.problems(request)] == []
    assert {document.operation(request) for request in requests} >= {
        ("/applications/{application_id}/commands", "put"),
        ("/interactions/{interaction_id}/{interaction_token}/callback", "post"),
        ("/webhooks/{webhook_id}/{webhook_token}/messages/@original", "patch"),
        ("/webhooks/{webhook_id}/{webhook_token}/messages/@original", "delete"),
        ("/webhooks/{webhook_id}/{webhook_token}", "post"),
        ("/channels/{channel_id}/messages", "post"),
        ("/channels/{channel_id}/messages", "get"),
        ("/channels/{channel_id}/messages/{message_id}", "patch"),
        ("/users/@me/channels", "post"),
    }


@pytest.mark.skipif(not DOCUMENT.exists(), reason=f"{DOCUMENT} is not there")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/channels/1/messages", {"contents": "misspelt"}),
        ("/channels/1/messages", {"content": "x", "nonce": "n" * 26}),
        ("/applications/1/commands", [{"name": "n", "options": [{"type": 3, "name": "o"}]}]),
        ("/nowhere", {}),
    ],
)
def test_the_document_finds_what_is_wrong(path: str, body: Any) -> None:
    method = "PUT" if isinstance(body, list) else "POST"
    request = Request(method, path, {}, body, (), "application/json", authorized=True)
    assert Document(DOCUMENT).problems(request)
