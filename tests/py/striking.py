"""Strikes a signal at every place where CPython runs signal handlers, or at random times, and looks what is left.

A handler that makes its own signal pending again is called at each such place in turn: at the begin of a function,
where a loop jumps back, when a call has returned, and where C looks for signals. It makes the signal pending by an
operator, not by a call, as the handler's own frame would be the first to notice the end of a call.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transformer_lens_go._engine.model import counts

SIGNAL = signal.SIGUSR1
LONG = int(os.environ.get("TRANSFORMER_LENS_GO_SHOTS", "0"))
"""How many shots a path gets, in long runs or where tests are repeated; 0: as many as the test says."""


class Struck(BaseException):
    """What the signal's handler raises, as Ctrl-C raises KeyboardInterrupt."""


class _Pending:
    """`-pending`: the signal is pending, and nobody has noticed yet."""

    __neg__ = functools.partial(ctypes.pythonapi.PyErr_SetInterruptEx, int(SIGNAL))


class Striker:
    """Counts the places at which a signal can strike, and strikes at one of them."""

    def __init__(self) -> None:
        self.at = 0  # the number of the place; 0: none
        self.seen = 0
        self.armed = False
        self._pending: Any = _Pending()

    def handle(self, *_: object) -> None:
        if not self.armed:
            return
        self.seen += 1
        if self.seen == self.at:
            self.armed = False
            self.strike()
            return
        -self._pending  # noqa: B018 (an operator: no call, which would be noticed here)

    def strike(self) -> None:
        """What the handler does there."""
        raise Struck

    def shoot(self, path: Callable[[], object], at: int = 0) -> Struck | None:
        """Run a path and strike at its place number `at`; what came out."""
        self.at, self.seen = at, 0
        self.armed = True
        try:
            -self._pending  # noqa: B018
            path()
        except Struck as struck:
            return struck
        finally:
            self.armed = False
        return None


@contextmanager
def handling(handler: Any) -> Iterator[None]:
    """The signal goes to that handler; exceptions in finalizers, which Python drops, are no failures."""
    before, hook = signal.signal(SIGNAL, handler), sys.unraisablehook
    sys.unraisablehook = lambda about: None if about.exc_type is Struck else hook(about)
    collects = gc.isenabled()
    gc.collect()
    gc.freeze()  # so that a collection after each shot is quick
    gc.disable()
    try:
        yield
    finally:
        signal.signal(SIGNAL, before)
        sys.unraisablehook = hook
        gc.unfreeze()
        if collects:
            gc.enable()


def held() -> dict[str, int]:
    """What the engine holds, but for memory that rests in the pool."""
    gc.collect()
    found = counts()
    del found["PoolBytes"]
    return found


class Range:
    """A path that is shot at: what it does, and what must be as before after each shot."""

    _draws = itertools.count()  # a test that is repeated draws other places each time

    def __init__(self, path: Callable[[], object], state: Callable[[], object]) -> None:
        self.path = path
        self._draw = random.Random(next(self._draws))
        self.state = state
        self.came_out = 0
        for _ in range(3):
            path()  # what is made once is made
        self._before = self._found()

    def _found(self) -> tuple[dict[str, int], object]:
        return held(), self.state()

    def check(self, shot: object) -> None:
        """After a shot: nothing is held, nothing is changed."""
        now = self._found()
        assert now == self._before, f"shot {shot}: {now} in place of {self._before}"

    def everywhere(self, shots: int, at_hand: bool = False) -> None:
        """At each place of the path, or at so many of them, drawn at random.

        `at_hand`: results and handles end even while the exception is held, whose traceback holds every frame that it
        passed (and with them arrays, as any traceback does).
        """
        striker = Striker()
        with handling(striker.handle):
            striker.shoot(self.path)
            places = range(1, striker.seen + 1)
            assert len(places) > 5, "the signal is not noticed"
            wanted = LONG or shots
            chosen = places if len(places) <= wanted else self._draw.sample(places, wanted)
            for place in chosen:
                struck = striker.shoot(self.path, place)
                self.came_out += struck is not None
                if at_hand:
                    now, before = held(), self._before[0]
                    for name in ("Handles", "Runs"):
                        assert now[name] == before[name], f"{name} at place {place}"
                del struck
                self.check(f"at place {place} of {len(places)}")
        assert self.came_out > len(chosen) / 2, "most shots came to nothing"

    def at_random(self, shots: int) -> None:
        """At random times, by the clock."""
        clock = _Clock()
        with handling(signal.SIG_IGN), clock:
            start = time.perf_counter()
            for _ in range(3):
                self.path()
            long = (time.perf_counter() - start) / 3
            for shot in range(LONG or shots):
                clock.shoot(self._draw.uniform(1e-6, 1.2 * long), self.path)
                self.check(shot)


class _Clock:
    """Strikes by SIGALRM. It may arrive late, by way of another thread: then it is nobody's any more."""

    def __init__(self) -> None:
        self._armed = False

    def _strike(self, *_: object) -> None:
        if self._armed:
            self._armed = False
            raise Struck

    def __enter__(self) -> None:
        signal.signal(signal.SIGALRM, self._strike)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # the default would end the process

    def shoot(self, seconds: float, path: Callable[[], object]) -> None:
        """Run a path, and strike after so long."""
        try:
            self._armed = True
            signal.setitimer(signal.ITIMER_REAL, seconds)
            path()
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._armed = False
        except Struck:
            pass
