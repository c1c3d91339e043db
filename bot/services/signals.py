"""What one part tells all others without knowing them: a task has changed, or something may be due."""

from collections.abc import Callable

from bot.domain.task import Task


class Signals:
    """Neither call blocks or fails; who listens does its work later."""

    def __init__(self) -> None:
        self._changed: list[Callable[[Task], None]] = []
        self._wake: list[Callable[[], None]] = []

    def listen(self, *, changed: Callable[[Task], None] | None = None, wake: Callable[[], None]) -> None:
        self._wake.append(wake)
        if changed:
            self._changed.append(changed)

    def changed(self, task: Task) -> None:
        """What is shown of a task is out of date."""
        for listener in self._changed:
            listener(task)

    def wake(self) -> None:
        """There may be something to do now, before the next look at the clock."""
        for listener in self._wake:
            listener()
