"""Whatever another package's kind of source raises or gives, the other sources go on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rag_assets.sources import foreign
from rag_assets.sources.declaration import Source, SourceError
from rag_assets.sources.found import FoundFile, UnreadableError
from rag_assets.sources.listing import opened, states

GOOD = FoundFile("ours:a.txt", "a", 4, 0, "1")


class Shelf:
    """A listing whose methods a test replaces; each gets the listing's own result."""

    notices: object = ("one",)

    def files(self) -> object:
        return [GOOD]

    def examine(self, files: object, known: object) -> object:
        return files

    def read(self, file: FoundFile) -> object:
        return b"text"


def kind_of(shelf: object) -> Callable[[Source], Any]:
    @contextmanager
    def kind(source: Source) -> Iterator[Any]:
        yield shelf

    return kind


def raises(error: Exception) -> Callable[..., Any]:
    def call(*_: object) -> object:
        raise error

    return call


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Source]:
    """A source of a kind that is as a test wants it."""

    def make(kind: object = None, **methods: object) -> Source:
        shelf = Shelf()
        for name, method in methods.items():
            setattr(shelf, name, method)
        made = kind_of(shelf) if kind is None else kind
        monkeypatch.setattr(foreign.plugins, "find", lambda *_: made)
        return Source("ours", "module:kind", "ours://shelf")

    return make


def late() -> Iterator[FoundFile]:
    yield GOOD
    raise ValueError("late")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (raises(ValueError("boom")), "ValueError: boom"),
        (raises(UnreadableError("all of it")), "all of it"),
        (lambda: None, "'NoneType' object is not iterable"),
        (lambda: ["ours:a.txt"], "expected rag_assets.FoundFile, got str"),
        (late, "ValueError: late"),
        (lambda: [GOOD, GOOD], "each uri once, got ours:a.txt twice"),
        (lambda: [FoundFile("a.txt", "a", 4, 0, "1")], "expected a uri ours:<place>, got 'a.txt'"),
        (lambda: [FoundFile("ours:a", "a", None, 0, "1")], "size to be a whole number, got None"),  # type: ignore[arg-type]
        (lambda: [FoundFile("ours:a", "a", 2**63, 0, "1")], "size to be a whole number, got 9"),
        (lambda: [FoundFile("ours:\udcff", "a", 4, 0, "1")], "uri to be a text that UTF-8"),
        (lambda: [FoundFile("ours:a", "a", 4, 0, b"1")], "state to be a text"),  # type: ignore[arg-type]
        (lambda: [FoundFile("ours:a", "a", 4, 0, "1", problem=1)], "problem to be a text"),  # type: ignore[arg-type]
        (lambda: [FoundFile("ours:a", None, 4, 0, "1")], "path to be a text, got None"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_listed_is_an_error_of_the_source(
    ours: Callable[..., Source], files: object, said: str
) -> None:
    with pytest.raises(SourceError, match="source ours: its kind module:kind failed to") as found:
        states(ours(files=files))
    assert said in str(found.value)
    assert "nothing was deleted" in str(found.value)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (raises(ConnectionError("no route")), "ConnectionError: no route"),
        (lambda source: None, "expected a context manager, got NoneType"),
        (kind_of(None), "failed to list its files: AttributeError"),
        (raises(SourceError("the shelf is empty")), "^the shelf is empty$"),
    ],
)
def test_what_cannot_be_opened_is_an_error_of_the_source(
    ours: Callable[..., Source], kind: object, said: str
) -> None:
    with pytest.raises(SourceError, match=said):
        states(ours(kind))


def test_a_kind_that_is_not_installed_is_an_error_of_the_source() -> None:
    with pytest.raises(SourceError, match="source ours: its kind nowhere:kind failed to open it"):
        states(Source("ours", "nowhere:kind", "x"))


@pytest.mark.parametrize(
    ("read", "kind_of_error", "said"),
    [
        (lambda file: "text", SourceError, "read ours:a.txt: TypeError: expected bytes, got str"),
        (lambda file: None, SourceError, "expected bytes, got NoneType"),
        (raises(ValueError("boom")), SourceError, "ValueError: boom; nothing was deleted"),
        (raises(PermissionError(13, "no")), UnreadableError, "cannot be read: "),
        (raises(UnreadableError("torn")), UnreadableError, "^torn$"),
    ],
)
def test_what_cannot_be_read_is_an_error_of_the_source_or_the_file(
    ours: Callable[..., Source], read: object, kind_of_error: type[Exception], said: str
) -> None:
    with opened(ours(read=read)) as listing, pytest.raises(kind_of_error, match=said):
        listing.read(*listing.files())


def test_files_that_were_not_asked_for_are_refused(ours: Callable[..., Source]) -> None:
    other = FoundFile("ours:b.txt", "b", 4, 0, "1")
    for examine in (lambda files, known: [other], lambda files, known: None, raises(KeyError("x"))):
        with opened(ours(examine=examine)) as listing, pytest.raises(SourceError, match="examine"):
            listing.examine(listing.files(), {})


def test_notices_and_closing_lose_nothing(ours: Callable[..., Source]) -> None:
    with opened(ours(notices=None)) as listing:
        assert "failed to give its notices" in listing.notices[0]

    @contextmanager
    def swallows(source: Source) -> Iterator[Any]:
        try:
            yield Shelf()
        except RuntimeError:
            pass
        finally:
            raise ValueError("cannot close")

    with pytest.raises(RuntimeError, match="ours"), opened(ours(swallows)):
        raise RuntimeError("ours")
    with opened(ours(swallows)) as listing:
        assert [*listing.files()] == [GOOD]
