"""What this process runs on and what it has taken."""

import platform
import re
import sys
from pathlib import Path


def cpu_name() -> str:
    """Model name of the processor, for instance ``"AMD EPYC 9R14"``."""
    try:
        names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE)
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def peak_memory_mb() -> float:
    """Peak resident memory of this process so far, in MiB."""
    import resource  # not on Windows, where reports can still be read

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # macOS counts bytes, Linux KiB
