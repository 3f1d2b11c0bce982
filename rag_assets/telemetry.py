"""Spans of what is done for a request, sent to a collector of OpenTelemetry.

A request that names its span in the header ``traceparent`` has its own spans below that one, where
the environment names a collector. Else nothing is made, and OpenTelemetry's SDK is not loaded. A
span says what was done, for how long and how much of it; it holds no text of a question, a document
or an answer.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

Fact = bool | int | float | str | Sequence[str]
P = ParamSpec("P")
R = TypeVar("R")
NAME = "rag_assets"  # of the service, unless OpenTelemetry's variables say another
CLOSE_S = 2.0  # for spans that wait when the process ends; the collector may be down
# Who makes spans, and below which; a thread that is started has none, see ``carried``.
_current: ContextVar["tuple[Tracer, Context] | None"] = ContextVar("span", default=None)


@contextmanager
def span(
    name: str, facts: Mapping[str, Fact] | None = None, *, is_call: bool = False
) -> Iterator[None]:
    """The body, or the function, is a span below the one that it runs in; without one it is none.

    An error is named by its type: what it says may hold what was asked.

    Args:
        name: of a stage, or of a call.
        facts: that are known before; see ``set_facts``.
        is_call: whether another process is asked.
    """
    within = _current.get()
    if within is None:
        yield
        return
    from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

    tracer, above = within
    kind = SpanKind.CLIENT if is_call else SpanKind.INTERNAL
    made = tracer.start_span(name, above, kind, facts)
    token = _current.set((tracer, set_span_in_context(made, above)))
    try:
        yield
    except BaseException as error:
        made.set_attribute("error.type", type(error).__name__)
        made.set_status(StatusCode.ERROR)
        raise
    finally:
        _current.reset(token)
        made.end()


def set_facts(facts: Mapping[str, Fact]) -> None:
    """Say more of the span that this runs in: counts, and words from short lists, never a text."""
    within = _current.get()
    if within is not None:
        from opentelemetry.trace import get_current_span

        get_current_span(within[1]).set_attributes(facts)


def carried(call: Callable[P, R]) -> Callable[P, R]:
    """The call, for other threads, as a part of the span that this runs in."""
    within = _current.get()
    if within is None:
        return call

    def carries(*args: P.args, **kwargs: P.kwargs) -> R:
        token = _current.set(within)
        try:
            return call(*args, **kwargs)
        finally:
            _current.reset(token)

    return carries


def passed_on() -> dict[str, str]:
    """The headers by which another process makes its spans below the one that this runs in."""
    within, headers = _current.get(), dict[str, str]()
    if within is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(headers, within[1])
    return headers


class Traces:
    """Sends spans to the collector that OpenTelemetry's variables name, by OTLP over HTTP.

    A thread of its own sends them. While the collector is down, spans are dropped.

    Raises:
        ValueError, OSError: the variables mean nothing, or name a file that is not there.
    """

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource({"service.name": NAME}).merge(OTELResourceDetector().detect())
        # It is not made OpenTelemetry's global one: libraries would add spans with texts.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(NAME)

    @contextmanager
    def continued(self, headers: Mapping[str, str]) -> Iterator[None]:
        """Spans of the body are below the one that headers of a request name, if they name one."""
        from opentelemetry.trace import get_current_span
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        named = TraceContextTextMapPropagator().extract(headers)
        if not get_current_span(named).get_span_context().is_valid:
            yield
            return
        token = _current.set((self._tracer, named))
        try:
            yield
        finally:
            _current.reset(token)

    def close(self) -> None:
        """Send the spans that wait, as far as that takes no longer than ``CLOSE_S``."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(CLOSE_S)
