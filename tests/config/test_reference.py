from farthing.config import write_reference


def test_every_key_has_a_meaning():
    rows = [line for line in write_reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert [row for row in rows if row.endswith("|  |")] == []


def test_a_required_key_says_so_and_a_default_is_shown():
    page = write_reference()
    assert "| `targets` | list[str] | required |" in page
    assert "| `port` | int | `4000` | `FARTHING_GATEWAY_PORT` |" in page
