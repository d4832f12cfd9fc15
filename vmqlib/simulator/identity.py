"""Who and where the simulated account is, and the environment variables that say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ACCESS_KEY_ID", "ACCOUNT_ID", "REGION", "SECRET_ACCESS_KEY", "Resources", "environment"]

ACCOUNT_ID = "123456789012"
REGION = "eu-west-1"
# moto reads access keys of 20 capitals and digits; nobody can take these for real ones
ACCESS_KEY_ID = "SIMULATORNOTAREALKEY"
SECRET_ACCESS_KEY = "simulator-not-a-real-secret"  # noqa: S105


@dataclass(frozen=True)
class Resources:
    """The ids that the ops repo keeps in its ``.env``; empty where a scenario has none.

    Parameters
    ----------
    bucket_name:
        The knowledge base's bucket.
    app_id:
        Q Business application.
    index_id:
        Its index.
    retriever_id:
        Its retriever.
    ds_id:
        The S3 data source.
    web_experience_id:
        Its web experience.
    kms_key_id:
        Key that encrypts the bucket.
    """

    bucket_name: str = ""
    app_id: str = ""
    index_id: str = ""
    retriever_id: str = ""
    ds_id: str = ""
    web_experience_id: str = ""
    kms_key_id: str = ""


def environment(url: str, resources: Resources | None = None) -> dict[str, str]:
    """The variables that make boto3, the aws CLI and the kit talk to the simulator at ``url``.

    Parameters
    ----------
    url:
        The simulator's endpoint.
    resources:
        What the scenario set up.
    """
    resources = resources or Resources()
    connection: Mapping[str, str] = {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "REGION": REGION,
        "ACCOUNT_ID": ACCOUNT_ID,
    }
    ids = {
        "BUCKET_NAME": resources.bucket_name,
        "APP_ID": resources.app_id,
        "INDEX_ID": resources.index_id,
        "RETRIEVER_ID": resources.retriever_id,
        "DS_ID": resources.ds_id,
        "WEB_EXPERIENCE_ID": resources.web_experience_id,
        "KMS_KEY_ID": resources.kms_key_id,
    }
    return {**connection, **{name: value for name, value in ids.items() if value}}
