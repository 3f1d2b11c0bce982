"""Commands on models: weights, profiles, whether they fit."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import psutil
import typer
from rich.table import Table

from rag_assets.cli.app import models_app, plan_app, profiles_app
from rag_assets.cli.console import JsonFlag, out, say, show_json, show_table
from rag_assets.errors import CommandError
from rag_assets.settings import find_home, load_settings

if TYPE_CHECKING:
    from rag_assets.answers.deriving import SizedModel
    from rag_assets.models.engines.planning import ServingPlan
    from rag_assets.models.profile_files import ProfileFile
    from rag_assets.models.profiles import Profile
    from rag_assets.models.protocols import ChatRole

GIB = 1 << 30
ASSUMED_CONTEXT = 4096  # tokens


@models_app.command("pull")
def models_pull() -> None:
    """Fetch and verify the profile's weights, and convert them to the served format."""
    from rag_assets.models.profile_files import wanted_profile
    from rag_assets.orchestration.processes import pull_weights

    settings = load_settings()
    pull_weights(settings, wanted_profile(), say)
    say(_disk_use(settings.cache))


@models_app.command("list")
def models_list(as_json: JsonFlag = False) -> None:
    """List the weights on this machine's disk, and whether they are as they were pulled."""
    from rag_assets.models.weights.choosing import active_profile
    from rag_assets.models.weights.pulling import model_dir, on_disk

    settings, profile = load_settings(), active_profile()
    roles = {model_dir(spec, settings.cache): role for role, spec in profile.roles.items()}
    rows: list[dict[str, Any]] = [
        {
            "role": roles.get(folder, ""),
            "folder": str(folder.relative_to(settings.cache)),
            "gb": round(n_bytes / 1e9, 2),
            "state": state,
        }
        for folder, n_bytes, state in on_disk(settings.cache)
    ]
    if as_json:
        show_json(rows)
        return
    table = Table("role", "folder", "GB", "state")
    for row in rows:
        table.add_row(row["role"], row["folder"], f"{row['gb']:.2f}", row["state"])
    show_table(table)
    out.print(_disk_use(settings.cache))


def _disk_use(cache: Path) -> str:
    from rag_assets.models.weights.pulling import on_disk

    used = sum(n_bytes for _, n_bytes, _ in on_disk(cache)) / 1e9
    free = shutil.disk_usage(cache).free / 1e9 if cache.is_dir() else 0.0
    return f"weights take {used:.1f} GB in {cache}, {free:.0f} GB are free there"


