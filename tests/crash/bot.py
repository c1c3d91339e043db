"""The bot, as `python -m bot` runs it, with every point it passes written down: `python -m tests.crash.bot run`.

`CRASH_RECORD` names the file, `CRASH_AT` the point at which the process kills itself. Only one pause is left out:
progress messages are redrawn at once, since most of a run would be waiting for them.
"""

import os
from pathlib import Path

from bot import __main__
from bot.posting import board
from tests.crash.points import Points, watch


def main() -> None:
    board.EDIT_SECONDS = 0.05
    points = Points(Path(os.environ["CRASH_RECORD"]), os.environ.get("CRASH_AT"))
    watch(points, Path(os.environ["DATA_DIR"]))
    __main__.main()


if __name__ == "__main__":
    main()
