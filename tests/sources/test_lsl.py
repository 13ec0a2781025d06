"""LSL sources on loopback: real outlets in this process, found, described, refused, pulled."""

import gc
import struct
import tempfile
import time
import uuid
import weakref
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pylsl
import pytest
from support.raw_files import xdf_chunk

from bci_m2s.errors import StreamError
from bci_m2s.lsl import network
from bci_m2s.lsl.formats import ANSWER_TYPE, OWN_TYPES
from bci_m2s.lsl.network import Selector, brief_info, list_streams, refuse_absurd, resolve
from bci_m2s.lsl.outlet import make_outlet
from bci_m2s.recording.recorded import open_recording
from bci_m2s.sources import Environment, lsl
from bci_m2s.sources.lsl import LslSource
from bci_m2s.sources.streams import LslStream
from bci_m2s.types import StreamInfo

LIMIT_S = 120.0


def outlet(
    name, rate_hz=500.0, labels=("Fp1", "Fp2"), kind="float32", stream_type="EEG", unit="microvolts"
):
    info = pylsl.StreamInfo(name, stream_type, max(1, len(labels)), rate_hz, kind, uuid.uuid4().hex)
    if labels:
        info.set_channel_labels(list(labels))
        info.set_channel_units(unit)
    return pylsl.StreamOutlet(info)


def opened(name, **options):
    source = LslSource(name, wait_s=LIMIT_S, **options)
    source.open()
    return source


def pull_until(source, count):
    chunks, limit = [], time.monotonic() + LIMIT_S
    while sum(len(times) for times, *_ in chunks) < count:
        assert time.monotonic() < limit
        chunk = source.pull(0.2)
        if len(chunk):  # copied: the next pull overwrites the samples
            chunks.append((chunk.times.copy(), chunk.samples.copy(), chunk.received_s.copy()))
    return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]


def unique(word):
    return f"{word}-{uuid.uuid4().hex[:8]}"


def test_every_sample_comes_in_order_with_its_stamp():
    name = unique("cap")
    sender = outlet(name)
    source = opened(name)
    assert sender.wait_for_consumers(LIMIT_S)
    data = np.arange(5000, dtype=np.float32).reshape(2500, 2)
    stamps = 100 + np.arange(2500) / 500
    for start in range(0, 2500, 125):
        sender.push_chunk(data[start : start + 125], stamps[start : start + 125].tolist())
    times, samples, received_s = pull_until(source, 2500)
    np.testing.assert_array_equal(samples, data)
    np.testing.assert_allclose(times, stamps, atol=1e-9)
    assert np.abs(received_s - pylsl.local_clock()).max() < LIMIT_S
    assert abs(source.clock_offset_s(5.0)) < 0.05
    source.close()
    source.close()


@pytest.mark.parametrize(
    ("shift", "words"),
    [
        (lambda: 0.0, ""),
        (lambda: -50.0, ""),  # a sender that was frozen for a while
        (lambda: time.time() - pylsl.local_clock(), "not LSL time (they are Unix time"),
        (lambda: -1e4, "stamps are 1e+04 s behind this clock: not LSL time"),
        (lambda: 500.0, "s ahead of this clock: not LSL time"),
    ],
)
def test_stamps_that_are_not_lsl_time_are_a_problem(shift, words):
    name = unique("cap")
    sender = outlet(name)
    source = opened(name)
    assert sender.wait_for_consumers(LIMIT_S)
    sender.push_chunk(
        np.zeros((10, 2), np.float32), (pylsl.local_clock() + shift() + np.arange(10) / 500).tolist()
    )
    pull_until(source, 10)
    assert np.isfinite(source.clock_offset_s(5.0))
    problem = source.problem()
    source.close()
    assert problem.startswith("stamps are") == bool(words)
    assert words in problem


