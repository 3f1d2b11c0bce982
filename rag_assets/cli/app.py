"""The Typer apps that the modules of subjects add their commands to."""

import typer

app = typer.Typer(
    help="Document question answering as a Dagster dataflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="Model weights.", no_args_is_help=True)
profiles_app = typer.Typer(help="Model profiles.")
sources_app = typer.Typer(help="Sources: list them, take one out.")
keys_app = typer.Typer(
    help="Keys of access.yaml, which says who may read what.", no_args_is_help=True
)
plan_app = typer.Typer(help="What a command would do and take.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(profiles_app, name="profiles")
app.add_typer(sources_app, name="sources")
app.add_typer(keys_app, name="keys")
app.add_typer(plan_app, name="plan")
