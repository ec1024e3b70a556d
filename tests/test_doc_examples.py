"""What README and docs show is run: commands, configurations, queries, programs, outputs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from commands import address, environment, finished, started

from farthing.cli.root import cli
from farthing.clock import SystemClock
from farthing.config import load_config
from farthing.errors import ConfigError
from farthing.ledger import Ledger
from farthing.sim import Recorded, load_rules

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(farthing [^`]+)`")
YEAR_US = 366 * 86_400_000_000
CHAT = (
    'client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])'
)


def blocks(page, language):
    return [text for name, text in BLOCK.findall((ROOT / page).read_text()) if name == language]


def commands(page):
    """Every `farthing ...` of a page, in its blocks and between its words."""
    text = page.read_text()
    prose = BLOCK.sub("", text)
    lines = [line for _, block in BLOCK.findall(text) for line in block.splitlines()]
    shown = [line.removeprefix("$ ").split(" #")[0].strip() for line in lines]
    return [line for line in shown if line.startswith("farthing ")] + [
        " ".join(span.split()) for span in SPAN.findall(prose)
    ]


SHOWN = [
    pytest.param(command, id=f"{page.name}: {command}")
    for page in PAGES
    if page.name != "cli.md"  # generated, and checked as such
    for command in dict.fromkeys(commands(page))
    if re.match(r"farthing [a-z-]", command) and not command.startswith("farthing sim ready")
]


@pytest.mark.parametrize("command", SHOWN)
def test_a_command_that_a_page_shows_exists_with_its_options(command):
    words = shlex.split(command.replace("...", ""))[1:]
    found, context = cli, click.Context(cli)
    while isinstance(found, click.Group):
        while words and words[0].startswith("--"):  # the root's own option and its value
            del words[:2]
        step = found.get_command(context, words[0]) if words else None
        if step is None:
            break
        found = step
        del words[0]
    assert found is not cli or not words
    known = {name for option in [*cli.params, *found.params] for name in option.opts}
    known |= {"--help"} | {name for option in found.params for name in option.secondary_opts}
    wanted = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert wanted <= known


@pytest.mark.parametrize(
    ("page", "text"),
    [
        pytest.param(page.name, text, id=f"{page.name} {number}")
        for page in PAGES
        if page.name != "simulator.md"
        for number, text in enumerate(blocks(page, "toml"))
    ],
)
def test_a_configuration_that_a_page_shows_is_taken_as_it_is(page, text, tmp_path):
    path = tmp_path / "farthing.toml"
    path.write_text(text)
    try:
        load_config(str(path), {})
    except ConfigError as error:
        pytest.fail(f"{page}: {error}")


def test_the_simulators_rules_and_recordings_load_as_shown(tmp_path):
    (tmp_path / "rules.toml").write_text("\n".join(blocks("docs/simulator.md", "toml")))
    assert len(load_rules(tmp_path / "rules.toml")) == 4
    (lines,) = blocks("docs/simulator.md", "json")
    outcomes, samples = lines.splitlines()
    (tmp_path / "outcomes.jsonl").write_text(outcomes)
    (tmp_path / "samples.jsonl").write_text(samples)
    recorded = Recorded()
    recorded.add_outcomes(tmp_path / "outcomes.jsonl")
    recorded.add_samples(tmp_path / "samples.jsonl")
    assert recorded.knows("2 + 2?", "MODEL")
    assert recorded.answer("3 + 3?", "MODEL", 0, 0).answer == "6"


def test_the_simulators_program_runs():
    (text,) = blocks("docs/simulator.md", "python")
    program = "import asyncio\n" + text.replace("        print(simulator.log[-1].usage)\n", "")
    found = python(program + "\nasyncio.run(main())\n", folder=ROOT)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+\n", found.stdout)


def python(program, folder, **given):
    """A program that ends well."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        env=environment(**given),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


@pytest.fixture
def house(tmp_path):
    """A folder with a simulator behind its configuration; gives the folder."""
    with started("sim", "--port", "0", "--instant", folder=tmp_path) as sim:
        port = address(sim)
        (tmp_path / "farthing.toml").write_text(
            f"[ledger]\ndrain_interval_ms = 50\n"
            f'[providers.openai]\nbase_url = "http://127.0.0.1:{port}/v1"\n'
            f'[providers.anthropic]\nbase_url = "http://127.0.0.1:{port}"\n'
        )
        yield tmp_path


def reported(folder, *arguments):
    return json.loads(finished("report", "--json", *arguments, folder=folder).stdout)


def test_the_readmes_client_is_metered_and_its_commands_answer(house):
    program, _ = blocks("README.md", "python")
    with started("up", "--port", "0", folder=house, OPENAI_API_KEY="sk-x") as gateway:
        program = program.replace("127.0.0.1:4000", f"127.0.0.1:{address(gateway)}")
        python(f"{program}\n{CHAT}\nclient.close()", house, OPENAI_API_KEY="sk-any")
    assert [row["feature"] for row in reported(house)["rows"]] == ["support"]
    (call,) = json.loads(finished("calls", "--json", folder=house).stdout)["calls"]
    shown = [line for block in blocks("README.md", "sh") for line in block.splitlines()]
    answered = 0
    for line in shown:
        words = shlex.split(line, comments=True)
        if words[:1] == ["farthing"] and words[1] != "up":
            words = [call["id"] if word == "CALL_ID" else word for word in words[1:]]
            found = finished(*words, folder=house)
            assert (found.returncode, bool(found.stdout or found.stderr)) == (0, True), line
            answered += 1
    assert answered == 7
    assert (house / "costs.csv").exists()


def test_the_readmes_program_without_a_server_is_metered(house):
    _, program = blocks("README.md", "python")
    python(program, house, OPENAI_API_KEY="sk-x")
    (row,) = reported(house)["rows"]
    assert (row["feature"], row["calls"]) == ("support", 1)


def test_the_query_of_the_ledgers_page_gives_the_reports_sums(house):
    program = (
        "from farthing import Farthing\nfrom farthing.usage import Usage\n"
        "with Farthing() as f:\n"
        "    f.record(model='gpt-4o', usage=Usage(input=1000, output=10))\n"
    )
    python(program, house)
    with Ledger.open(house / "farthing-data") as ledger:
        ledger.seal(SystemClock().now_us() + YEAR_US)
        expected = ledger.report().total
    (query,) = blocks("docs/ledger.md", "sql")
    rows = subprocess.run(
        [sys.executable, "-c", f"import duckdb; print(duckdb.sql({query!r}).fetchall())"],
        cwd=house,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"'', 1, {float(str(expected))}" in re.sub(r"Decimal\('(\d+)'\)", r"\1", rows)


def test_the_report_that_the_readme_shows_is_the_demos(tmp_path):
    """Durations differ from run to run; every other character is the same."""
    shown = next(block for block in blocks("README.md", "") if "calls made" in block)
    printed = finished("demo", folder=tmp_path).stdout
    assert stable(shown) == stable(printed[printed.index("760 calls") : printed.index("tokens   ")])


def stable(text):
    lines = text.strip().splitlines()
    return [" ".join(re.sub(r"( +[\d,]+){2}$", "", line).split()) for line in lines]


def test_make_has_what_the_readme_says():
    targets = {
        line.split()[1]
        for block in blocks("README.md", "sh")
        for line in block.splitlines()
        if line.startswith("make ")
    }
    makefile = (ROOT / "Makefile").read_text()
    assert targets == {"demo", "test"}
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
