"""The rules of `pyproject.toml` on who may import whom."""

from importlinter import configuration
from importlinter.application.use_cases import lint_imports

configuration.configure()


def test_imports_go_one_way(capsys: object) -> None:
    assert lint_imports(), "run `lint-imports` to see which import breaks which contract"
