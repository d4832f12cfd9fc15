"""Those who may change the account, and what they change day by day without any harm."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from vmqlib.simulator.scenarios.stage import Stage

__all__ = ["OPERATORS", "harmless_changes", "pick"]

OPERATORS = ("lena.hoffmann", "marco.silva", "priya.nair", "tomasz.zielinski", "yara.benali")
_WELCOMES = (
    "Ask me about VaultMesh. I quote what I know.",
    "Answers come from the knowledge base; look at the sources.",
    "Say which service you mean, and I will look it up.",
)
_SPAN = (timedelta(days=6), timedelta(hours=14))  # before "now"


def pick(rng: random.Random) -> str:
    """One of the operators."""
    return rng.choice(OPERATORS)


def harmless_changes(stage: Stage, rng: random.Random) -> None:
    """Puts a few calls of the last days on the script that change something and break nothing.

    Whoever looks for the cause of an incident finds them in the trail beside it.

    Parameters
    ----------
    stage:
        Where they happen.
    rng:
        Says when, what and who.
    """
    calls = (_new_welcome(rng.choice(_WELCOMES)), _tag_bucket, _rotate_key)
    for call in rng.sample(calls, 2):
        earliest, latest = _SPAN
        moment = stage.now - latest - (earliest - latest) * rng.random()
        stage.at(moment, _as(stage, pick(rng), call))


def _as(stage: Stage, who: str, call: Callable[[Stage], object]) -> Callable[[datetime], object]:
    def act(_: datetime) -> None:
        from vmqlib.simulator.aws_gaps.cloudtrail import acting_as

        with acting_as(who):
            call(stage)

    return act


def _new_welcome(text: str) -> Callable[[Stage], object]:
    def change(stage: Stage) -> None:
        ids = stage.resources
        stage.client("qbusiness").update_web_experience(
            applicationId=ids.app_id, webExperienceId=ids.web_experience_id, welcomeMessage=text
        )

    return change


def _tag_bucket(stage: Stage) -> None:
    tags = [{"Key": "owner", "Value": "knowledge-ops"}, {"Key": "cost-centre", "Value": "4711"}]
    stage.client("s3").put_bucket_tagging(Bucket=stage.resources.bucket_name, Tagging={"TagSet": tags})


def _rotate_key(stage: Stage) -> None:
    stage.client("kms").enable_key_rotation(KeyId=stage.resources.kms_key_id)
