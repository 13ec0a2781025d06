"""What one thread asks of another: done once, refused in words, or withdrawn; never left in doubt."""

import threading
import time

import pytest

from bci_m2s.engine.calls import Calls
from bci_m2s.engine.wake import Wake
from bci_m2s.errors import CommandError

LIMIT_S = 120.0


class Owner(threading.Thread):
    """A thread that carries out calls whenever it is woken."""

    def __init__(self):
        super().__init__(daemon=True)
        self.wake, self.over, self.refused, self.failure = Wake(), False, [], None
        self.calls = Calls(self.wake)

    def run(self):
        try:
            while not self.over:
                self.wake.wait(0.05)
                self.calls.carry_out(self.refused.append)
        except ZeroDivisionError as problem:
            self.failure = problem
        self.calls.end("it is over")


@pytest.fixture
def owner():
    made = Owner()
    made.start()
    yield made
    made.over = True
    made.join(LIMIT_S)


def test_it_is_done_by_the_owner_and_answered(owner):
    assert owner.calls.request(lambda: threading.current_thread().name) == owner.name


def test_calls_of_many_are_each_done_once(owner):
    done = []
    threads = [
        threading.Thread(
            target=lambda n=n: [
                owner.calls.request(lambda i=i: done.append((n, i)) or "") for i in range(20)
            ]
        )
        for n in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert sorted(done) == [(n, i) for n in range(5) for i in range(20)]
    assert [i for n, i in done if n == 0] == list(range(20))


def test_a_refusal_reaches_the_asker_and_is_reported(owner):
    def refuse():
        raise CommandError("not enough")

    with pytest.raises(CommandError, match="not enough"):
        owner.calls.request(refuse)
    assert owner.refused == ["not enough"]
    assert owner.calls.request(lambda: "goes on") == "goes on"


def test_a_failure_reaches_both(owner):
    with pytest.raises(CommandError, match="ZeroDivisionError"):
        owner.calls.request(lambda: 1 / 0)
    owner.join(LIMIT_S)
    assert isinstance(owner.failure, ZeroDivisionError)
    assert owner.refused == []


def test_what_comes_too_late_is_never_done():
    done, calls = [], Calls(threading.Event())
    with pytest.raises(CommandError, match=r"did not get to it within 0\.05 s; not done"):
        calls.request(lambda: done.append(1) or "", timeout_s=0.05)
    calls.carry_out(done.append)
    assert done == []


def test_what_has_begun_and_hangs_is_reported_as_that():
    begun, go = threading.Event(), threading.Event()

    class Waking:
        """Whoever wakes the owner goes on when that has begun."""

        def set(self):
            owner.start()
            assert begun.wait(LIMIT_S)

    calls = Calls(Waking())
    owner = threading.Thread(target=calls.carry_out, args=(print,))
    with pytest.raises(CommandError, match=r"started, but not done after 0\.1 s"):
        calls.request(lambda: begun.set() or str(go.wait(LIMIT_S)), timeout_s=0.05)
    go.set()
    owner.join(LIMIT_S)


def test_after_the_end_all_is_refused_at_once():
    calls = Calls(threading.Event())
    refused = []

    def ask():
        try:
            calls.request(lambda: "done", LIMIT_S)
        except CommandError as problem:
            refused.append(str(problem))

    waiting = threading.Thread(target=ask)
    waiting.start()
    limit = time.monotonic() + LIMIT_S
    while calls._waiting.empty() and time.monotonic() < limit:
        time.sleep(0.001)
    calls.end("it is over")
    waiting.join(LIMIT_S)
    begun = time.monotonic()
    ask()
    assert refused == ["it is over", "it is over"]
    assert time.monotonic() - begun < LIMIT_S / 2
