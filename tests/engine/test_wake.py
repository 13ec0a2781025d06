"""One thread sleeps until any other wakes it; no wake is lost, and several are one."""

import gc
import os
import sys
import threading
import time

import pytest

from bci_m2s.engine.wake import QueueWake, Wake


@pytest.fixture(params=sorted({Wake, QueueWake}, key=str))
def wake(request):
    return request.param()


def test_it_sleeps_for_the_time_given(wake):
    begun = time.monotonic()
    assert not wake.wait(0.05)
    assert time.monotonic() - begun >= 0.045


def test_set_before_the_wait_counts_once(wake):
    for _ in range(3):
        wake.set()
    assert wake.wait(10.0)
    assert not wake.wait(0.01)


def test_another_thread_wakes_it(wake):
    timer = threading.Timer(0.02, wake.set)
    timer.start()
    assert wake.wait(10.0)
    timer.join()


def test_nothing_is_lost_between_threads(wake):
    """Whatever is put before a set is seen after the wait that follows."""
    put, n = [], 20_000

    def writer():
        for number in range(n):
            put.append(number)
            wake.set()

    threads = [threading.Thread(target=writer) for _ in range(2)]
    for thread in threads:
        thread.start()
    seen = 0
    while seen < 2 * n:
        assert wake.wait(10.0)
        seen = len(put)
    for thread in threads:
        thread.join()
    wake.wait(0.0)
    assert not wake.wait(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="no file there")
def test_its_file_is_closed_with_it():
    wake = Wake()
    number = wake._fd
    os.fstat(number)
    del wake
    gc.collect()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)
