"""What a benchmark's numbers mean nothing without: the processor, the file system, and who else was at work."""

import os
import platform
import time
from pathlib import Path


class Bystanders:
    """How much of the machine other programs take from now on: what all cores do (/proc/stat) less our own part."""

    def __init__(self) -> None:
        self._since, self._busy = time.monotonic(), self._busy_seconds()

    def cores(self, *, own_seconds: float) -> float:
        busy = self._busy_seconds() - self._busy
        return max(0.0, busy - own_seconds) / (time.monotonic() - self._since)

    def _busy_seconds(self) -> float:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(
            int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        )
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def cpu_model() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.machine()


def file_system(folder: Path) -> str:
    """Name the kind of file system under ``folder``: on tmpfs an fsync costs nothing."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    holding = [(len(mount[1]), mount[2]) for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(holding)[1] if holding else "an unknown file system"


def forget_peak() -> float:
    """Make the kernel forget this process's peak resident memory; return what is resident now, in MiB (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(line: str) -> float:
    """Return ``VmRSS`` (resident now) or ``VmHWM`` (the peak, since :func:`forget_peak`) of this process in MiB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[line].split()[0]) / 1024
