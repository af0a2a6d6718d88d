"""`ajil worker` that can write nothing but to Kafka: python -m tests.broker.faults.full_disk full|closed AGENT

`full`: its log goes to a full disk; `closed`: to a reader that has gone. No folder can be written to.
"""

from __future__ import annotations

import os
import sys

NOWHERE = "/proc"
"""A folder in which not even root can make a file."""


def main() -> None:
    how, agent = sys.argv[1:]
    if how == "full":
        log = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, log = os.pipe()
        os.close(reader)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ |= dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), NOWHERE)
    os.chdir(NOWHERE)
    from stream.cli import main as ajil

    sys.argv = ["ajil", "worker", "--agents", agent]
    ajil()


if __name__ == "__main__":
    main()
