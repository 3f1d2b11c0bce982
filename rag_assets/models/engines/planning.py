"""Whether a profile fits a machine, before any engine starts.

On a processor each engine takes what it needs of the host's memory. On a card each engine gets a
share of the memory (``gpu_memory_utilization``); what its weights and its working memory leave of
the share becomes its key-value cache.
"""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rag_assets.models.errors import ProfileError
from rag_assets.models.memory import (
    BYTES,
    GIB,
    Cache,
    Shape,
    cache_in,
    card_overhead,
    checkpoint_bytes,
    host_overhead,
    working_memory,
)
from rag_assets.models.profiles import ModelSpec, Profile, Role, WheelParts
from rag_assets.models.weights.pulling import is_pulled, model_dir

# What a process holds of a card before its share counts: the driver's context, kernels. Seen from
# 0.3 to 0.5 GiB.
CARD_CONTEXT = 0.45 * GIB
HOST_OF_CARD_ENGINE = 4.0 * GIB  # of the host, an engine whose model is on a card
DEFAULT_SHARE = 0.9  # vLLM's own
FORMAT_BYTES = {"bf16": 2.0, "w8a8": 1.0, "w4a16": 0.53}  # of a number in converted weights


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """Memory of one engine, in bytes.

    Attributes:
        role: of the engine.
        model_id: its model.
        weights: the model.
        cache: room for keys and values.
        working: what a step takes at its fullest, graphs, and the process itself.
        budget: what the engine may take: its share of the card, or its own sum on a processor.
        share: of the card; None on a processor.
        kv_bytes_a_token: what the cache keeps of a token.
        kv_tokens: tokens that the cache holds, as vLLM's log reports them.
        requests: of full context that the cache holds at once.
        max_model_len: the full context.
        largest_context: the largest context of which the cache holds one request.
        host: of the host's memory.
        is_earlier: whether it is the embedder of generations made before, beside the profile's.
    """

    role: Role
    model_id: str
    weights: float
    cache: float
    working: float
    budget: float
    share: float | None
    kv_bytes_a_token: float
    kv_tokens: int
    requests: float
    max_model_len: int
    largest_context: int
    host: float
    is_earlier: bool = False

    @property
    def name(self) -> str:
        """Of the engine, for people."""
        return f"earlier {self.role}" if self.is_earlier else self.role

    @property
    def margin(self) -> float:
        """What the budget leaves after weights and working memory for the cache; below 0: short."""
        return self.budget - self.weights - self.working


@dataclass(frozen=True, slots=True)
class ServingPlan:
    """Memory of all engines of a profile.

    Attributes:
        profile: its name.
        engines: by role.
        on_card: whether the engines run on a card.
        card: memory of the card in bytes; None where it is not known or not used.
        host: memory of the host in bytes that the engines may take.
        problems: what does not fit, as sentences.
        advice: what to change so that it fits, as sentences.
    """

    profile: str
    engines: tuple[EnginePlan, ...]
    on_card: bool
    card: float | None
    host: float
    problems: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether nothing is short."""
        return not self.problems

    @property
    def host_needed(self) -> float:
        """Of the host's memory, for all engines."""
        return sum(engine.host for engine in self.engines)

    @property
    def card_left(self) -> float:
        """Of the card, after all shares and the contexts of the processes; below 0: too much."""
        taken = sum(engine.budget + CARD_CONTEXT for engine in self.engines)
        return (self.card or 0.0) - taken

    def to_record(self) -> dict[str, Any]:
        """For ``--json``; memory in bytes."""
        return {
            **asdict(self),
            "engines": [{**asdict(one), "margin": one.margin} for one in self.engines],
            "fits": self.fits,
            "host_needed": self.host_needed,
            "card_left": self.card_left if self.on_card else None,
        }


