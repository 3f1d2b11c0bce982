"""YAML files that people write: every error names the file, the line and the field."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from rag_assets.errors import RagError

Read = TypeVar("Read", bound=BaseModel)
_LONGEST_GOT = 80  # characters of a wrong value that an error repeats


class YamlFileError(RagError):
    """A file is not YAML, names a field twice, or a field has a value that means nothing."""


class UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice; YAML's own loader silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping, or the error that names the key and its line."""
        seen = set[str]()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # refused by what follows
            if key.value in seen:
                twice = f"{key.value!r} stands twice; remove or rename one"
                raise yaml.constructor.ConstructorError(None, None, twice, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_mapping(path: Path) -> tuple[dict[str, Any], "Lines"]:
    """The mapping that a file holds, and where each of its fields is.

    Raises:
        YamlFileError: there is no such file, it is not YAML, no mapping, or has a field twice.
    """
    node = composed(path)
    data = built(node, path)
    if not isinstance(node, yaml.MappingNode):
        raise YamlFileError(f"{path}: expected a mapping of fields, got {_short(data)}")
    return data, Lines(node)


def composed(path: Path) -> yaml.Node:
    """What a file holds, not built yet, so that each part of it may be right or wrong by itself.

    Raises:
        YamlFileError: there is no such file, or it is not YAML.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise YamlFileError(f"{path} cannot be read as text: {error}") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise YamlFileError(f"{path} is not YAML: {_flat(error)}") from error
    return node or yaml.ScalarNode("tag:yaml.org,2002:null", "")


def built(node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - whatever a person wrote
    """The value of a part of a file.

    Raises:
        YamlFileError: a key stands twice in it, or a value means nothing; it names the line.
    """
    try:
        return UniqueKeys("").construct_document(node)
    # ValueError: a date that there is none of
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None) or node.start_mark
        said = getattr(error, "problem", None) or error
        raise YamlFileError(f"{path}, line {mark.line + 1}: {_flat(said)}") from error


def _flat(said: object) -> str:
    return " ".join(str(said).split())


class Lines:
    """Where the fields of a file are."""

    def __init__(self, node: yaml.Node) -> None:
        self._node = node

    def of(self, field: Sequence[str | int]) -> int:
        """The line, from 1, of a field, or of the last of its parents that the file has."""
        node, at = self._node, self._node
        for name in field:
            if isinstance(node, yaml.MappingNode):
                found = [(k, v) for k, v in node.value if getattr(k, "value", None) == str(name)]
                if not found:
                    continue  # the variant of a union that pydantic names
                at, node = found[0]
            elif isinstance(node, yaml.SequenceNode) and isinstance(name, int):
                at = node = node.value[name]
        return _line(at)


def validated(model: type[Read], data: object, lines: Lines, path: Path) -> Read:
    """``data`` as ``model``.

    Raises:
        YamlFileError: one sentence for each wrong field.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise YamlFileError(
            "\n".join(
                f"{path}, line {lines.of(one['loc'])}, {_name(one['loc'])}: {_expected(one)}"
                for one in error.errors(include_url=False)
            )
        ) from error


def _name(field: Sequence[str | int]) -> str:
    return ".".join(map(str, field)) or "the file"


def _expected(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    kind, said = error["type"], error["msg"]
    if kind == "missing":
        return "expected a value, the field is missing"
    if kind == "extra_forbidden":
        return f"there is no such field (its value is {_short(error['input'])})"
    if kind in ("value_error", "assertion_error"):
        return str(said).partition(", ")[2]
    return f"{str(said).replace('Input should be', 'expected')}, got {_short(error['input'])}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_GOT else f"{text[:_LONGEST_GOT]}..."


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
