"""`farthing route compile`: a policy with its certificate, or the reason why there is none."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from farthing.cli.output import console, print_json
from farthing.cli.route_files import (
    CONFIDENCE,
    FILE,
    JSON,
    LABELS,
    LEARN,
    SEED,
    SHARE,
    bad_lines,
    document,
    print_notes,
    print_policy,
    read_table,
    route_secret,
)
from farthing.config import load_config
from farthing.errors import CallerError
from farthing.levers.routing import write_policy
from farthing.levers.routing.encoder import HASHED
from farthing.levers.routing.step import alone

__all__ = ["compile_"]


@click.command("compile")
@FILE
@click.option("--incumbent", help="The model that serves today  [required without --pool].")
@click.option("--pool", help="Take the incumbent and the models from this pool; leave others out.")
@click.option("--floor", type=SHARE, default=0.98, show_default=True, help="Of its quality.")
@CONFIDENCE
@LABELS
@click.option(
    "--horizon",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Calls to come over which the floor should be seen to hold, besides in the long run.",
)
@click.option("--class-floor", "class_floors", multiple=True, help="Hard floor: CLASS=0.99.")
@click.option(
    "--explore",
    is_flag=True,
    help="Also certify further steps of each class, for explore_share to choose among.",
)
@LEARN
@click.option("--out", type=click.Path(dir_okay=False), help="Write the signed policy here.")
@SEED
@JSON
@click.pass_obj
def compile_(
    config_path: str | None,
    outcomes: str,
    *,
    incumbent: str | None,
    pool: str | None,
    floor: float,
    confidence: float,
    labels: int | None,
    horizon: int,
    class_floors: tuple[str, ...],
    explore: bool,
    learn: str | None,
    out: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Compile a policy from OUTCOMES, certified on prompts that did not choose it.

    Exit 1 where no saving can be shown: the incumbent then stays. FARTHING_ROUTE_SECRET, where
    set, signs the policy.
    """
    incumbent, allowed = _asked(config_path, pool, incumbent)
    found, made, prices = read_table(config_path, outcomes, incumbent, allowed)
    from farthing.levers.routing.certify import Terms, certify  # noqa: PLC0415 - needs numpy

    terms = Terms(
        floor=floor,
        confidence=confidence,
        horizon=horizon,
        class_floors=dict(_class_floor(text) for text in class_floors),
        labels=min(labels or made.size, made.size),
        seed=seed,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        data_hash=found.content_hash,
        prices=prices,
        explores=explore,
        learns=learn or "",
    )
    policy, trial = certify(made, terms)
    if out is not None:
        write_policy(Path(out), policy, route_secret())
    if as_json:
        told = document(policy)
        needed = {"tested": trial.tested, "passed": trial.passed, "labels_needed": trial.needed}
        is_certified = policy.certificate is not None
        print_json({"certified": is_certified, **told, **needed, **bad_lines(found, made)})
    else:
        print_policy(policy)
        if trial.needed:
            console().print(f"About {trial.needed:,} labels would show more (estimate).")
        if policy.scores and learn not in (None, HASHED):
            told = f'Its scores need this at the gateway: [routing] embedder = "{learn}"'
            console().print(told, markup=False)
        print_notes(found, made)
    if policy.certificate is None:
        sys.exit(1)


def _asked(
    config_path: str | None, pool: str | None, incumbent: str | None
) -> tuple[str, frozenset[str]]:
    """The incumbent, and the models that may serve besides (empty: any of the file)."""
    if pool is None:
        if incumbent is None:
            raise click.UsageError("Name the --incumbent, or the --pool that it serves.")
        if alone(incumbent).effort:
            raise CallerError(
                f"{incumbent} is a model at an effort; the incumbent is served as its callers ask."
                "\nNothing was compiled.\nName the model, with outcomes at its own effort."
            )
        return incumbent, frozenset()
    pools = load_config(config_path, os.environ).routing.pools
    if pool not in pools:
        raise CallerError(
            f"There is no pool {pool!r}.\nNothing was compiled.\n"
            f"There are: {', '.join(pools) or 'none; add [routing.pools.auto] to farthing.toml'}."
        )
    own = pools[pool].incumbent
    if incumbent not in (None, own):
        raise CallerError(
            f"The incumbent of pool {pool!r} is {own!r}, not {incumbent!r}.\n"
            "Nothing was compiled.\nLeave --incumbent out, or --pool."
        )
    return own, frozenset((own, *pools[pool].models))


def _class_floor(text: str) -> tuple[str, float]:
    name, _, floor = text.rpartition("=")
    try:
        if name:
            return name, SHARE.convert(floor, None, None)
    except click.BadParameter:
        pass
    raise CallerError(
        f"--class-floor {text!r} is not CLASS=FLOOR with a floor above 0, at most 1.\n"
        "Nothing was compiled.\nWrite for example: --class-floor refunds=0.99"
    )
