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
    info = _cpu_info()
    return info is None or "avx512f" in info


@cache
def has_fast_bfloat16() -> bool:
    """Whether products of bfloat16 take less time than of float32; True where the system is silent.

    With AMX they do. With AVX-512's instructions alone they do not on Intel: 165 GFLOPS, and 228 of
    float32, on two cores of a Xeon whose AMX was hidden (oneDNN, 6400 x 384 x 1536, 2026-11-23). On
    AMD's processors with them they should, by the instructions' rates; nobody has measured it.
    """
    info = _cpu_info()
    return info is None or "amx_bf16" in info or info >= {"AuthenticAMD", "avx512_bf16"}


def _cpu_info() -> frozenset[str] | None:
    """Words of the first processor's entry, flags and vendor among them; None if there are none."""
    try:
        first = CPU_INFO.read_text("utf-8").split("\n\n")[0]
    except OSError:
        return None
    return frozenset(first.split()) if "\nflags" in first else None
