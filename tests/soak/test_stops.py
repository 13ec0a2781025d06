"""Sessions that are ended: by signals in every phase, by force, by a full disk, by a failed device."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.session_stops import STOPS, Stand, check_recording

from bci_m2s.errors import DeviceError
from bci_m2s.soak.rig import RATE_HZ, Rig

pytestmark = pytest.mark.live

PATIENCE = 10.0  # a machine that runs other tests, and other sessions, beside
AT_ONCE = 6  # sessions in parallel: they wait more than they compute
OFTEN = ("SIGINT while estimating", "kill -9", "a disk that stays full")


@pytest.fixture(scope="module")
def broken_promises(request, tmp_path_factory):
    """What the stops that are to be tested leave broken, by name; several sessions run at once."""
    own = [item for item in request.session.items if item.path == request.path]
    names = {item.callspec.params["name"] for item in own if hasattr(item, "callspec")}
    with Stand(tmp_path_factory.mktemp("stops"), 5, PATIENCE) as stand, ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {name: pool.submit(STOPS[name], stand) for name in names}
        return {name: future.result() for name, future in futures.items()}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in OFTEN else pytest.mark.nightly) for name in STOPS]
)
def test_an_end_leaves_what_is_promised(broken_promises, name):
    assert broken_promises[name] == []


def test_the_stops_of_every_run_exist():
    assert set(OFTEN) <= set(STOPS)


def test_a_failed_device_ends_the_estimates_but_not_the_recording(tmp_path, monkeypatch):
    def fail(_modality, _features):
        raise DeviceError("cuda:0: inference failed: an illegal memory access")

    with Rig(tmp_path, (), patience=PATIENCE) as rig:
        started_s, watch = rig.now_s(), rig.watch
        monkeypatch.setattr(rig.predictor, "predict_all", fail)
        words = ("illegal memory access",)
        assert watch.wait_for(lambda: watch.events("inference_failed", started_s, words), 2.0 * PATIENCE)
        enough = rig.recorder.state().samples_written + RATE_HZ
        assert watch.wait_for(lambda: rig.recorder.state().samples_written > enough, 3.0 * PATIENCE)
        rig.finish()
        assert isinstance(rig.engine.failure, DeviceError)
    assert check_recording(rig.path, rig.sent) == []
