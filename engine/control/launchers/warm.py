"""Warm starts: a process that has the training code loaded and forks a guard with its run for each request.

    python -m engine.control.launchers.warm MODULE        (requests on standard input, one JSON object a line)

Loading PyTorch and transformers takes ten seconds, longer than a small run itself trains. The fork shares what is
loaded; what it runs is `MODULE.main(argv)`, just as a cold start's `python -m MODULE`. CPU runs only: a CUDA driver
once touched does not survive a fork. Ends when its standard input does; the guards and runs it started go on.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys

import orjson

from engine.control.onhost.guard import guard


def serve(module_name: str) -> None:
    module = importlib.import_module(module_name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guards are nobody's to wait for
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin.buffer:
        folder = orjson.loads(line)["folder"]
        if os.fork() == 0:
            code = 1
            try:
                os.setsid()
                code = guard(folder, lambda argv: int(module.main(argv[3:], warm_start=True)))
            finally:
                os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
