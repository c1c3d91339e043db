"""Addresses that providers may call when a clip is ready: one for each task, which nobody can guess."""

import hashlib
import hmac

_PATH = "/hooks/"
_LENGTH = 40


class Hooks:
    """`public` is the address the outside reaches this bot at; `secret` stays the same over restarts."""

    def __init__(self, public: str, secret: bytes) -> None:
        self._public = public.rstrip("/")
        self._secret = secret

    def address(self, task_id: str) -> str:
        return f"{self._public}{_PATH}{task_id}/{self._signature(task_id)}"

    def task_of(self, path: str) -> str | None:
        """The task that an address of ours belongs to; None for any other path."""
        if not path.startswith(_PATH) or not path.isascii():
            return None
        task_id, _, signature = path.removeprefix(_PATH).partition("/")
        return task_id if hmac.compare_digest(signature, self._signature(task_id)) else None

    def _signature(self, task_id: str) -> str:
        return hmac.new(self._secret, task_id.encode(), hashlib.sha256).hexdigest()[:_LENGTH]
