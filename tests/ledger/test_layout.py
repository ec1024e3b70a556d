import pytest

from farthing.ledger.layout import FileLock, Layout, SegmentName, is_locked


def test_a_segment_is_found_again_by_the_name_of_its_file():
    name = SegmentName("worker-3-0001788264000000", 12)
    assert SegmentName.parse(name.file) == name


@pytest.mark.parametrize("file", ["x.jnl", "x.1", ".x.000001.jnl.new", "x.a.jnl", "notes.txt"])
def test_other_files_are_no_segments(file):
    assert SegmentName.parse(file) is None


def test_segments_are_listed_by_run_and_in_order(tmp_path):
    layout = Layout(tmp_path)
    assert layout.segments() == {}
    layout.journal.mkdir()
    for file in ("b-1.000002.jnl", "a-1.000000.jnl", "b-1.000001.jnl", "readme"):
        (layout.journal / file).touch()
    assert layout.segments() == {
        "a-1": [SegmentName("a-1", 0)],
        "b-1": [SegmentName("b-1", 1), SegmentName("b-1", 2)],
    }


def test_a_lock_is_held_once_and_free_after_release(tmp_path):
    path = tmp_path / "lock"
    lock = FileLock.take(path)
    assert FileLock.take(path) is None
    assert is_locked(path)
    lock.release()
    assert not is_locked(path)


def test_a_file_that_cannot_be_opened_counts_as_held(tmp_path):
    assert is_locked(tmp_path / "missing")
