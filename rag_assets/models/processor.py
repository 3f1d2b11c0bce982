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
    """Whether products of bfloat16 take less time than of float32; True where nobody says.

    With AMX they do. AVX-512's instruction for them does twice the work of one for float32 where
    both start as often (AMD); on Intel it starts half as often: 165 and 228 GFLOPS, measured on two
    cores of a Xeon whose AMX was hidden, oneDNN, 6400 x 384 x 1536, 2026-11-23.
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
