"""Every statement of `storage/` is one that PostgreSQL's own grammar takes."""

import ast
import importlib
import re
from pathlib import Path

import pglast
import pytest

FILES = sorted(Path(__file__).parents[2].glob("storage/*.py"))
STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|REPLACE)\b")
PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)")


class Texts(ast.NodeVisitor):
    """The strings of a module with their lines; f-strings with the module's own constants put in."""

    def __init__(self, constants: dict[str, object]) -> None:
        self._constants = constants
        self.found: list[tuple[int, str]] = []

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.found.append((node.lineno, node.value))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        parts = [
            str(self._constants.get(ast.unparse(part.value), "?"))
            if isinstance(part, ast.FormattedValue)
            else ast.literal_eval(part)
            for part in node.values
        ]
        self.found.append((node.lineno, "".join(parts)))


def statements_in(file: Path) -> list[tuple[int, str]]:
    texts = Texts(vars(importlib.import_module(f"storage.{file.stem}")))
    texts.visit(ast.parse(file.read_text("utf-8")))
    return [(line, text) for line, text in texts.found if STATEMENT.match(text)]


STATEMENTS = [
    pytest.param(sql, id=f"{file.name}:{line}") for file in FILES for line, sql in statements_in(file)
]


def for_postgres(sql: str) -> str:
    names = list(dict.fromkeys(PARAMETER.findall(sql)))
    return PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", sql)


@pytest.mark.parametrize("sql", STATEMENTS)
def test_postgresql_takes_it(sql: str) -> None:
    (statement,) = pglast.parse_sql(for_postgres(sql))
    assert statement.stmt is not None


def test_all_of_them_are_found() -> None:
    calls = sum(
        file.read_text("utf-8").count(call) for file in FILES for call in ("tx.run(", "tx.all(", "tx.one(")
    )
    reads = sum(file.read_text("utf-8").count(call) for file in FILES for call in (".read(", ".read_one("))
    assert len(STATEMENTS) >= calls + reads - 1  # `read_one` itself reads what it is given


@pytest.mark.parametrize(
    "sql", ["INSERT OR REPLACE INTO marks VALUES (:a, :b)", "SELECT * FROM marks WHERE name IS :name"]
)
def test_what_only_sqlite_takes_is_noticed(sql: str) -> None:
    with pytest.raises(pglast.parser.ParseError):
        pglast.parse_sql(for_postgres(sql))
