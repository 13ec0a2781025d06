"""``bci-m2s demo``: a simulated headset and eye tracker in another process, live estimates in this one."""

from __future__ import annotations

from pathlib import Path

from bci_m2s.lsl.configuration import lsl_on_this_machine
from bci_m2s.session.control.rendezvous import starting
from bci_m2s.session.terminal.view import make_console
from bci_m2s.simulator.markers import trial_spans

REST_S = 20.0  # of the simulated person, long enough for the model's baseline
TRIAL_S = 10.0
STREAMS = ("eeg", "eye", "markers")
SEED = 0  # the population; the model learnt from other people of it


def run_demo(
    duration_s: float, output: Path | None, subject: int, record: bool = True, panel: bool = False
) -> None:
    """Run the demo for `duration_s` (0: until Ctrl-C). Raises what ``run_session`` raises.

    panel : open one where there is a display
    """
    console = make_console()
    console.print("bci_m2s demo", style="bold")
    console.print("Signals are simulated, and the model was trained on simulated ones.", style="yellow")
    console.print(
        "Another process sends a 62-channel EEG headset (1000 Hz) and an eye tracker (120 Hz) as real LSL "
        "streams."
    )
    with lsl_on_this_machine(), starting():
        from bci_m2s.commands.run import run_session
        from bci_m2s.session.run import Options
        from bci_m2s.sources.sender_process import SenderProcess, SenderSpec

        simulated = {"rest_s": REST_S, "trial_s": TRIAL_S, "seed": SEED}
        spec = SenderSpec(streams=STREAMS, simulated=simulated, subject=subject, wait_s=60.0)
        console.print("starting the simulator …")
        with SenderProcess(spec) as sender:
            options = Options(
                duration_s,
                output,
                truth=trial_spans,
                notes={"simulated_signals": {**simulated, "subject": subject}},
                # not those of another demo that may run on this machine
                record=record,
                panel=panel,
                source_ids={key: info.source_id for key, info in zip(STREAMS, sender.infos, strict=True)},
            )
            run_session("demo", options, console)
