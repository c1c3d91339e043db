"""Says whether this machine can make the clips of the sandbox."""

from typing import Any

import av

from bot.media.jobs import Refused


def run() -> dict[str, Any]:
    try:
        av.codec.Codec("libx264", "w")
    except (ValueError, av.FFmpegError):
        raise Refused(f"PyAV {av.__version__} has no libx264 encoder") from None
    return {"version": av.__version__}
