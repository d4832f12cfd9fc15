"""What a plan is for: to put objects back (runbook step 3), or to have them looked at again (step 4).

Both are carried out by the same engine and told apart in the journal by their step; each has its commands.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["PURPOSES", "Purpose", "PurposeName", "Verb", "command"]

PurposeName = Literal["rollback", "touch"]
Verb = Literal["plan", "apply", "resume", "verify", "undo"]


@dataclass(frozen=True)
class Purpose:
    """One purpose of plans.

    Parameters
    ----------
    name:
        In one word; also what an event calls the change.
    step:
        The runbook step that its events belong to.
    undoing:
        What an event calls its undo.
    commands:
        What is typed for each verb; the incident's id follows.
    """

    name: PurposeName
    step: str
    undoing: str
    commands: Mapping[Verb, str]

    @property
    def actions(self) -> frozenset[str]:
        """What events call its changes."""
        return frozenset({self.name, self.undoing})

    def action(self, kind: str) -> str:
        """What an event calls the change that a plan with such a target makes."""
        return self.undoing if kind == "undo" else self.name


PURPOSES: Final[Mapping[PurposeName, Purpose]] = MappingProxyType(
    {
        "rollback": Purpose(
            "rollback",
            "rollback",
            "undo rollback",
            {
                "plan": "vmq rollback plan {}",
                "apply": "vmq rollback apply {}",
                "resume": "vmq rollback resume {}",
                "verify": "vmq rollback verify {}",
                "undo": "vmq rollback undo {}",
            },
        ),
        "touch": Purpose(
            "touch",
            "resync",
            "undo touch",
            {
                "plan": "vmq sync touch {} --failed",
                "apply": "vmq sync touch {}",
                "resume": "vmq sync touch {} --resume",
                "verify": "vmq sync touch {} --check",
                "undo": "vmq sync touch {} --undo",
            },
        ),
    }
)
"""Every purpose by its name."""


def command(purpose: PurposeName, verb: Verb, incident_id: str) -> str:
    """What to type, quoted for the shell."""
    return PURPOSES[purpose].commands[verb].format(shlex.quote(incident_id))
