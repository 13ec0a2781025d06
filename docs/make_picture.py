"""Make ``docs/demo.svg``: the demo's terminal at two moments and its summary, from a real run.

python docs/make_picture.py
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console

from bci_m2s.commands.demo import SEED, STREAMS, TRIAL_S, VISIT, WAIT_S, measure_baseline
from bci_m2s.lsl.configuration import lsl_on_this_machine
from bci_m2s.session.description import describe_session
from bci_m2s.simulator.markers import trial_spans

SECONDS = 60.0
SUBJECT = 1000
LOOKS_S = (4.0, 46.0)  # when the picture is taken


def main() -> None:
    """Run the demo's pipeline in this process and print what its user sees into an SVG."""
    console = Console(
        record=True, width=112, force_terminal=True, color_system="truecolor", highlight=False, markup=False
    )
    with lsl_on_this_machine():
        from bci_m2s.engine.engine import Engine
        from bci_m2s.lsl.network import local_clock
        from bci_m2s.pipeline.baseline_file import adopt_baseline
        from bci_m2s.session.setup import build
        from bci_m2s.session.setup.connect import Environment, connect
        from bci_m2s.session.terminal.view import live_view, print_summary
        from bci_m2s.sources.sender_process import SenderProcess, SenderSpec

        simulated = {"rest_s": WAIT_S, "trial_s": TRIAL_S, "seed": SEED, "order": "balanced"}
        console.print("$ bci-m2s demo", style="bold")
        console.print("Signals are simulated, and the model was trained on simulated ones.", style="yellow")
        spec = SenderSpec(streams=STREAMS, simulated=simulated, subject=SUBJECT, session=VISIT, wait_s=30.0)
        with SenderProcess(spec) as sender:
            ids = {key: info.source_id for key, info in zip(STREAMS, sender.infos, strict=True)}
            plan = build.pinned(build.make_plan("demo"), ids)  # not those of another demo on this machine
            predictor = build.make_predictor(plan)
            around = Environment(local_clock, console.print, threading.Event().is_set)
            connected = connect(plan, around)
            infos = {modality: source.info for modality, source in connected.sources.items()}
            publisher = build.make_publisher(plan, local_clock)
            pipeline = build.make_pipeline(plan, predictor, infos, local_clock, publisher.emit)
            with tempfile.TemporaryDirectory() as folder:
                adopt_baseline(measure_baseline(Path(folder) / "first-visit.json", SUBJECT), pipeline)
            session = describe_session(plan, infos, pipeline.device, "live")
            publisher.attach(build.make_sinks(plan, None, session, outlet=True))
            engine = Engine(pipeline, connected.sources, publisher, local_clock, connected.markers)
            engine.start()
            begun = time.monotonic()
            for look_s in (*LOOKS_S, SECONDS):
                while time.monotonic() - begun < look_s:
                    engine.reporter.snapshot()  # keeps the measured rates up to date, as the display does
                    time.sleep(0.25)
                if look_s in LOOKS_S:
                    console.print()
                    console.print(live_view(engine.reporter.snapshot(), pipeline.heads, plan.contract.name))
            engine.finish()
            truth = trial_spans([(when_s, text) for when_s, text, _ in engine.publisher.markers])
            print_summary(console, engine.publisher.statistics, engine.reporter.snapshot().health, 0, truth)
    console.save_svg(str(Path(__file__).with_name("demo.svg")), title="bci-m2s demo")


if __name__ == "__main__":
    main()
