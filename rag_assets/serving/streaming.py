"""A question answered in a thread, while what is told of it goes to who asked."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from rag_assets.answers.answer import Answer
from rag_assets.answers.telling import Event, Said, Tell
from rag_assets.serving.admission import Gate
from rag_assets.serving.listening import disconnected

KEEP_ALIVE_S = 10.0  # proxies take a connection for dead that is silent for half a minute

Work = Callable[[threading.Event, Tell], Answer]


async def telling(work: Work, request: Request, gate: Gate) -> AsyncIterator[Event | Answer | None]:
    """What is told while ``work`` is done, then its answer; None: nothing for a while.

    Whoever goes away gives up the place.

    Args:
        work: answers in a thread; its event is set when nobody waits any more.
        request: of who asked, read to its end.
        gate: where the question has a place.

    Raises:
        Exception: whatever ``work`` does.
    """
    gone = threading.Event()
    told = asyncio.Queue[Event | Answer | Exception]()
    loop = asyncio.get_running_loop()

    def tell(one: Event | Answer | Exception) -> None:
        loop.call_soon_threadsafe(told.put_nowait, one)

    def answer() -> None:
        try:
            tell(work(gone, tell))
        except Exception as error:  # noqa: BLE001 - raised where it is read
            tell(error)

    async def watch() -> None:
        await disconnected(request.receive)
        gate.leave(gone)

    watching = asyncio.ensure_future(watch())
    answering = asyncio.ensure_future(run_in_threadpool(answer))
    try:
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    one = await told.get()
            except TimeoutError:
                yield None
                continue
            if isinstance(one, Exception):
                raise one
            yield one
            if isinstance(one, Answer):
                return
    finally:
        watching.cancel()
        if not answering.done():
            gate.leave(gone)


def capped(tell: Tell, most_tokens: int, count: Callable[[str], int]) -> Tell:
    """Tell whole sentences as long as they have at most so many tokens together."""
    text, is_full = "", False

    def told(event: Event) -> None:
        nonlocal text, is_full
        if isinstance(event, Said):
            is_full = is_full or count(text + event.text) > most_tokens
            if is_full:
                return
            text += event.text
        tell(event)

    return told
