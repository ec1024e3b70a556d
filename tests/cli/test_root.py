"""The root command: what holds for all of them."""

from __future__ import annotations

import json

import pytest
from commands import finished
from ledger_cli_samples import run

from farthing import __version__


def test_a_misspelt_command_is_bad_use_and_the_nearest_is_named(tmp_path):
    found = finished("prise", "gpt-4o", folder=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert "Did you mean price?" in found.stderr


def test_a_command_like_none_is_told_where_the_list_is():
    found = run("zzz")
    assert found.exit_code == 2
    assert "`farthing --help` lists them" in found.stderr


def test_the_version_is_told():
    assert run("--version").stdout.split()[-1] == __version__


def test_each_command_has_help_and_the_help_names_each_command():
    listed = run("--help").stdout.partition("Commands:")[2]
    for line in listed.strip().splitlines():
        command = line.split()[0]
        assert run(command, "--help").exit_code == 0, command


@pytest.mark.parametrize(
    "arguments",
    [
        ("report",),
        ("report", "--json"),
        ("calls", "--json"),
        ("calls", "show", "call_x", "--json"),
        ("reprice", "--json"),
        ("export", "--format", "csv"),
    ],
    ids=" ".join,
)
def test_without_a_ledger_a_command_says_so_and_makes_none(arguments, tmp_path):
    found = finished(*arguments, folder=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert "There is no ledger in farthing-data" in found.stderr
    assert "Name the folder with --data-dir" in found.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "7x", ""])
@pytest.mark.parametrize("command", ["report", "calls", "reprice"])
def test_a_bad_date_is_told_with_the_forms_that_are_read(command, text, tmp_path):
    found = finished(command, "--since", text, "--json", folder=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert "write 7d, 12h, 30m, 2026-11-01 or 2026-11-01T09:00Z" in found.stderr


def test_a_configuration_that_is_not_there_is_told(tmp_path):
    found = finished("--config", "none.toml", "price", "gpt-4o", folder=tmp_path)
    assert found.returncode == 2
    assert "none.toml can't be read: No such file" in found.stderr


def test_a_file_that_cannot_be_written_is_told_without_a_trace(tmp_path):
    found = finished("demo", "--dir", "/proc/none", folder=tmp_path)
    assert found.returncode == 2
    assert "/proc/none: No such file or directory" in found.stderr
    assert "Traceback" not in found.stderr


def test_json_goes_to_stdout_alone(tmp_path):
    found = finished("price", "gpt-4o", "--input", "1", "--json", folder=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout)["cost_usd"] == "0.0000025"