def test_stamps_of_another_clock_are_none_when_samples_are_stamped_on_arrival():
    name = unique("cap")
    sender = outlet(name)
    settings = LslStream(name=name, wait_s=LIMIT_S, stamps="arrival")
    source = settings.make_source(Environment(pylsl.local_clock, print, lambda: False))
    source.open()
    assert sender.wait_for_consumers(LIMIT_S)
    stamps = time.time() + np.arange(10) / 500
    sender.push_chunk(np.zeros((10, 2), np.float32), stamps.tolist())
    times, _, received_s = pull_until(source, 10)
    assert source.problem() == ""
    assert source.clock_offset_s(0.0) == 0.0
    source.close()
    assert abs(times[-1] - received_s[-1]) < 1.0  # however many pulls they came in
    np.testing.assert_allclose(np.diff(times), 1 / 500, rtol=0.1)


def test_the_description_is_complete():
    name = unique("cap")
    sender = outlet(name, labels=("TP9", "AF7", "µ<&>"))
    source = opened(name)
    info = source.info
    assert (info.name, info.type, info.rate_hz, info.channel_format) == (name, "EEG", 500, "float32")
    assert info.labels == ("TP9", "AF7", "µ<&>")
    assert info.units == ("microvolts",) * 3
    assert info.uid == sender.get_info().uid()
    assert info.source_id
    source.close()


def test_the_reference_is_read():
    info = pylsl.StreamInfo(unique("cap"), "EEG", 1, 250.0, "float32", uuid.uuid4().hex)
    info.set_channel_labels(["Cz"])
    info.desc().append_child("reference").append_child_value("label", " linked ears ")
    sender = pylsl.StreamOutlet(info)
    source = opened(info.name())
    assert source.info.reference == "linked ears"
    source.close()
    del sender


@pytest.mark.parametrize(
    ("groups", "labels", "remark"),
    [
        ([], ("ch1", "ch2", "ch3"), ""),
        ([["label=Cz"], ["name=Pz", ""]], ("Cz", "Pz", "ch3"), ""),
        ([["label=Cz", "label=Pz"]], ("ch1", "ch2", "ch3"), "channels described: 2, sent: 3"),
        ([["label=Cz"] * 4], ("ch1", "ch2", "ch3"), "channels described: 4, sent: 3"),
    ],
)
def test_labels_of_every_description_are_those_of_a_recording(groups, labels, remark):
    info = pylsl.StreamInfo(unique("bare"), "EEG", 3, 250.0, "float32", uuid.uuid4().hex)
    for group in groups:
        channels = info.desc().append_child("channels")
        for entry in group:
            channel = channels.append_child("channel")
            if entry:
                channel.append_child_value(*entry.split("="))
    sender = pylsl.StreamOutlet(info)
    source = opened(info.name())
    source.close()
    assert (source.info.labels, source.info.remark[: len(remark)]) == (labels, remark)
    assert bool(source.info.remark) == bool(remark)
    del sender
    element = ET.fromstring(source.description_xml)
    header = f"<info>{''.join(ET.tostring(child, 'unicode') for child in element)}</info>"
    content = b"XDF:" + xdf_chunk(1, b"<info><version>1.0</version></info>")
    content += xdf_chunk(2, struct.pack("<I", 1) + header.encode())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bare.xdf"
        path.write_bytes(content)
        (recorded,) = open_recording(path).streams
    assert (recorded.info.labels, recorded.info.remark) == (source.info.labels, source.info.remark)


def test_text_streams_survive_bad_utf8():
    name = unique("marks")
    sender = outlet(name, rate_hz=0, labels=("m",), kind="string", stream_type="Markers")
    source = opened(name)
    assert sender.wait_for_consumers(LIMIT_S)
    sender.push_sample(["trial/start/positive"])
    sender.push_sample([b"\xff\xfe broken"])
    _, samples, _ = pull_until(source, 2)
    assert samples[0, 0] == "trial/start/positive"
    assert "broken" in samples[1, 0]
    source.close()


