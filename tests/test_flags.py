from __future__ import annotations

from enum import IntFlag

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctcfish.flags import CellFlag, Reason, SlideFlag, SpotFlag, from_text, sentence, to_text

KINDS = [SpotFlag, CellFlag, SlideFlag]


@pytest.mark.parametrize("kind", KINDS)
def test_every_flag_has_one_bit_and_one_sentence(kind: type[IntFlag]) -> None:
    assert sorted(f.value for f in kind) == [1 << i for i in range(len(kind))]
    for flag in kind:
        assert sentence(flag).endswith(".")


def test_no_two_flags_share_a_sentence() -> None:
    flags = [f for kind in KINDS for f in kind]
    assert len({sentence(f) for f in flags}) == len(flags)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_text_and_bits_are_inverse(kind: type[IntFlag], data: st.DataObject) -> None:
    bits = data.draw(st.lists(st.integers(0, (1 << len(kind)) - 1), max_size=20))
    assert from_text(to_text(bits, kind), kind).tolist() == bits


def test_missing_text_is_no_flag() -> None:
    assert from_text([None, float("nan"), ""], CellFlag).tolist() == [0, 0, 0]


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError, match="NO_SUCH"):
        from_text(["NO_SUCH"], CellFlag)


def test_every_reason_is_its_own_name() -> None:
    assert all(reason.value == reason.name for reason in Reason)
