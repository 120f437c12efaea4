"""Which exception ends a ``for`` loop: what its iterator cannot be told, and a failed trial's reason needs.

When an exception leaves the body of ``for trial in study``, CPython drops the loop's iterator while the exception is on
its way, and shows it to nobody: ``sys.exc_info()`` is about exceptions that have been caught. What can be seen is its
traceback, which begins with the loop's frame at the very instruction where that frame stands: it is looked for among
all objects, which takes tens of milliseconds in a large program, once for a trial that ends this way. A traceback does
not know its exception. In CPython 3.12 and later the exception knows its traceback at once; in 3.11 only when it is
caught or printed, if it exists before at all (``1 / 0`` makes it when it is caught). Then it has to be waited for.

Where nothing is found (another interpreter, an exception that was caught and gone in a moment), a reason says no more
than what is known. ``with trial:`` needs none of this.
"""

import dis
import gc
import inspect
import sys
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

PAUSES = (0.001,) * 20 + (0.02,) * 10 + (0.1,) * 8
"""Seconds between looks at what another thread has caught; about one in all."""


def in_flight(frame: FrameType | None) -> TracebackType | None:
    """The traceback of the exception that is unwinding a frame at the moment, or None.

    A generator between the loop and its iterator (a progress bar) is unwound by ``GeneratorExit``: then it is the
    exception that unwinds whoever ran it.
    """
    while frame is not None:
        traceback = _leaving(frame)
        if traceback is None or not _thrown_in(frame):
            return traceback
        frame = frame.f_back
    return None


def _leaving(frame: FrameType) -> TracebackType | None:
    # By type: to ask a proxy for its class would be to ask what it stands for.
    tracebacks = [one for one in gc.get_objects() if type(one) is TracebackType and one.tb_frame is frame]
    exact = [one for one in tracebacks if one.tb_lasti == frame.f_lasti]
    # An exception that was caught here and raised again has the place where it first came through.
    loose = tracebacks if _operation(frame) in {"RAISE_VARARGS", "RERAISE"} else []
    return next(reversed(exact or loose), None)


def _thrown_in(frame: FrameType) -> bool:
    generator = frame.f_code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR)
    return bool(generator) and _operation(frame) in {"YIELD_VALUE", "YIELD_FROM", "RESUME", "SEND"}


def _operation(frame: FrameType) -> str:
    return dis.opname[frame.f_code.co_code[frame.f_lasti]]


def owner(traceback: TracebackType) -> BaseException | None:
    """The exception that a traceback in flight belongs to, if it knows so already."""
    places = set(map(id, _chain(traceback)))
    owners = [
        one for one in gc.get_objects() if issubclass(type(one), BaseException) and id(one.__traceback__) in places
    ]
    earlier = {id(one.__context__) for one in owners}
    return next((one for one in reversed(owners) if id(one) not in earlier), None)


def wait_for_owner(traceback: TracebackType, thread: int) -> BaseException | None:
    """The exception that a traceback belongs to, once that thread has caught it or the interpreter printed it.

    Called in another thread; None where it was not seen.
    """
    for pause in PAUSES:
        time.sleep(pause)
        # In 3.11 a triple, later the exception.
        handled: Any = sys._current_exceptions().get(thread)
        caught = handled[1] if isinstance(handled, tuple) else handled
        for error in (caught, printed()):
            if isinstance(error, BaseException) and (found := passed(traceback, error)) is not None:
                return found
    return owner_of_any(traceback)


def owner_of_any(traceback: TracebackType) -> BaseException | None:
    """The exception, wherever it is kept, whose traceback this is a part of."""
    for thing in gc.get_objects():
        if issubclass(type(thing), BaseException) and any(one is traceback for one in _chain(thing.__traceback__)):
            found: BaseException = thing
            return found
    return None


def printed() -> BaseException | None:
    """The exception that the interpreter printed last: the one that it ends with."""
    error: BaseException | None = getattr(sys, "last_exc", None)
    return getattr(sys, "last_value", None) if error is None else error


def passed(traceback: TracebackType, error: BaseException) -> BaseException | None:
    """The exception of that traceback: the given one, or one in the course of which it was raised."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if any(one is traceback for one in _chain(current.__traceback__)):
            return current
        current = current.__cause__ or current.__context__
    return None


def exits(traceback: TracebackType) -> bool:
    """Whether an exception that nobody has seen was probably `SystemExit`, which the interpreter does not show."""
    *_, last = _chain(traceback)
    return not {"exit", "SystemExit"}.isdisjoint(last.tb_frame.f_code.co_names)


def _chain(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next