def test_several_matches_are_refused_with_a_list():
    name = unique("twin")
    senders = [outlet(name), outlet(name)]
    with pytest.raises(StreamError, match="2 streams match name") as caught:
        opened(name)
    for sender in senders:
        assert sender.get_info().source_id() in str(caught.value)
    exact = LslSource(name, source_id=senders[1].get_info().source_id(), wait_s=LIMIT_S)
    exact.open()
    assert exact.info.uid == senders[1].get_info().uid()
    exact.close()


def test_nothing_found_says_what_is_there():
    name = unique("other")
    sender = outlet(name)
    notices = []
    with pytest.raises(StreamError, match=r"no stream with name 'nobody' came within 2 s") as caught:
        LslSource("nobody", wait_s=2.0, notify=notices.append).open()
    assert name in str(caught.value)
    assert notices == ["waiting for a stream with name 'nobody', up to 2 s"]
    del sender


class Streams:
    """A network with these streams."""

    def __init__(self, *infos):
        self._infos = {info.name(): brief_info(info) for info in infos}

    def infos(self):
        return self._infos


def test_what_is_there_is_said_without_what_a_session_of_this_process_sends(monkeypatch):
    sent = []
    monkeypatch.setattr(pylsl, "StreamOutlet", lambda raw, **_how: sent.append(raw))
    for kind in (ANSWER_TYPE, *OWN_TYPES):
        make_outlet(StreamInfo(f"my {kind}", kind, unique("mine"), labels=("a",), units=("",)), 1)
    others = pylsl.StreamInfo("theirs", ANSWER_TYPE, 1, 0, "float32", unique("theirs"))
    with pytest.raises(StreamError) as caught:
        resolve(Selector(name="cap"), 0.0, Streams(*sent, others))
    assert str(caught.value).endswith("on the network: " + brief_info(others).describe())
    with pytest.raises(StreamError, match="on the network: no stream at all"):
        resolve(Selector(name="cap"), 0.0, Streams(*sent))


class Resolver:
    """What liblsl finds: the same streams each time, as objects of their own."""

    there = ("a", "b")

    def __init__(self, **_how):
        pass

    def results(self):
        return [RawInfo(name) for name in self.there]


class RawInfo:
    def __init__(self, name):
        self._name = name

    def uid(self):
        return f"uid of {self._name}"


def test_what_a_stream_says_of_itself_is_read_once_however_many_wait(monkeypatch):
    read = []

    def brief(raw):
        read.append(raw.uid())
        return StreamInfo(raw._name, "EEG", uid=raw.uid())

    monkeypatch.setattr(pylsl, "ContinuousResolver", Resolver)
    monkeypatch.setattr(network, "brief_info", brief)
    monkeypatch.setattr(network, "FRESH_S", 0.0)
    around = network.LslNetwork()
    for _ in range(5):
        with pytest.raises(StreamError):
            resolve(Selector(name="nobody"), 0.0, around)
        assert [info.name for info in around.infos().values()] == ["a", "b"]
    assert sorted(read) == ["uid of a", "uid of b"]
    monkeypatch.setattr(Resolver, "there", ("b", "c"))
    assert [info.name for info in around.infos().values()] == ["b", "c"]


def test_waiting_can_be_stopped():
    begun = time.monotonic()
    with pytest.raises(StreamError, match="stopped while waiting"):
        resolve(Selector(name="nobody"), 30.0, stopped=lambda: True)
    assert time.monotonic() - begun < 25


def test_a_pull_without_data_returns_within_its_time():
    name = unique("silent")
    sender = outlet(name)
    source = opened(name)
    begun = time.monotonic()
    assert len(source.pull(LIMIT_S)) == 0
    assert time.monotonic() - begun < LIMIT_S / 2  # one call is limited to 0.2 s whatever is asked for
    source.close()
    del sender


