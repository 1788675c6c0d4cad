"""How far a batch is, in numbers that a person can check."""

from __future__ import annotations

from dataclasses import replace

from ctcfish.engine.status import Status

HALF = Status("b", "scored", slides=10, done=4, failed=0, worked=2, cells=1234, elapsed_s=720.0)


def test_the_rate_is_of_slides_that_took_work() -> None:
    assert HALF.slides_per_hour == 10.0
    assert HALF.remaining_s == 6 * 360.0
    assert HALF.line() == "4 of 10 slides, 1,234 cells, 10 slides/h, 0:36:00 left"


def test_before_the_first_slide_nothing_is_promised() -> None:
    start = replace(HALF, done=2, worked=0, cells=0, elapsed_s=0.0)
    assert (start.slides_per_hour, start.remaining_s) == (0.0, None)
    assert start.line() == "2 of 10 slides, 0 cells, 0 slides/h"
    assert replace(start, elapsed_s=5.0).remaining_s is None


def test_failures_are_told_and_the_last_slide_leaves_nothing() -> None:
    end = replace(HALF, done=10, failed=1)
    assert end.remaining_s == 0
    assert "10 of 10 slides, 1 failed" in end.line()
    assert end.told()["slides_per_hour"] == 10.0
    assert {"slide_id", "did", "remaining_s", "cells"} <= set(end.told())
