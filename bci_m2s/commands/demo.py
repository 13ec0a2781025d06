"""``bci-m2s demo``: a simulated headset and eye tracker in another process, live estimates in this one."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bci_m2s.lsl.configuration import lsl_on_this_machine
from bci_m2s.session.control.rendezvous import starting
from bci_m2s.session.remote.address import Address
from bci_m2s.session.terminal.view import make_console
from bci_m2s.simulator.markers import trial_spans
from bci_m2s.simulator.settings import SimulatorSettings

if TYPE_CHECKING:
    from bci_m2s.lsl.network import LslNetwork
    from bci_m2s.sources.sender_process import SenderProcess, SenderSpec

PIPELINE = "demo"
FIRST_VISIT, VISIT = 0, 1
REST_S = 20.0  # of the first visit: settling, and the model's baseline of 10 s
WAIT_S = 4.0  # before the first trial of this visit
TRIAL_S = 10.0
STREAMS = ("eeg", "eye", "markers")
SEEN_S = 30.0  # for streams of this machine to be seen: a moment, more where it is busy
SEED = 0  # the population; the model learnt from other people of it


def run_demo(
    duration_s: float,
    output: Path | None,
    subject: int,
    record: bool = True,
    panel: bool = False,
    remote: Address | None = None,
) -> None:
    """Run the demo for `duration_s` (0: until Ctrl-C). Raises what ``run_session`` raises.

    panel : open one where there is a display; remote : where to take commands
    """
    console = make_console()
    console.print("bci_m2s demo", style="bold")
    console.print("Signals are simulated, and the model was trained on simulated ones.", style="yellow")
    console.print(
        "Another process sends a 62-channel EEG headset (1000 Hz) and an eye tracker (120 Hz) as real LSL "
        "streams. The simulated person has rested on an earlier visit; that baseline is used."
    )
    simulated = {"rest_s": WAIT_S, "trial_s": TRIAL_S, "seed": SEED, "order": "balanced"}
    with lsl_on_this_machine(), starting(), tempfile.TemporaryDirectory(prefix="bci_m2s-demo-") as folder:
        from bci_m2s.lsl.network import shared_network
        from bci_m2s.sources.sender_process import SenderSpec

        network = shared_network()  # the session's too, which then knows the streams when it begins
        spec = SenderSpec(streams=STREAMS, simulated=simulated, subject=subject, session=VISIT, wait_s=60.0)
        console.print("starting the simulator …")
        with ThreadPoolExecutor(1) as beside:
            begun = beside.submit(_begin_to_send, spec, network)  # takes a second, and so do these imports
            import scipy.signal  # noqa: F401 (reading the pipeline needs it)

            from bci_m2s.commands.run import run_session
            from bci_m2s.session.run import Options
        with begun.result() as sender:
            options = Options(
                duration_s,
                output,
                baseline=partial(measure_baseline, Path(folder) / "first-visit.json", subject),
                truth=trial_spans,
                notes={"simulated_signals": {**simulated, "subject": subject, "session": VISIT}},
                record=record,
                panel=panel,
                remote=remote,
                # not those of another demo that may run on this machine
                source_ids={key: info.source_id for key, info in zip(STREAMS, sender.infos, strict=True)},
            )
            run_session(PIPELINE, options, console)


def _begin_to_send(spec: SenderSpec, network: LslNetwork) -> SenderProcess:
    """Start the simulator and wait until its streams are seen, while it runs.

    It offers them one after the other, and on a busy machine the first may be seen long before the last.
    """
    from bci_m2s.sources.sender_process import SenderProcess

    sender, limit_s = SenderProcess(spec), time.monotonic() + SEEN_S
    sent = {info.source_id for info in sender.infos}
    while (
        sender.is_running
        and time.monotonic() < limit_s
        and not sent <= {raw.source_id() for raw in network.streams().values()}
    ):
        time.sleep(0.05)
    return sender


def measure_baseline(path: Path, subject: int) -> Path:
    """Write the baseline of a simulated person at rest, from a visit before the demo's; return `path`."""
    from bci_m2s.pipeline.baseline_file import save_baseline
    from bci_m2s.session.notebook import make_pipeline
    from bci_m2s.session.setup.build import make_plan
    from bci_m2s.sources.simulated import SimulatedSource

    plan = make_plan(PIPELINE)
    settings = SimulatorSettings(rest_s=REST_S, trial_s=TRIAL_S, seed=SEED, order="balanced")
    sources = {
        modality: SimulatedSource(settings, modality, subject, FIRST_VISIT, chunk_s=1.0)
        for modality in plan.settings.streams
    }
    pipeline = make_pipeline(plan.model_path, {name: source.info for name, source in sources.items()})
    for modality, source in sources.items():
        source.open()
        for _ in range(round(REST_S)):
            pipeline.push(modality, source.pull(0.0))
    save_baseline(path, pipeline, plan.contract.name)
    return path
