"""One base for every error of the package, and one drawing of them all."""

import ast
import builtins
import re
from functools import cache
from pathlib import Path

from rag_assets import errors

PACKAGE = Path(errors.__file__).parent


@cache
def defined() -> list[ast.ClassDef]:
    """Every class of the package that stands in no function and no other class."""
    return [
        node
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    ]


def classes() -> dict[str, list[str]]:
    """Name -> names of the bases, of each public class of the package that is an exception."""
    found = {
        node.name: [ast.unparse(base).rpartition(".")[2] for base in node.bases]
        for node in defined()
        if not node.name.startswith("_")
    }

    def is_exception(name: str) -> bool:
        known = getattr(builtins, name, None)
        return (isinstance(known, type) and issubclass(known, BaseException)) or any(
            is_exception(base) for base in found.get(name, [])
        )

    return {name: bases for name, bases in found.items() if is_exception(name)}


def drawn() -> dict[str, str]:
    """Name -> name of its parent, of the errors in the tree of the module ``errors``."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│├└─ ]*)(\w+Error)\b", line)
        if found:
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            if depth:
                parents[found[2]] = path[depth - 1]
    return parents


def test_every_error_descends_from_the_one_base() -> None:
    assert {name: bases for name, bases in classes().items() if name != "RagError"} == {
        name: [parent] for name, parent in drawn().items()
    }
    assert classes()["RagError"] == ["Exception"]


def test_names_are_given_once() -> None:
    names = [node.name for node in defined() if node.name.endswith("Error")]
    assert sorted(names) == sorted(set(names))
