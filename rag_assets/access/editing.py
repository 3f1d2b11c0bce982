"""Write keys into ``access.yaml`` and take them out again; whatever else it says stays as it is."""

import json
import secrets
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import yaml

from rag_assets.access.rules import EVERYONE, FILE, Rules, hash_of, read_rules
from rag_assets.errors import CommandError
from rag_assets.files import replace_file
from rag_assets.yaml_files import YamlFileError

HEAD = """# Who may read what; "Who may see what" in docs/operating.md describes it.
# Keys come and go with `rag keys`. The first of the rules that holds a document decides, then its
# source; a source that is not listed here is nobody's.
"""


def add_key(
    home: Path,
    name: str,
    groups: Sequence[str],
    *,
    expires: date | None = None,
    operator: bool = False,
    sources: Iterable[str] = (),
) -> str:
    """Write a new key's hash into the home's file, which is made if need be; the key itself.

    Args:
        home: folder of the file.
        name: of the key.
        groups: that whoever holds it is in.
        expires: the first day on which it is refused.
        operator: whether it reads everything.
        sources: for a new file: everyone with a key may read them.

    Raises:
        CommandError: a key has this name, or the list of keys is in a form that is not edited.
        YamlFileError: the file is wrong, or what was to be written would be.
    """
    path = home / FILE
    if not path.exists():
        listed = "".join(f"  {source}: {EVERYONE}\n" for source in sources)
        text = f"{HEAD}keys:\nrules:\nsources:\n{listed}"
    else:
        if any(key.name == name for key in read_rules(path).keys):
            raise CommandError(
                f"expected a new name; {path} has a key {name!r}: revoke it first", code=2
            )
        text = path.read_text("utf-8")
    secret = secrets.token_urlsafe(32)
    fields = [f"name: {json.dumps(name)}", f"sha256: {json.dumps(hash_of(secret))}"]
    if groups:
        fields.append(f"groups: {json.dumps(list(groups), ensure_ascii=False)}")
    if expires is not None:
        fields.append(f"expires: {expires.isoformat()}")
    if operator:
        fields.append("operator: true")
    _write(path, _with_line(text, f"- {{{', '.join(fields)}}}", path), {name})
    return secret


def revoke_key(home: Path, name: str) -> None:
    """Take a key out of the home's file.

    Raises:
        CommandError: there is no such key, or the list of keys is in a form that is not edited.
        YamlFileError: the file is wrong.
    """
    path = home / FILE
    names = [key.name for key in read_rules(path).keys] if path.exists() else []
    if name not in names:
        known = ", ".join(names) or "none"
        raise CommandError(f"expected the name of a key in {path}: {known}; got {name!r}", code=2)
    text = path.read_text("utf-8")
    _, of = _keys(text)
    item = _items(of, path)[names.index(name)]
    lines = text.splitlines(keepends=True)
    del lines[item.start_mark.line : _last_line(item) + 1]
    _write(path, "".join(lines), set(), gone=name)


def _with_line(text: str, line: str, path: Path) -> str:
    """The text with a line more at the end of its list of keys."""
    if not text.endswith("\n"):
        text += "\n"
    lines = text.splitlines(keepends=True)
    key, of = _keys(text)
    if key is None:
        return f"{text}keys:\n  {line}\n"
    is_empty = isinstance(of, yaml.ScalarNode) or not of.value
    if is_empty:
        at = key.start_mark.line
        lines[at : _last_line(of) + 1 if of.value else at + 1] = [f"keys:\n  {line}\n"]
        return "".join(lines)
    last = _items(of, path)[-1]
    indent = " " * of.start_mark.column
    lines.insert(_last_line(last) + 1, f"{indent}{line}\n")
    return "".join(lines)


def _keys(text: str) -> tuple[yaml.Node | None, yaml.Node]:
    """Where ``keys`` stands in the file, and what it holds."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    return next(((k, v) for k, v in pairs if k.value == "keys"), (None, yaml.ScalarNode("", "")))


def _items(of: yaml.Node, path: Path) -> list[yaml.Node]:
    if not isinstance(of, yaml.SequenceNode) or of.flow_style:
        raise CommandError(f"{path}: expected keys as a list with a dash for each; write it so")
    return list(of.value)


def _last_line(node: yaml.Node) -> int:
    """The last line with something of a node; YAML ends a block before what follows it."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.line)
    last = node.value[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)


def _write(path: Path, text: str, added: set[str], gone: str = "") -> None:
    """Write the file once its new text is known to say what it should."""
    part = path.with_name(f".{path.name}.new")
    replace_file(part, text.encode())
    try:
        names = {key.name for key in _understood(part, path).keys}
    finally:
        part.unlink()
    if not added <= names or gone in names:
        raise CommandError(f"{path}: its list of keys cannot be edited; edit it by hand")
    replace_file(path, text.encode())


def _understood(part: Path, path: Path) -> Rules:
    try:
        return read_rules(part)
    except YamlFileError as error:
        raise YamlFileError(str(error).replace(str(part), str(path))) from error