def plan_serving(
    profile: Profile,
    cache_dir: Path,
    *,
    host: float,
    card: float | None = None,
    earlier: Profile | None = None,
) -> ServingPlan:
    """What the profile's engines need, and whether the machine has it.

    Args:
        profile: names models and flags. Roles behind endpoints need nothing here.
        cache_dir: weights that are there are measured, others are as the profile states.
        host: bytes of memory that the engines may take.
        card: bytes of the card; None: there is none.
        earlier: a profile whose embedder runs beside that of ``profile``, for generations that it
            made.
    """
    on_card = profile.lock == "gpu" and bool(profile.roles)
    if on_card and card is None:
        no_card = f"profile {profile.name} needs an NVIDIA card, and there is none"
        instead = "name the memory of a card with --gpu-memory, or take a profile that needs none"
        return ServingPlan(profile.name, (), on_card, None, host, (no_card,), (instead,))
    engines = tuple(_engine(spec, cache_dir, card) for spec in profile.roles.values())
    if earlier is not None and "embedder" in earlier.roles:
        beside = _engine(earlier.spec("embedder"), cache_dir, card)
        engines = (*engines, replace(beside, is_earlier=True))
    plan = ServingPlan(profile.name, engines, on_card, card if on_card else None, host, (), ())
    problems, advice = _on_card(plan) if on_card else ([], [])
    if plan.host_needed > host:
        problems.append(
            f"the engines need {gib(plan.host_needed)} of the host's memory, {gib(host)} are there"
        )
        advice.append(
            "take a profile with smaller or fewer models (`rag profiles`), or serve a role by an "
            "endpoint"
        )
    for engine in engines:
        if not on_card and engine.kv_bytes_a_token and engine.requests < 1:
            problems.append(_no_request(engine))
            advice.append(_smaller_context(engine))
    return replace(plan, problems=tuple(problems), advice=tuple(advice))


def card_memory() -> float | None:
    """Bytes of this machine's first NVIDIA card; None where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    found = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    lines = found.stdout.split()
    return float(lines[0]) * (1 << 20) if found.returncode == 0 and lines else None


def card_bytes(gb: float) -> float:
    """Bytes that engines see of a card that is sold with ``gb`` gigabytes.

    They see 31.36 GiB of 32 and 23.52 of 24.
    """
    return gb * 0.98 * GIB


def gib(n_bytes: float) -> str:
    """Bytes in GiB, for people."""
    return f"{n_bytes / GIB:.2f} GiB"


def _engine(spec: ModelSpec, cache_dir: Path, card: float | None) -> EnginePlan:
    shape, weights = _measured(spec, cache_dir)
    on_card = "VLLM_CPU_KVCACHE_SPACE" not in spec.environment
    batched = int(spec.flag("--max-num-batched-tokens") or max(spec.max_model_len, 8192))
    batched = batched if shape.keeps_cache else min(batched, 16 * spec.max_model_len)
    n_seqs = int(spec.flag("--max-num-seqs") or 256)
    kv_dtype = spec.flag("--kv-cache-dtype", "auto")
    kv_dtype = _computed_in(spec) if kv_dtype == "auto" else kv_dtype
    share = None
    if on_card:
        share = float(spec.flag("--gpu-memory-utilization") or DEFAULT_SHARE)
        budget = share * (card or 0.0)
        step = working_memory(shape, batched, n_seqs)
        eager = "--enforce-eager" in spec.flags or not shape.keeps_cache
        working = card_overhead(step, n_seqs, eager=eager)
        if not shape.keeps_cache:  # without a cache it takes what it needs, not its share
            budget = weights + working
        room = max(0.0, budget - weights - working)
        host = HOST_OF_CARD_ENGINE
    else:
        working = host_overhead(shape, batched)
        room = float(spec.environment["VLLM_CPU_KVCACHE_SPACE"]) * GIB if shape.keeps_cache else 0.0
        budget = host = weights + working + room

    def cache(context: int) -> Cache:
        return cache_in(
            room,
            shape,
            kv_dtype=kv_dtype,
            max_model_len=context,
            max_batched_tokens=batched * (2 if on_card else 1),  # a card works a step ahead
            block=int(spec.flag("--block-size") or 16),
        )

    made = cache(spec.max_model_len)
    return EnginePlan(
        role=spec.role,
        model_id=spec.model_id,
        weights=weights,
        cache=room if shape.keeps_cache else 0.0,
        working=working,
        budget=budget,
        share=share,
        kv_bytes_a_token=shape.layer_bytes(kv_dtype) * shape.layers if shape.keeps_cache else 0.0,
        kv_tokens=made.tokens,
        requests=made.requests,
        max_model_len=spec.max_model_len,
        largest_context=_largest(cache) if shape.keeps_cache else spec.max_model_len,
        host=host,
    )


def _measured(spec: ModelSpec, cache_dir: Path) -> tuple[Shape, float]:
    """The model's shape and the bytes of its weights: read where they are, else as stated."""
    computed = _computed_in(spec)
    if is_pulled(spec, cache_dir):
        folder = model_dir(spec, cache_dir)
        config = json.loads((folder / "config.json").read_text("utf-8"))
        return Shape.of_config(config), checkpoint_bytes(folder, computed)
    if spec.shape is None:
        raise ProfileError(
            f"the weights of {spec.role} are not here, so its memory is unknown: state its shape "
            "in the profile, or run `rag models pull` first"
        )
    if isinstance(spec.source, WheelParts):
        size = FORMAT_BYTES[spec.format] if computed != "float32" else 4.0
        return spec.shape, spec.shape.parameters * size
    # A checkpoint in float32 that is computed in 16 bits takes half of its size.
    return spec.shape, min(spec.source.size_bytes, spec.shape.parameters * BYTES[computed])


