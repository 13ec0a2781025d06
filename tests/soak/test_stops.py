"""Sessions that are ended: by signals in every phase, by force, by a full disk, by a failed device."""

import pytest

from bci_m2s.soak.stops import STOPS, Stand, fail_device, run_stops

pytestmark = pytest.mark.live

PATIENCE = 10.0  # a machine that runs other tests, and other sessions, beside


@pytest.fixture(scope="module")
def broken_promises(tmp_path_factory):
    with Stand(tmp_path_factory.mktemp("stops"), 5, PATIENCE) as stand:
        return run_stops(stand)


@pytest.mark.parametrize("name", STOPS)
def test_an_end_leaves_what_is_promised(broken_promises, name):
    assert broken_promises[name] == []


def test_a_failed_device_ends_the_estimates_but_not_the_recording(tmp_path):
    assert fail_device(tmp_path, PATIENCE) == []
