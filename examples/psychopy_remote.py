"""Trials under remote control: records, marks, reads the estimate back; in PsychoPy, or without it.

bci-m2s demo --remote 22345          in one terminal, then
python psychopy_remote.py            in another
"""

import json
import socket
import time

try:
    from psychopy import core, visual
except ImportError:
    visual = None


def asker(port):
    session = socket.create_connection(("127.0.0.1", port))
    replies = session.makefile("r", encoding="utf-8")

    def ask(line):
        session.sendall(f"{line}\n".encode())
        reply = replies.readline().strip()
        if not reply or reply.startswith("ERR"):
            raise SystemExit(f"{line}: {reply or 'the session has ended'}")
        return reply

    return ask


def run(ask, show, classes=("negative", "neutral", "positive"), seconds=6.0):
    ask("filename {participant:01} {task:words}")
    ask("start")
    for label in classes:
        ask(f"marker trial/start/{label}")
        show(label, seconds)
        ask(f"marker trial/stop/{label}")
        for one in json.loads(ask("estimate"))["estimates"]:
            show(f"{one['modality']}: {one['label'] or one['reason']}", 1.0)
    ask("stop")


def show(words, seconds):
    if visual is None:
        print(words, flush=True)
        return time.sleep(seconds)
    visual.TextStim(window, text=words).draw()
    window.flip()
    return core.wait(seconds)


if __name__ == "__main__":
    window = visual.Window(fullscr=True) if visual else None
    run(asker(22345), show)
