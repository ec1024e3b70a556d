"""What is packed is unpacked whole or refused: never a part in silence, never more than allowed."""

from __future__ import annotations

import gzip
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packing import zstd

from farthing.compression import BrokenOff, NoZstd, TooLong, gunzip, unpacked, unzstd

KINDS = pytest.mark.parametrize(
    ("pack", "unpack"),
    [(gzip.compress, gunzip), (zlib.compress, gunzip), (zstd.compress, unzstd)],
    ids=["gzip", "zlib", "zstd"],
)
PLAIN = b"a farthing is a quarter of a penny. " * 100


@KINDS
@given(data=st.binary())
def test_what_was_packed_comes_back(pack, unpack, data):
    assert unpack(pack(data), len(data)) == data


@KINDS
def test_parts_that_follow_each_other_are_all_read(pack, unpack):
    assert unpack(pack(PLAIN) + pack(b"!"), len(PLAIN) + 1) == PLAIN + b"!"


@KINDS
def test_many_small_parts_are_read_across_the_chunks_they_are_read_in(pack, unpack):
    packed = b"".join(pack(b"%d," % number) for number in range(3000))
    assert unpack(packed, 100_000) == b"".join(b"%d," % number for number in range(3000))


@KINDS
@given(data=st.data())
def test_what_is_cut_anywhere_is_refused(pack, unpack, data):
    packed = pack(PLAIN)
    cut = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(BrokenOff):
        unpack(packed[:cut], len(PLAIN))


@KINDS
def test_what_follows_and_is_none_is_refused(pack, unpack):
    with pytest.raises(BrokenOff):
        unpack(pack(PLAIN) + b"and more", len(PLAIN))


@KINDS
def test_no_byte_over_the_limit_is_unpacked(pack, unpack):
    assert unpack(pack(PLAIN), len(PLAIN)) == PLAIN
    with pytest.raises(TooLong, match=f"over {len(PLAIN) - 1} bytes"):
        unpack(pack(PLAIN), len(PLAIN) - 1)
    with pytest.raises(TooLong):
        unpack(pack(PLAIN) * 2, len(PLAIN) + 1)


def test_a_zstd_window_over_the_limit_is_refused():
    window = {zstd.CompressionParameter.window_log: 24}
    packed = zstd.compress(b"x" * (1 << 25), options=window)
    assert len(unzstd(packed, 1 << 25)) == 1 << 25
    with pytest.raises(BrokenOff, match="memory"):
        unzstd(packed, 1 << 25, window_log_most=23)


def test_a_files_kind_is_told_by_its_first_bytes():
    for packed in (PLAIN, gzip.compress(PLAIN), zstd.compress(PLAIN)):
        assert unpacked(packed) == PLAIN


def test_without_a_module_for_zstd_it_is_said_how_to_get_one(monkeypatch):
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(NoZstd, match=r"farthing\[zstd\]"):
        unpacked(b"\x28\xb5\x2f\xfd")
