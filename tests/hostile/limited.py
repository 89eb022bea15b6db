"""Runs a command and says what it cost: `python limited.py RESULT COMMAND...`.

A process of its own, because a child begins with the peak memory of the process that started it (Linux keeps the
larger of both over exec), and a test runner that has imported torch is larger than what is measured here.
"""

import ctypes
import json
import os
import resource
import sys
from pathlib import Path

GUARD_BYTES = 4 * 2**30
"""Address space: keeps a runaway from taking the machine with it, far above what the tests allow."""
GUARD_SECONDS = 60
"""Processor time, likewise."""
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2


def main(result: str, command: list[str]) -> None:
    pid = os.fork()
    if not pid:
        resource.setrlimit(resource.RLIMIT_AS, (GUARD_BYTES, GUARD_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (GUARD_SECONDS, GUARD_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if os.environ.pop("MMDOCTOR_WITHOUT_ROOT_RIGHTS", ""):  # permissions bind root too, from the exec on
            for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
                ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        os.execv(command[0], command)
    _, status, usage = os.wait4(pid, 0)
    cost = {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * 1024,
    }
    Path(result).write_text(json.dumps(cost))


main(sys.argv[1], sys.argv[2:])
