"""Commands on the keys of ``access.yaml``: add, list, revoke."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from rag_assets.cli.app import keys_app
from rag_assets.cli.console import JsonFlag, out, say, show_json, show_table
from rag_assets.settings import load_settings

Name = Annotated[str, typer.Argument(help="Name of the key: of a person or a program.")]


@keys_app.command("add")
def add(
    name: Name,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="A group that it is in; may be repeated.")
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The first day on which it is refused."),
    ] = None,
    operator: Annotated[
        bool, typer.Option("--operator", help="It reads everything, also /admin and /metrics.")
    ] = False,
) -> None:
    """Make a key and print it, once; access.yaml keeps its hash alone."""
    from rag_assets.access.editing import add_key
    from rag_assets.access.rules import FILE
    from rag_assets.lake.store import LakeStore
    from rag_assets.sources.catalog import catalog

    settings = load_settings()
    path = settings.home / FILE
    is_new, sources = not path.exists(), list[str]()
    if is_new:
        sources = list(catalog(settings.sources_file, LakeStore(settings.lake_uri)))
    last = None if expires is None else expires.date()
    secret = add_key(
        settings.home, name, group or (), expires=last, operator=operator, sources=sources
    )
    if is_new:
        listed = ", ".join(sources) or "none"
        say(f"{path} was made: from now on a request needs a key. With any key one may read")
        say(f"these sources: {listed}. Edit the file to change that; it holds at once.")
    say("The key, which is shown only now:")
    out.print(secret)


@keys_app.command("list")
def list_keys(as_json: JsonFlag = False) -> None:
    """List the keys: names, groups, when they end."""
    from rag_assets.access.rules import FILE, read_rules

    path = load_settings().home / FILE
    keys = read_rules(path).keys if path.exists() else ()
    today = datetime.now(UTC).date()
    rows = [
        {
            "name": key.name,
            "groups": list(key.groups),
            "expires": None if key.expires is None else key.expires.isoformat(),
            "has_expired": key.expires is not None and today >= key.expires,
            "operator": key.operator,
            "acts_for_others": key.acts_for is not None,
        }
        for key in keys
    ]
    if as_json:
        show_json(rows)
        return
    table = Table("name", "groups", "expires", "")
    for row, key in zip(rows, keys, strict=True):
        notes = [
            note
            for note, is_so in (
                ("expired", row["has_expired"]),
                ("operator", key.operator),
                ("acts for others", key.acts_for is not None),
            )
            if is_so
        ]
        table.add_row(key.name, ", ".join(key.groups), str(key.expires or ""), ", ".join(notes))
    show_table(table)


@keys_app.command("revoke")
def revoke(name: Name) -> None:
    """Take a key out; whoever holds it is refused at once."""
    from rag_assets.access.editing import revoke_key

    revoke_key(load_settings().home, name)
    say(f"key {name} is revoked")
