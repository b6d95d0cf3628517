"""Ctrl-C: noted once, raised twice, and no other handler touched."""

import signal
import threading

import battery
import pytest

from dotbias.errors import StoppedWarning
from dotbias.settings import checked
from dotbias.stopping import stoppable, warn_stopped


@pytest.fixture(autouse=True)
def pythons_own_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_is_noted_and_the_second_raised():
    with pytest.raises(KeyboardInterrupt), stoppable() as stop:
        assert not stop.asked
        signal.raise_signal(signal.SIGINT)
        assert stop.asked
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_one_within_another_ends_both():
    with stoppable() as outer:
        with stoppable() as inner:
            signal.raise_signal(signal.SIGINT)
        assert outer.asked and inner.asked
        with stoppable() as late:
            assert late.asked


def test_another_programs_handler_stays():
    seen = []
    signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    with stoppable() as stop:
        signal.raise_signal(signal.SIGINT)
    assert seen == [1] and not stop.asked


def test_outside_the_main_thread_nothing_is_replaced():
    found = []

    def inside():
        with stoppable() as stop:
            found.append((stop.asked, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [(False, signal.default_int_handler)]


def test_the_warning_names_the_place_and_the_callers_line():
    def fitter(train):
        warn_stopped("after epoch 3 of 30")

    with pytest.warns(StoppedWarning, match="after epoch 3 of 30; what") as caught:
        checked(fitter)(battery.world(n_ratings=5))
    assert caught[0].filename == __file__
