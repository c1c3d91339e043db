"""Tables as CSV, for spreadsheets and for programs."""

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal

Cell = str | int | Decimal

#: What a spreadsheet takes for the beginning of a formula, also after what it skips first.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def line(cells: Sequence[Cell]) -> str:
    """One row. Text is quoted, and no spreadsheet reads it as a formula; numbers are bare."""
    sheet = io.StringIO()
    guarded = [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in cells]
    csv.writer(sheet, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow(guarded)
    return sheet.getvalue()


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    return "".join([line(header), *map(line, rows)]).encode()
