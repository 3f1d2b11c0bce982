"""The Typer apps that the modules of subjects add their commands to."""

import typer

app = typer.Typer(
    help="Document question answering as a Dagster dataflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
plan_app = typer.Typer(help="What a command would do and take.", no_args_is_help=True)
app.add_typer(plan_app, name="plan")