def _computed_in(spec: ModelSpec) -> str:
    dtype = spec.flag("--dtype", "auto")
    return "float16" if dtype == "auto" else dtype  # vLLM's choice for most checkpoints: 16 bits


def _largest(cache: Callable[[int], Cache]) -> int:
    """The largest context of which the cache holds one request, in steps of 256 tokens."""
    fits, too_large = 0, 1
    while cache(too_large * 256).requests >= 1:
        fits, too_large = too_large, too_large * 2
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        if cache(middle * 256).requests >= 1:
            fits = middle
        else:
            too_large = middle
    return fits * 256


def _on_card(plan: ServingPlan) -> tuple[list[str], list[str]]:
    problems: list[str] = []
    advice: list[str] = []
    card = plan.card or 0.0
    spare = max(0.0, plan.card_left)
    for engine in plan.engines:
        if engine.margin < 0:
            problems.append(
                f"{engine.name}: weights {gib(engine.weights)} and working memory "
                f"{gib(engine.working)} are {gib(-engine.margin)} more than its share of "
                f"{engine.share:.2f} ({gib(engine.budget)})"
            )
        elif engine.kv_bytes_a_token and engine.requests < 1:
            problems.append(_no_request(engine))
            if engine.largest_context:
                advice.append(_smaller_context(engine))
        else:
            continue
        short = engine.weights + engine.working - engine.budget
        short += engine.kv_bytes_a_token * engine.max_model_len
        needed = (engine.budget + short) / card
        if short <= spare:
            advice.append(f"{engine.name}: raise gpu_memory_utilization to {needed + 0.005:.2f}")
    if plan.card_left < 0:
        shares = sum(engine.share or 0.0 for engine in plan.engines)
        problems.append(
            f"the shares add up to {shares:.2f} of {gib(card)}; with {gib(CARD_CONTEXT)} for the "
            f"driver's context of each process that is {gib(-plan.card_left)} too much"
        )
        for engine in plan.engines:
            unused = engine.cache - engine.kv_bytes_a_token * engine.max_model_len
            if engine.kv_bytes_a_token and unused > -plan.card_left:
                share = (engine.budget + plan.card_left) / card - 0.005
                advice.append(f"{engine.name}: lower gpu_memory_utilization to {share:.2f}")
                break
    if problems and not advice:
        advice.append(
            "take smaller or quantized models, a larger card, or serve a role by an endpoint "
            "(`rag profiles` lists profiles)"
        )
    return problems, advice


def _no_request(engine: EnginePlan) -> str:
    return (
        f"{engine.name}: the cache of {gib(engine.cache)} holds {engine.kv_tokens:,} tokens, less "
        f"than one request of {engine.max_model_len:,}"
    )


def _smaller_context(engine: EnginePlan) -> str:
    return f"{engine.name}: set max_model_len to {engine.largest_context:,} or less"
