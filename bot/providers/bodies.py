"""What is sent to a provider: canonical JSON, and pictures as addresses or data."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.domain.errors import JobRejected, Unreadable
from bot.domain.language import kept
from bot.domain.task import Frame

#: Bytes of a picture that is sent as data.
LARGEST_FRAME = 3_000_000


def canonical(wish: Any) -> bytes:
    """JSON that is the same to the byte for the same wish; what is no text (a lone surrogate) becomes a `?`."""
    text = json.dumps(wish, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "replace")


def picture(frame: Frame, read: Callable[[Path], bytes], label: str) -> str:
    """Its address where it has one, else the picture itself; `JobRejected` where it is too large for that."""
    if frame.url:
        return frame.url
    try:
        found = read(Path(frame.path))
    except (OSError, Unreadable) as error:
        raise JobRejected(kept("The picture is no longer on this machine; send it again.")) from error
    if len(found) > LARGEST_FRAME:
        most = f"{LARGEST_FRAME / 1e6:g}"
        raise JobRejected(
            kept(
                "The picture has more than the {megabytes} MB that {provider} takes.",
                megabytes=most,
                provider=label,
            )
        )
    return f"data:image/jpeg;base64,{base64.b64encode(found).decode('ascii')}"


def address(frame: Frame, refusal: str) -> str:
    """Its public address; `JobRejected` with this sentence where it has none."""
    if not frame.url or not frame.url.startswith(("http://", "https://")):
        raise JobRejected(refusal)
    return frame.url
