"""Objects that other packages bring: found by entry point, or by ``module:attribute``.

=========================== =====================================================================
group of entry points       what an entry of it names
=========================== =====================================================================
``rag_assets.readers``      a ``Reader``; every installed one takes part in refreshes
``rag_assets.source_kinds`` a ``SourceKind``, by the name that stands as a source's ``kind``
``rag_assets.embedders``    what makes an ``Embedder``, by the name that ``RAG_EMBEDDER`` holds
``rag_assets.chat_models``  what makes a ``ChatModel``, by the name that ``RAG_SLM`` or ``RAG_LLM``
                            holds; it is called with the role
=========================== =====================================================================
"""

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from rag_assets.errors import RagError

READERS = "rag_assets.readers"
SOURCE_KINDS = "rag_assets.source_kinds"
EMBEDDERS = "rag_assets.embedders"
CHAT_MODELS = "rag_assets.chat_models"


class PluginError(RagError):
    """What a name stands for is not installed, or cannot be imported."""


@cache
def _entries(group: str) -> dict[str, EntryPoint]:
    # The first of a name wins, as for an import: it stands before the others on the path.
    found = reversed(list(entry_points(group=group)))
    return {entry.name: entry for entry in sorted(found, key=lambda entry: entry.name)}


def names(group: str) -> list[str]:
    """Names of the installed objects of a group, sorted."""
    return sorted(_entries(group))


def installed(group: str) -> list[Any]:
    """The installed objects of a group, in the order of their names.

    Raises:
        PluginError: one of them cannot be imported.
    """
    return [find(group, name) for name in names(group)]


def find(group: str, name: str) -> Any:  # noqa: ANN401 - the group says what it is
    """The object that a name stands for.

    Args:
        group: of entry points.
        name: of an entry point, or ``module:attribute``.

    Raises:
        PluginError: it is not installed, or cannot be imported.
    """
    entry = _entries(group).get(name)
    if entry is None and ":" not in name:
        raise PluginError(
            f"nothing is installed under the name {name!r} in the group {group}; installed: "
            f"{', '.join(names(group)) or 'none'}. Install the package that brings it, or write "
            "module:attribute"
        )
    try:
        return imported(name) if entry is None else entry.load()
    except Exception as error:
        where = name if entry is None else f"{name} = {entry.value}"
        raise PluginError(
            f"cannot import {where} of the group {group}: {type(error).__name__}: {error}"
        ) from error


def made(group: str, name: str, *arguments: object) -> Any:  # noqa: ANN401 - as `find`
    """What the object that a name stands for gives when it is called.

    Raises:
        PluginError: as of ``find``; or to call it failed, or gave nothing.
    """
    make = find(group, name)
    try:
        found = make(*arguments)
    except RagError:
        raise
    except Exception as error:
        raise PluginError(
            f"{name} of the group {group} cannot be called with {arguments}: "
            f"{type(error).__name__}: {error}; it has to be a class or function that makes it"
        ) from error
    if found is None:
        raise PluginError(f"{name} of the group {group} gave None; it has to return the object")
    return found


def imported(place: str) -> Any:  # noqa: ANN401 - whatever stands there
    """What stands at ``module:attribute``."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
