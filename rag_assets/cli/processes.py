"""Commands on processes: up, down, demo, doctor."""

import typer
from rich.table import Table
from rich.text import Text

from rag_assets.cli.app import app
from rag_assets.cli.console import JsonFlag, say, show_json, show_table
from rag_assets.settings import load_settings


@app.command()
def up() -> None:
    """Start engines, Dagster's UI and daemon, and the answerer as a Dagster run."""
    from rag_assets.models.profile_files import active_profile
    from rag_assets.orchestration import processes as stack
    from rag_assets.orchestration.instance import dagster_environment
    from rag_assets.serving.client import AnswererClient

    settings = load_settings()
    stack.start_engines(settings, active_profile(), say)
    stack.start_earlier_embedder(settings, active_profile(), say)
    stack.start_ui(settings, dagster_environment(), say)
    client = AnswererClient(settings.answerer_url)
    if not client.is_up():
        run_id = stack.launch_job(settings, "answerer_job")
        say(f"answerer_job is run {run_id}")
        stack.wait_for_answerer(settings, say)
    reason = client.readiness()
    say(f"answerer at {settings.answerer_url}" + (f": {reason}" if reason else " is ready"))
    say(f'next: rag ask "...", or the UI at http://127.0.0.1:{settings.ui_port}')


@app.command()
def down() -> None:
    """Stop everything that `rag up` (or a command cut off) started."""
    from rag_assets.orchestration import processes as stack

    settings = load_settings()
    stopped = stack.stop_answerer(settings)
    for started in reversed(stack.known(settings)):
        stack.stop(settings, started)
        stopped.append(started.name)
    say(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


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
