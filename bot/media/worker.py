"""The child process: limits itself, only then loads a decoder, does one job and ends.

One JSON object comes on stdin, one line of JSON goes out on stdout: `{"done": …}`, `{"refused": "sentence"}` or
`{"failed": "sentence"}`.
"""

import contextlib
import importlib
import json
import os
import sys
from typing import Any

from bot.domain.language import kept
from bot.media.jobs import Refused

JOBS = frozenset({"picture", "shape", "clip", "paint", "fit", "codecs", "chart", "last_frame", "join"})
#: No job writes a larger file.
_LARGEST_FILE = 1 << 29
_NICENESS = 10


def main(job: str) -> None:
    order = json.loads(sys.stdin.buffer.read())
    _limit(order["cpu_seconds"], order["memory_bytes"])
    answer = _work(job, order["arguments"])
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _limit(cpu_seconds: int, memory_bytes: int) -> None:
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - Windows has none

    os.nice(_NICENESS)
    wanted = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: _LARGEST_FILE,
        resource.RLIMIT_CORE: 0,
    }
    # macOS knows RLIMIT_AS and refuses to set it.
    refusing = (
        contextlib.suppress(ValueError, OSError) if sys.platform == "darwin" else contextlib.nullcontext()
    )
    for limit, value in wanted.items():
        _soft, hard = resource.getrlimit(limit)
        # One more on the hard side: the soft CPU limit ends us with a signal of its own name.
        highest = value + 1 if hard == resource.RLIM_INFINITY else min(value + 1, hard)
        with refusing:
            resource.setrlimit(limit, (min(value, highest), highest))


def _work(job: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if job not in JOBS:
        return {"failed": f"there is no job {job!r}"}
    try:
        return {"done": importlib.import_module(f"bot.media.jobs.{job}").run(**arguments)}
    except Refused as refusal:
        return {"refused": str(refusal)}
    except MemoryError:
        return {"failed": kept("it needs too much memory")}
    except Exception as error:  # noqa: BLE001 - the last line of a process of its own: the parent must be told
        # The words of an OSError alone: a path of this machine is nothing for a member.
        text = error.strerror if isinstance(error, OSError) else str(error)[:300]
        return {"failed": f"{type(error).__name__}: {text}"}
