"""Memory is used again when nobody can see it any more, and never before."""

import sys
import threading

import numpy as np

from tauopt.stream import memory
from tauopt.stream.memory import ALIGNMENT, Recycled


def address(array):
    return array.ctypes.data


def test_arrays_are_aligned_and_as_asked_for():
    recycled = Recycled()
    for shape, dtype in (((7, 3, 2), np.float32), ((5, 9), np.bool_)):
        array = recycled.empty(shape, dtype)
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
        assert array.flags.c_contiguous
        assert address(array) % ALIGNMENT == 0


def test_what_is_held_by_a_view_is_not_given_again():
    recycled = Recycled()
    first = recycled.empty((100, 10), np.float32)
    place, view = address(first), first[50:60].reshape(-1)
    view[:] = 7
    del first
    other = recycled.empty((100, 10), np.float32)
    other[:] = 0
    assert (view == 7).all()
    del view
    assert address(recycled.empty((100, 10), np.float32)) == place


def test_many_threads_never_share_memory():
    recycled, wrong = Recycled(), []

    def work(number):
        for turn in range(300):
            array = recycled.empty((500,), np.int32)
            array[:] = number * 1000 + turn
            if (array != number * 1000 + turn).any():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)
    assert not wrong


def test_memory_that_nobody_holds_is_given_back_when_there_is_much(monkeypatch):
    monkeypatch.setattr(memory, "MOST", 10_000)
    recycled = Recycled()
    kept = recycled.empty((4000,), np.bool_)
    kept[:] = True
    for size in range(3000, 5000, 100):
        recycled.empty((size,), np.bool_)
        assert recycled._bytes <= 10_000
    assert kept.all()
