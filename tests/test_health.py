"""The three parts of health, and the sign of life that another process reads."""

import asyncio
import os
from pathlib import Path

import pytest

from bot import health
from tests.patient import Patient


async def test_before_anything_has_begun_nothing_is_well() -> None:
    assert Patient().health.parts() == {
        "gateway": "not connected to Discord",
        "database": "not written to",
        "scheduler": "not started",
    }


async def test_the_database_is_well_only_as_long_as_writes_go_on() -> None:
    patient = Patient()
    await patient.recover()
    patient.seconds += 90
    assert patient.health.parts()["database"] == "well"
    patient.seconds += 1
    assert patient.health.parts()["database"] == "not written to for 91 seconds"


async def test_a_write_that_fails_is_told_at_once_and_is_over_with_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    patient = Patient()
    await patient.recover()
    await patient.fill_disk()
    assert patient.health.parts()["database"] == "not written to for 0 seconds"
    assert "The disk is full." in caplog.text
    await patient.recover()
    assert patient.health.parts()["database"] == "well"


async def test_the_scheduler_may_take_its_time_but_not_stall() -> None:
    patient = Patient()
    await patient.recover()
    patient.seconds += 120
    assert patient.health.parts()["scheduler"] == "well"
    patient.seconds += 1
    assert patient.health.parts()["scheduler"] == "no round finished for 121 seconds"


async def test_another_process_reads_the_same_three_parts(tmp_path: Path) -> None:
    assert health.problem(tmp_path) == f"no bot on the data folder {tmp_path} has left a sign of life"
    patient = Patient()
    for part, harm in patient.harms.items():
        await patient.recover()
        health.leave(tmp_path, patient.health.parts())
        assert health.problem(tmp_path) is None
        await harm()
        health.leave(tmp_path, patient.health.parts())
        assert str(health.problem(tmp_path)).startswith(
            f"{part}: not " if part != "scheduler" else "scheduler: no "
        )
    os.utime(tmp_path / "alive", (0, 0))
    assert "hangs, is offline or has ended" in str(health.problem(tmp_path))
    (tmp_path / "alive").write_bytes(b"")
    assert "has left a sign of life" in str(health.problem(tmp_path))


async def test_a_folder_that_takes_no_file_is_logged_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    health.leave(tmp_path / "gone", {"gateway": "well"})
    assert "no sign of life can be left" in caplog.text


async def test_the_sign_of_life_ends_with_the_bot(tmp_path: Path) -> None:
    patient = Patient()
    (tmp_path / "alive").write_text("{}")  # a crash has left it
    left = asyncio.Event()

    async def write() -> None:
        assert not (tmp_path / "alive").exists()
        left.set()

    patient.health._write = write
    beating = asyncio.create_task(patient.health.beat(tmp_path))
    await left.wait()
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)
    assert not (tmp_path / "alive").exists()