def test_the_list_has_every_stream_with_its_labels():
    names = [unique("a"), unique("b")]
    senders = [
        outlet(names[0]),
        outlet(names[1], rate_hz=0, labels=("m",), kind="string", stream_type="Markers"),
    ]
    found, limit = {}, time.monotonic() + LIMIT_S
    while not all(name in found and found[name].labels for name in names):  # who is asked may be slow
        assert time.monotonic() < limit
        found = {info.name: info for info in list_streams(2.0, describe=True)}
    assert found[names[0]].labels == ("Fp1", "Fp2")
    assert found[names[1]].channel_format == "string"
    del senders


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rate_hz": 1e9}, "rate"),
        ({"rate_hz": -1.0}, "rate"),
        ({"rate_hz": float("nan")}, "rate"),
        ({"labels": ()}, "channels"),
        ({"channel_format": "undefined"}, "channel format"),
    ],
)
def test_absurd_streams_are_refused_before_they_are_opened(change, field):
    from dataclasses import replace

    fine = StreamInfo("x", "EEG", rate_hz=250, labels=("a",), units=("",))
    refuse_absurd(fine)
    with pytest.raises(StreamError, match=f"{field}: got .*, expected"):
        refuse_absurd(replace(fine, **change))


def test_a_stream_that_is_lost_for_good_says_so_and_ends_nothing():
    """liblsl does not look again for a stream without a source id: every call tells of the loss."""

    class Gone:
        def pull_chunk(self, **_):
            raise pylsl.util.LostError("the stream read by this outlet has been lost")

    source = LslSource(name="cap")
    source.info = StreamInfo("cap", "EEG", labels=("a", "b"), units=("", ""))
    source._inlet = Gone()
    assert source.problem() == ""
    begun = time.monotonic()
    assert source.pull(0.05).samples.shape == (0, 2)
    assert time.monotonic() - begun >= 0.05  # a reader that asks again and again must not take a core
    assert not source.finished
    assert source.problem() == "lost, and without a source id it cannot be found again"


def test_a_source_that_is_closed_gives_nothing_and_lets_go_of_its_inlet():
    name = unique("cap")
    sender = outlet(name)
    source = opened(name)
    inlet = weakref.ref(source._inlet)
    source.close()
    assert inlet() is None
    with pytest.raises(AttributeError):
        source.pull(0.1)
    del sender


def test_a_sender_that_comes_back_with_text_while_it_is_opened_is_read_as_text(monkeypatch):
    """What was prepared for numbers is of an inlet that is gone."""
    name, senders = unique("cap"), []
    senders.append(outlet(name))
    real_open, real_resolve = pylsl.StreamInlet.open_stream, lsl.resolve
    tries = []

    def open_stream(inlet, timeout):
        tries.append(inlet.channel_format)
        if len(tries) == 1:
            senders.clear()
            raise pylsl.util.TimeoutError("it was just restarted")
        return real_open(inlet, timeout=timeout)

    def resolve_anew(*given):
        if tries:  # the list of streams still has the one before
            senders.append(outlet(name, kind="string"))
            (found,) = pylsl.resolve_bypred(f"name='{name}' and channel_format='string'", 1, LIMIT_S)
            return found
        return real_resolve(*given)

    monkeypatch.setattr(pylsl.StreamInlet, "open_stream", open_stream)
    monkeypatch.setattr(lsl, "resolve", resolve_anew)
    source = opened(name)
    senders[0].push_sample(["a", "b"])
    _, samples, _ = pull_until(source, 1)
    assert samples.tolist() == [["a", "b"]]
    source.close()


def test_a_source_that_did_not_open_lets_go_of_the_network_at_once():
    """Its look around holds ports from which senders take theirs, until somebody collects cycles."""
    source = LslSource("nobody", wait_s=0.1)
    with pytest.raises(StreamError, match="nobody"):
        source.open()
    gone = weakref.ref(source)
    gc.disable()
    try:
        del source
        assert gone() is None
    finally:
        gc.enable()
