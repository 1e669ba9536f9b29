"""The code of a release: what its agents are made of, before anything is learned.

It is plain data: it travels to a worker and comes back from a manifest, and the same code is the same digests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sapphire.agents.agent import Agent
from sapphire.agents.calibrated import Calibrated
from sapphire.agents.models import names_model
from sapphire.agents.pool import Pool
from sapphire.agents.release.captured import captured_class
from sapphire.agents.release.restoring import require_restorable, restored_agent
from sapphire.agents.sources import PROMPTS_FOLDER, Code, code_of
from sapphire.domain.canonical import sha256_of
from sapphire.domain.errors import AgentError

__all__ = ["AgentCode", "ReleaseCode", "calibrated_members", "unwrapped"]


@dataclass(frozen=True, slots=True)
class AgentCode:
    """One agent.

    Parameters
    ----------
    file_name, text : of the file that makes its class.
    class_name : in that file.
    parameters : as plain values.
    modules : of the workspace that the file imports, path by packages to text.
    prompts : that the class names, file name to text.
    """

    file_name: str
    text: str
    class_name: str
    parameters: Mapping[str, Any] = field(hash=False)
    modules: Mapping[str, str] = field(default_factory=dict, hash=False)
    prompts: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, agent: Agent) -> AgentCode:
        """The code that `agent` was made by.

        Raises
        ------
        AgentError : an agent whose source cannot be had whole: made in no file, derived from an agent of another file
            that is not captured with it, or importing what is neither in the workspace nor installed.
        """
        code = code_of(type(agent))
        _require_whole(agent, code)
        modules = {source.name: source.text for source in code.imported.modules}
        prompts = {source.name.partition("/")[2]: source.text for source in code.prompts}
        return cls(code.file.name, code.file.text, type(agent).__name__, require_restorable(agent), modules, prompts)

    @property
    def digests(self) -> dict[str, str]:
        """File to sha256: the source as "source.py", each module by its path, each prompt by its name."""
        modules = {f"modules/{path}": text for path, text in self.modules.items()}
        prompts = {f"{PROMPTS_FOLDER}/{name}": text for name, text in self.prompts.items()}
        texts = {"source.py": self.text, **modules, **prompts}
        return {path: sha256_of(text.encode()) for path, text in texts.items()}

    @property
    def models(self) -> tuple[str, ...]:
        """The models among its parameters, by their names."""
        return tuple(value for value in self.parameters.values() if isinstance(value, str) and names_model(value))

    def agent(self, label: str) -> Agent:
        """The agent, made by its captured code.

        Raises
        ------
        AgentError, EvidenceRefused : the code does not run here, or makes another agent.
        """
        cls = captured_class(
            self.text,
            file_name=self.file_name,
            class_name=self.class_name,
            label=label,
            modules=self.modules,
            prompts=self.prompts,
        )
        return restored_agent(cls, self.parameters)


@dataclass(frozen=True, slots=True)
class ReleaseCode:
    """One agent, or several and how they are pooled.

    Parameters
    ----------
    members : in their order.
    pooling : method and weights, quorum and bound where it has them; None for one agent.
    """

    members: tuple[AgentCode, ...]
    pooling: Mapping[str, Any] | None = field(default=None, hash=False)

    @classmethod
    def of(cls, agent: Agent) -> ReleaseCode:
        """The code of an agent, a calibrated one or a pool.

        Raises
        ------
        AgentError : as `AgentCode.of`, or agents nested deeper than a pool.
        """
        bare = unwrapped(agent)
        return cls(tuple(AgentCode.of(member.agent) for member in calibrated_members(agent)), pooling_of(bare))

    def agent(self, label: str) -> Calibrated | Pool:
        """The calibrated agent or the pool, with nothing learned."""
        members = [Calibrated(code.agent(label)) for code in self.members]
        return members[0] if self.pooling is None else pool_of(members, self.pooling)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"members": [asdict(code) for code in self.members], "pooling": self.pooling}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> ReleaseCode:
        """What `as_dict` gave."""
        return cls(tuple(AgentCode(**each) for each in plain["members"]), plain["pooling"])


def calibrated_members(agent: Agent) -> tuple[Calibrated, ...]:
    """The calibrated agents that a release of `agent` has.

    Raises
    ------
    AgentError : agents nested deeper than a pool.
    """
    bare = unwrapped(agent)
    return tuple(map(_member, bare.members)) if type(bare) is Pool else (_member(bare),)


def unwrapped(agent: Agent) -> Agent:
    """`agent` without calibrations that pass through what is calibrated already."""
    while type(agent) is Calibrated and agent.calibration is None and isinstance(agent.agent, Calibrated | Pool):
        agent = agent.agent
    return agent


def pooling_of(bare: Agent) -> dict[str, Any] | None:
    """How a pool pools, as plain values; None where it is no pool."""
    if type(bare) is not Pool:
        return None
    weights = bare.weights if isinstance(bare.weights, str) else [float(weight) for weight in bare.weights]
    facts: dict[str, Any] = {"method": bare.method, "weights": weights}
    facts |= {} if bare.quorum == 1 else {"quorum": bare.quorum}
    facts |= {} if bare.member_bound is None else {"member_bound": float(bare.member_bound)}
    return facts | ({} if bare.drift_window == 0 else {"drift_window": bare.drift_window})


def pool_of(members: Sequence[Calibrated], pooling: Mapping[str, Any]) -> Pool:
    """The pool that `pooling` describes."""
    weights = pooling["weights"]
    return Pool(
        tuple(members),
        weights=weights if weights == "equal" else tuple(weights),
        method=pooling["method"],
        quorum=pooling.get("quorum", 1),
        member_bound=pooling.get("member_bound"),
        drift_window=pooling.get("drift_window", 0),
    )


def _member(agent: Agent) -> Calibrated:
    bare = unwrapped(agent)
    member = bare if type(bare) is Calibrated else Calibrated(bare)
    if isinstance(member.agent, Pool) or member.agent.parts():
        raise AgentError(
            f"{member.agent.name} is made of agents inside agents",
            expected="one agent, or one pool of agents that are not made of others",
            got=f"{member.agent.name} of {', '.join(part.name for part in member.agent.parts())}",
            next="pool the agents themselves: sp.agents.Pool((a, b, c))",
        )
    return member


def _require_whole(agent: Agent, code: Code) -> None:
    """Refuse an agent of which a release would not hold all the code."""
    inside = {source.digest for source in code.sources}
    classes = [each for each in type(agent).__mro__ if issubclass(each, Agent) and each is not Agent]
    outside = [source.name for source in (code_of(each).file for each in classes) if source.digest not in inside]
    if outside:
        names = [code.file.name, *dict.fromkeys(outside)]
        raise AgentError(
            f"{agent.name} is written in {len(names)} files",
            expected="one file and the modules that it imports, so that the release runs its own bytes",
            got=", ".join(names),
            next="derive from Agent alone, and copy what it needs into its file",
        )
    if code.imported.missing:
        raise AgentError(
            f"{agent.name} imports what a release cannot name",
            expected="modules of the workspace, and installed packages that the lock pins",
            got=", ".join(code.imported.missing),
            next="put the module into the workspace as Python source, or add its package to the lock",
        )