@profiles_app.callback(invoke_without_command=True)
def profiles(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the model profiles: where each is from, its models, whether it fits this machine."""
    if context.invoked_subcommand:
        return
    from rag_assets.models.profile_files import profile_files

    home = find_home()
    rows = [_listed(file, home) for file in profile_files(home).values()]
    if as_json:
        show_json(rows)
        return
    columns = ("name", "origin", "models", "fits", "run_on", "calibrated")
    table = Table("profile", "from", "models", "fits here", "run on", "calibrated")
    for row in rows:
        table.add_row(*(row[name] for name in columns))
    show_table(table)


def _listed(file: "ProfileFile", home: Path | None) -> dict[str, str]:
    from rag_assets.answers.deriving import fitting_of
    from rag_assets.models.errors import ProfileError
    from rag_assets.models.profile_files import profile_of, read_profile
    from rag_assets.models.profiles import ROLES
    from rag_assets.models.weights.pulling import as_pulled, cache_root

    row = {"name": file.name, "origin": file.origin}
    try:
        fields = read_profile(file, home)
        profile = as_pulled(profile_of(fields), cache_root())
        plan = _plan(profile, None, None)
        keys = {one.api_key_env for one in profile.endpoints.values() if one.api_key_env}
        keyless = [f"{name} is not set" for name in sorted(keys) if not os.environ.get(name)]
    except ProfileError as error:
        return {**row, "models": "", "fits": f"no: {error}", "run_on": "", "calibrated": ""}
    return {
        **row,
        "models": "\n".join(f"{role}: {profile.served_by(role).model_id}" for role in ROLES),
        "fits": "no: " + "; ".join(problems) if (problems := [*plan.problems, *keyless]) else "yes",
        "run_on": fields.run_on or "never",
        "calibrated": _calibrated(fitting_of(profile, home).standing),
    }


def _calibrated(standing: str) -> str:
    """Short, for a narrow column: "no: least_odds" for "uncalibrated: least_odds"."""
    from rag_assets.answers.policy import UNCALIBRATED

    return standing.replace(UNCALIBRATED, "no") if standing.startswith(UNCALIBRATED) else "yes"


@profiles_app.command("show")
def profiles_show(
    name: Annotated[str, typer.Argument(help="A name or a path; default: RAG_PROFILE's.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Show how answers are made with a profile: each number, and what it follows from."""
    from rag_assets.answers.deriving import policy_for
    from rag_assets.models.weights.choosing import active_profile

    home = find_home()
    profile = active_profile(name)
    assumed: list[str] = []
    slm, llm = (_sized(profile, role, assumed) for role in ("slm", "llm"))
    made = policy_for(profile, slm, llm, profile.served_by("embedder"), home)
    rows, remarks = made.rows(), [*assumed, *made.remarks]
    if as_json:
        show_json({
            "profile": profile.name,
            "thresholds": made.policy.calibration,
            "policy": [dict(zip(("field", "value", "from"), row, strict=True)) for row in rows],
            "remarks": remarks,
        })  # fmt: skip
        return
    out.print(f"profile {profile.name}; thresholds: {made.policy.calibration}")
    table = Table("field of answering", "value", "from")
    for field, value, why in rows:
        table.add_row(field, f"{value:,}" if isinstance(value, int) else f"{value:g}", why)
    show_table(table)
    for remark in remarks:
        out.print(remark)


def _sized(profile: "Profile", role: "ChatRole", assumed: list[str]) -> "SizedModel":
    """What the profile says of a model, with its context; one that nobody says is assumed."""
    from rag_assets.models.clients.endpoint import EndpointChat
    from rag_assets.models.errors import ModelsError
    from rag_assets.models.profiles import Endpoint

    served = profile.served_by(role)
    if not isinstance(served, Endpoint):
        return served
    try:
        context = served.max_model_len or EndpointChat(served, role).max_model_len
    except ModelsError as error:
        context = ASSUMED_CONTEXT
        assumed.append(f"{role}: a context of {context:,} tokens is assumed: {error}")
    return cast("SizedModel", replace(served, max_model_len=context))


@profiles_app.command("copy")
def profiles_copy(
    name: Annotated[str, typer.Argument(help="A profile of `rag profiles`.")],
    new: Annotated[str, typer.Argument(help="The name of the copy.")],
) -> None:
    """Start a profile of your own in the home's folder profiles/, from a copy of another."""
    from rag_assets.models.profile_files import copied, find_profile

    settings = load_settings()
    file = find_profile(name, settings.home)
    target = settings.home / "profiles" / f"{new}.yaml"
    if target.exists():
        raise CommandError(f"{target} exists already; take another name, or edit that file")
    text = copied(file, new)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")
    say(f"{target} is a copy of {name}; choose it with RAG_PROFILE={new}")


@plan_app.command("serving")
def plan_serving(
    profile: Annotated[
        str, typer.Option(help="A name or a path; default: that of RAG_PROFILE.")
    ] = "",
    gpu_memory: Annotated[
        float | None,
        typer.Option(help="GB of the card, as it is sold; default: the card here."),
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(help="GB of the machine; default: this machine."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say what memory the profile's engines need, and whether the machine has it."""
    from rag_assets.models.weights.choosing import active_profile

    chosen = active_profile(profile)
    earlier, why_not = _earlier(chosen)
    plan = _plan(chosen, gpu_memory, memory, earlier)
    if as_json:
        show_json(plan.to_record())
    else:
        _show_plan(plan)
        if why_not:
            out.print(why_not)
    if not plan.fits:
        raise typer.Exit(1)


def _earlier(profile: "Profile") -> tuple["Profile | None", str]:
    """The profile of the embedder that `rag up` runs beside this one's; why there is none, if so.

    It serves generations that were made before.
    """
    from rag_assets.lake.errors import LakeError
    from rag_assets.lake.store import LakeStore
    from rag_assets.models.errors import ProfileError
    from rag_assets.models.profile_files import profile_with_embedder
    from rag_assets.orchestration.processes import earlier_embedder

    if find_home() is None:
        return None, ""
    settings = load_settings()
    if "embedder" in settings.models:
        return None, ""
    try:
        made_with = earlier_embedder(LakeStore(settings.lake_uri), profile)
        if made_with is None:
            return None, ""
        return profile_with_embedder(made_with, profile.port_base, settings.home), ""
    except (LakeError, OSError, ProfileError) as error:
        return None, f"an embedder of generations made before is not counted: {error}"


def _plan(
    profile: "Profile",
    gpu_gb: float | None,
    host_gb: float | None,
    earlier: "Profile | None" = None,
) -> "ServingPlan":
    from rag_assets.models.engines import planning
    from rag_assets.models.weights.pulling import cache_root

    card = planning.card_memory() if gpu_gb is None else planning.card_bytes(gpu_gb)
    host = psutil.virtual_memory().total if host_gb is None else host_gb * GIB
    return planning.plan_serving(profile, cache_root(), host=host, card=card, earlier=earlier)


def _show_plan(plan: "ServingPlan") -> None:
    from rag_assets.models.engines.planning import gib

    table = Table(
        "engine", "weights", "cache", "working", "in all", "share", "KV tokens", "requests"
    )
    for one in plan.engines:
        table.add_row(
            one.name,
            *(f"{n / GIB:.2f}" for n in (one.weights, one.cache, one.working, one.budget)),
            "-" if one.share is None else f"{one.share:.2f}",
            f"{one.kv_tokens:,}" if one.kv_tokens else "-",
            f"{one.requests:.1f} of {one.max_model_len:,}" if one.kv_tokens else "-",
        )
    out.print(f"profile {plan.profile}; memory in GiB")
    if plan.engines:
        show_table(table)
    if plan.on_card and plan.card:
        out.print(f"card: {gib(plan.card)}, left {gib(plan.card_left)}")
    if plan.engines:
        host = f"machine: {gib(plan.host)}, the engines need {gib(plan.host_needed)}"
        out.print(host)
    else:
        out.print("no engine runs here: every role is served by an endpoint")
    for one in plan.engines:
        if one.kv_tokens:
            text = f"{one.name}: the largest context that fits is {one.largest_context:,} tokens"
            out.print(text)
    for text in plan.problems:
        out.print(f"does not fit: {text}")
    for text in plan.advice:
        out.print(f"to do: {text}")
    if plan.fits:
        out.print("it fits")
