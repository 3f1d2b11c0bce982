"""What this machine's processor can do, where that decides in which numbers a model is served."""

from functools import cache
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")


@cache
def has_avx512() -> bool:
    """Whether the processor has AVX-512; True where the system does not say (not Linux, not x86).

    vLLM's kernels for int4 exist only with it, those for int8 take 10 ms a layer for a single row
    without it, and bfloat16 is emulated.
    """
    try:
        lines = CPU_INFO.read_text("utf-8").splitlines()
    except OSError:
        return True
    flags = next((line for line in lines if line.startswith("flags")), None)
    return flags is None or "avx512f" in flags.split()
