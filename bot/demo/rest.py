"""The REST half: simcord's routes, and before them the refusals that simcord does not know."""

import re
from collections.abc import Mapping
from typing import Any, Final

from simcord.backend import errors
from simcord.backend.errors import BackendError
from simcord.http import RouteNotImplemented, UnsupportedField
from simcord.http.router import dispatch

from bot.demo.wire import Request, Response, Upload, message_in
from bot.demo.world import World

_TOKEN_ROUTE: Final = re.compile(r"/(interactions|webhooks)/\d+/(?P<token>[^/]+)")
_POST: Final = re.compile(r"/channels/(?P<channel>\d+)/messages")
_GAPS: Final = (KeyError, TypeError, ValueError, NotImplementedError)
"""What simcord lets escape where a body is of a shape that it does not expect."""

_MAX_NONCE: Final = 25


class Rest:
    def __init__(self, world: World) -> None:
        self.gateway_url = ""
        self._world = world
        self._backend = world.backend
        self._sent: dict[tuple[int, str], tuple[float, int]] = {}

    def answer(self, request: Request, uploads: list[Upload]) -> Response:
        try:
            self._refuse(request)
            body = self._route(request, uploads)
        except (RouteNotImplemented, UnsupportedField) as gap:
            self._world.problems.append(str(gap))
            return Response(501, gap.to_json())
        except BackendError as error:
            return Response(error.status, error.to_json())
        except _GAPS as gap:
            self._world.problems.append(f"{request}: {gap!r}")
            return Response(400, errors.invalid_form_body().to_json())
        return Response(204) if body is None else Response(200, body)

    def _refuse(self, request: Request) -> None:
        with_token = _TOKEN_ROUTE.match(request.path)
        if with_token and with_token[1] == "webhooks":
            self._refuse_token(with_token["token"])
        if not (with_token or request.authorized):
            raise BackendError(401, 0, "401: Unauthorized")
        if any(size > self._world.upload_limit for _, size in request.files):
            raise BackendError(413, 40005, "Request entity too large")

    def _refuse_token(self, token: str) -> None:
        record = self._backend.interactions.get(self._backend.interaction_tokens.get(token))
        if record and self._backend.now_iso() >= record.expires_at:
            raise BackendError(401, 50027, "Invalid Webhook Token")
        if record and not record.responded:
            raise errors.unknown_webhook()

    def _route(self, request: Request, uploads: list[Upload]) -> Any:
        post = _POST.fullmatch(request.path) if request.method == "POST" else None
        if post:
            return self._post(int(post["channel"]), request, uploads)
        match (request.method, request.path):
            case ("GET", "/gateway"):
                return {"url": self.gateway_url}
            case ("GET", "/gateway/bot"):
                limit = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
                return {"url": self.gateway_url, "shards": 1, "session_start_limit": limit}
            case ("GET", "/applications/@me"):
                return dispatch(self._backend, "GET", "/oauth2/applications/@me")
        return self._dispatch(request, uploads)

    def _dispatch(self, request: Request, uploads: list[Upload]) -> Any:
        return dispatch(
            self._backend,
            request.method,
            request.path,
            json=request.json,
            params=dict(request.query),
            files=uploads,
        )

    def _post(self, channel_id: int, request: Request, uploads: list[Upload]) -> Any:
        message = message_in(request.json)
        self._refuse_post(channel_id, message, uploads)
        nonce = message.get("nonce")
        if nonce is None:
            return self._dispatch(request, uploads)
        if len(str(nonce)) > _MAX_NONCE:
            reason = {"code": "BASE_TYPE_MAX_LENGTH", "message": f"Must be {_MAX_NONCE} or fewer in length."}
            raise errors.invalid_form_body(errors={"nonce": {"_errors": [reason]}})
        return self._post_once(channel_id, nonce, request, uploads)

    def _refuse_post(self, channel_id: int, message: Mapping[str, Any], uploads: list[Upload]) -> None:
        channel = self._backend.get_channel(channel_id)
        if self._backend.closed_dms.intersection(channel.recipient_ids):
            raise errors.cannot_dm_bot()
        needed = ["send_messages_in_threads" if channel.is_thread else "send_messages"]
        if uploads:
            needed.append("attach_files")
        if message.get("embeds"):
            needed.append("embed_links")
        self._backend.require_permissions(channel.guild_id, self._backend.bot_user.id, channel_id, *needed)

    def _post_once(self, channel_id: int, nonce: str | int, request: Request, uploads: list[Upload]) -> Any:
        now = self._backend.clock.now().timestamp()
        at, first = self._sent.get((channel_id, str(nonce)), (0.0, 0))
        known = now - at < self._world.nonce_seconds and first in self._backend.messages[channel_id]
        if known and request.json.get("enforce_nonce"):
            payload = dispatch(self._backend, "GET", f"/channels/{channel_id}/messages/{first}")
            return {**payload, "nonce": nonce}
        self._backend.nonce = nonce
        try:
            payload = self._dispatch(request, uploads)
        finally:
            self._backend.nonce = None
        self._sent[channel_id, str(nonce)] = (now, int(payload["id"]))
        return {**payload, "nonce": nonce}
