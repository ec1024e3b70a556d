from pathlib import Path

from farthing.config import write_reference

PAGE = Path(__file__).parent.parent.parent / "docs" / "configuration.md"


def test_the_reference_in_the_docs_is_what_the_types_say():
    assert PAGE.read_text() == write_reference(), "run `make docs`"


def test_every_key_has_a_meaning():
    rows = [line for line in write_reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert [row for row in rows if row.endswith("|  |")] == []
