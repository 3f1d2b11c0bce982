"""Commands on processes: up, down, demo, doctor."""

from contextlib import suppress

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from rag_assets.cli.app import app
from rag_assets.cli.console import JsonFlag, say, show_json, show_table
from rag_assets.settings import load_settings


@app.command()
def up() -> None:
    """Start engines, Dagster, and the answerer as a Dagster run, and keep them running."""
    from rag_assets.models.weights.choosing import active_profile
    from rag_assets.orchestration import processes as stack
    from rag_assets.orchestration.instance import open_instance
    from rag_assets.orchestration.refreshing import hot_load
    from rag_assets.orchestration.run_processes import close_dead_runs
    from rag_assets.serving.client import AnswererClient, AnswererError
    from rag_assets.serving.listening import require_keys

    settings = load_settings()
    require_keys(settings)
    with open_instance() as instance:
        for run_id in close_dead_runs(instance):
            say(f"run {run_id} is closed: its process is gone")
    stack.up(settings, active_profile(), say)
    if stack.start_earlier_embedder(settings, active_profile(), say) is not None:
        with suppress(AnswererError):  # told below
            hot_load(settings, say)  # the answerer came up without what it needs for that one
    reason = AnswererClient(settings.answerer_url).readiness()
    say(f"answerer at {settings.answerer_url}" + (f": {reason}" if reason else " is ready"))
    once = ", opened once with ?token= and RAG_UI_TOKEN at its end" if settings.ui_token else ""
    say(f'next: rag ask "...", or the UI at {settings.ui_url}{once}')


@app.command()
def down() -> None:
    """Stop everything that `rag up` (or a command cut off) started."""
    from rag_assets.orchestration import processes as stack

    stopped = stack.down(load_settings())
    say(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


@app.command()
def status(as_json: JsonFlag = False) -> None:
    """What runs of `rag up`: since when, memory, restarts, and why one ended the last time."""
    from dataclasses import asdict

    from rag_assets.orchestration.status import status as status_of

    rows = status_of(load_settings())
    if as_json:
        show_json([asdict(row) for row in rows])
    elif not rows:
        say("nothing runs; start it with `rag up`")
    else:
        table = Table("part", "state", "since", "memory", "restarts", "last error", box=box.SIMPLE)
        colour = {"up": "green", "starting": "yellow", "waiting": "red"}
        for row in rows:
            state = Text(row.phase, style=colour[row.phase])
            since = "" if row.up_s is None else ago(row.up_s)
            memory = "" if row.memory_bytes is None else f"{row.memory_bytes / 2**20:,.0f} MiB"
            table.add_row(row.part, state, since, memory, str(row.restarts), row.last_error)
        show_table(table)
    if any(row.phase != "up" for row in rows) or not rows:
        raise typer.Exit(1)


def ago(seconds: float) -> str:
    """A time span in its two largest units."""
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


@app.command()
def demo() -> None:
    """From sources to three answered questions; stops what it started."""
    from rag_assets.cli.demo import run_demo

    run_demo(load_settings(), say)


@app.command()
def doctor(as_json: JsonFlag = False) -> None:
    """Check everything that answering needs and say what is missing and how to mend it."""
    from dataclasses import asdict

    from rag_assets.cli.doctor import examine

    findings = examine(load_settings())
    if as_json:
        show_json([asdict(f) for f in findings])
    else:
        table = Table("", "what", "found", "what to do")
        colour = {"ok": "green", "note": "yellow", "bad": "red"}
        for f in findings:
            table.add_row(Text(f.level, style=colour[f.level]), f.what, f.found, f.remedy)
        show_table(table)
    if any(f.level == "bad" for f in findings):
        raise typer.Exit(1)
