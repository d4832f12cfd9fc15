"""What would be run for a connector: its script, found where it may lie, with its words and its environment."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import vmqlib
from vmqlib.errors import BadInput, VmqError, WorldChanged
from vmqlib.record.canonical import canonical, digest
from vmqlib.record.storage import storage_errors
from vmqlib.runbook.approval import check_digest
from vmqlib.settings import Connector, Settings
from vmqlib.sources.gitlog import state_of
from vmqlib.times import parse_span

__all__ = ["ScriptPlan", "approve", "checkout", "environment", "plan", "unchanged"]

_INHERITED = ("PATH", "HOME", "LANG", "TZ")
_OURS = ("ACCOUNT_ID", "APP_ID", "INDEX_ID", "KMS_KEY_ID", "REGION", "RETRIEVER_ID", "WEB_EXPERIENCE_ID")
_MOST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class ScriptPlan:
    """One run of a connector's script, before it is run.

    Parameters
    ----------
    connector, data_source_id:
        Whose it is.
    argv:
        The words exactly as they are handed over, without a shell; the first is the script's real path.
    cwd:
        Where it runs: the top of the ops repo, where its settings and documents are, or else of the kit's checkout.
    env:
        The names of the variables that it is given, in order; no others.
    unset:
        Variables that the connector names and that are not set here.
    sha256:
        Of the script's content.
    commit, state:
        The commit checked out where the script lies, and whether it holds this very script: ``committed``, ``changed``,
        ``untracked``; or why that cannot be told.
    timeout_s:
        Seconds after which it is ended.
    """

    connector: str
    data_source_id: str
    argv: tuple[str, ...]
    cwd: Path
    env: tuple[str, ...]
    unset: tuple[str, ...]
    sha256: str
    commit: str
    state: str
    timeout_s: float

    @property
    def script(self) -> Path:
        """Where the script lies."""
        return Path(self.argv[0])

    @property
    def digest(self) -> str:
        """What an approval names: the SHA-256 of everything above."""
        return digest(canonical(self.to_json()))

    def to_json(self) -> dict[str, object]:
        """In JSON types; names of variables, never values."""
        return {
            **vars(self),
            "argv": list(self.argv),
            "cwd": str(self.cwd),
            "env": list(self.env),
            "unset": list(self.unset),
        }


def plan(settings: Settings, connector: Connector, *, incident_id: str = "") -> ScriptPlan:
    """Finds the connector's script, and says how it would be run. Runs nothing.

    Parameters
    ----------
    incident_id:
        The incident that it is run for, which the script is told.

    Raises
    ------
    BadInput
        The connector names no script; or it is not there, not executable, or outside of the ops repo and the checkout.
    """
    root, path = _found(settings, connector)
    content = _content(path)
    commit, state = _standing(path, content)
    given = environment(settings, connector, incident_id=incident_id)
    return ScriptPlan(
        connector=connector.name,
        data_source_id=connector.data_source_id,
        argv=(str(path), *connector.script_args),
        cwd=root,
        env=tuple(sorted(given)),
        unset=tuple(name for name in connector.script_env if name not in given),
        sha256=hashlib.sha256(content).hexdigest(),
        commit=commit,
        state=state,
        timeout_s=parse_span(connector.script_timeout).total_seconds(),
    )


def approve(made: ScriptPlan, given: str) -> None:
    """Whether ``given`` (a digest or its beginning) approves this plan.

    Raises
    ------
    BadInput
        It is too short to name a plan.
    WorldChanged
        It names another one.
    """
    check_digest(
        given,
        made.digest,
        changed="What was looked at is {seen}; what would be run now is {now}. Nothing was run.",
        hint="The script, its words or its environment changed: look at this plan, and approve its own digest.",
    )


def unchanged(made: ScriptPlan) -> None:
    """Whether the script is still the one that was planned: looked at right before it is run.

    Raises
    ------
    WorldChanged
        It is another one, or gone.
    """
    try:
        now = hashlib.sha256(_content(made.script)).hexdigest()
    except VmqError as error:
        raise WorldChanged(
            f"{made.script} is gone since it was planned. Nothing was run.", hint=error.hint
        ) from error
    if now != made.sha256:
        raise WorldChanged(
            f"{made.script} changed since it was planned: its SHA-256 was {made.sha256[:12]}, now it is {now[:12]}. "
            "Nothing was run.",
            hint="See who changes it, read it, and plan again.",
        )


def environment(settings: Settings, connector: Connector, *, incident_id: str = "") -> Mapping[str, str]:
    """The whole environment of the script: what boto3 and a shell need, the kit's settings, and what is named."""
    given = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    given |= {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    given |= {name: value for name in _OURS if (value := str(getattr(settings, name.lower())))}
    given |= {
        "BUCKET_NAME": settings.bucket_of(connector),
        "VMQ_CONNECTOR": connector.name,
        "VMQ_INCIDENTS": str(settings.incidents.resolve()),
    }
    if connector.data_source_id:
        given["DS_ID"] = connector.data_source_id
    if incident_id:
        given["VMQ_INCIDENT"] = incident_id
    return given | {name: os.environ[name] for name in connector.script_env if name in os.environ}


def checkout() -> Path | None:
    """The kit's own checkout; None where it is installed without one."""
    top = Path(vmqlib.__file__).resolve().parents[1]
    return top if (top / "scripts").is_dir() and (top / "pyproject.toml").is_file() else None


def _roots(settings: Settings) -> Iterator[Path]:
    """Where scripts may lie: the ops repo first, since it is the one that people keep."""
    for root in (settings.ops_repo, checkout()):
        if root is not None and root.is_dir():
            yield root.resolve()


def _found(settings: Settings, connector: Connector) -> tuple[Path, Path]:
    if not connector.script:
        raise BadInput(
            f"Connector {connector.name!r} names no script.",
            hint=f'Set script = "scripts/….sh" for it in vmq.toml, or `vmq sync start --connector {connector.name}`.',
        )
    roots = tuple(dict.fromkeys(_roots(settings)))
    where = " or ".join(map(str, roots)) or "no folder: ops_repo is not set, and this is no checkout"
    for root in roots:
        path = root / connector.script  # an absolute path stays what it is
        if not path.exists():
            continue
        real = path.resolve()
        if not any(real.is_relative_to(one) for one in roots):
            raise BadInput(
                f"{connector.script!r} leads to {real}, which is outside of {where}.",
                hint="Keep the script in the ops repo, and give its path from there.",
            )
        if not real.is_file():
            raise BadInput(f"{real} is no file.", hint="Give a script's path in vmq.toml.")
        if not os.access(real, os.X_OK):
            raise BadInput(f"{real} is not executable.", hint=f"chmod +x {real}")
        return roots[0], real
    if Path(connector.script).is_absolute() or ".." in Path(connector.script).parts:
        hint = "Keep the script in the ops repo, and give its path from there."
    else:
        hint = (
            f"Put it there, or correct the script of connector {connector.name!r} in vmq.toml (and ops_repo)."
        )
    raise BadInput(f"There is no script {connector.script!r} in {where}.", hint=hint)


def _content(path: Path) -> bytes:
    with storage_errors(path, "read"), path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise BadInput(
            f"{path} is larger than {_MOST_BYTES // 1024**2} MiB: that is no script.",
            hint="Name a script that starts the program.",
        )
    return content


def _standing(path: Path, content: bytes) -> tuple[str, str]:
    try:
        found = state_of(path, content)
    except VmqError as error:
        return "", f"cannot tell: {error.message}"
    return found.commit, found.state
