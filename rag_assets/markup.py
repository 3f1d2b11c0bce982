"""Text of documents, models and people, made safe for a terminal and for Markdown.

A terminal obeys control characters: they move the cursor, recolour, retitle or reverse what is
read. Dagster's UI and GitHub read Markdown. Without escaping, ``<name>`` vanishes, ``__x__`` turns
bold and a line that begins with ``#`` becomes a heading.
"""

import re
import unicodedata

# A bracket opens a link only where it is no citation number: "[1]" stays readable in the source.
# An address becomes a link by itself: its ":", "." or "@" is escaped.
_SPECIAL = re.compile(
    r"[\\`*_<&|~@]|\[(?!\d+\](?![(\[:]))|!(?=\[)|:(?=//)|(?<=www)\.", re.IGNORECASE
)
_NO_BREAK_SPACE = "\u00a0"
_KEPT = "\n\t\u200c\u200d"  # the joiners shape the letters of Persian and Hindi, and emoji
_UNSEEN = {"Cc", "Cf", "Cs"}  # control and format characters, and halves of surrogate pairs


def visible(text: str) -> str:
    r"""The text with each control or format character as its escape, such as ``\x1b``.

    Soft hyphens go. Newline, tab and the zero-width joiners stay.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(sign: str) -> str:
    if sign.isprintable() or sign in _KEPT or unicodedata.category(sign) not in _UNSEEN:
        return sign
    return "" if sign == "\u00ad" else ascii(sign)[1:-1]


# Control tokens of the chat templates of Qwen, Llama, Gemma, Mistral, and others like them.
_CONTROL_TOKEN = re.compile(
    r"<(?=\|)|\|(?=>)|<(?=/?(?:s|bos|eos|start_of_turn|end_of_turn|think|tool_call)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])",
    re.IGNORECASE,
)


def without_control_tokens(text: str) -> str:
    """The text unable to start a turn of a chat: a space breaks up each control token.

    Tokenizers read ``<|im_end|>`` inside a message as the token itself. Nothing is taken out: what
    is left could join to what was taken out.
    """
    return _CONTROL_TOKEN.sub(r"\g<0> ", text)


_PART = r"(?:[^\s'\"(),:;/]+/)"
# A URL or the folders of a path, but not of a route; Lance writes paths without their first slash.
_PLACE = re.compile(
    rf"[a-z][a-z0-9+.-]*://[^\s'\"),;]*|(?<![\w/])(?:/(?!v1/|admin/){_PART}+|{_PART}{{2,}})(?=\S)"
)


def without_places(text: str) -> str:
    """The text without URLs and folders, for callers who need not know where things are."""
    return _PLACE.sub("…", text)


def markdown_text(text: str) -> str:
    """The text as Markdown that shows it; its line breaks are kept.

    Indentation becomes no-break spaces, as four ordinary ones would begin a code block.
    """
    lines = [_line(line) for line in text.splitlines()]
    joined = (
        f"{line}\\" if line and following else line
        for line, following in zip(lines, [*lines[1:], ""], strict=False)
    )
    return "\n".join(joined)


def _line(line: str) -> str:
    line = visible(line)
    shown = line.expandtabs(4).strip()
    indent = len(line.expandtabs(4).rstrip()) - len(shown)
    escaped = _SPECIAL.sub(r"\\\g<0>", shown)
    # Digits cannot be escaped, the sign after them can.
    number = re.match(r"\d+(?=[.)])", escaped)
    if number:
        escaped = f"{number[0]}\\{escaped[number.end() :]}"
    elif escaped.startswith(("#", ">", "+", "=", "-")):
        escaped = f"\\{escaped}"
    return _NO_BREAK_SPACE * indent + escaped


def markdown_code(text: str) -> str:
    """The text as inline code; a fence longer than any run of backticks in it."""
    flat = visible(" ".join(text.split()))
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", flat)), default=0))
    padded = f" {flat} " if flat.startswith("`") or flat.endswith("`") else flat
    return f"{fence}{padded}{fence}"


def markdown_cell(text: str, limit: int | None = None) -> str:
    """The text on one line for a cell of a table, of at most ``limit`` characters."""
    flat = visible(" ".join(text.split()))
    if limit is not None and len(flat) > limit:
        flat = f"{flat[: limit - 1]}…"
    return _SPECIAL.sub(r"\\\g<0>", flat)
