"""moto made ready: empty, seeded, its gaps closed, and quick to start."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

__all__ = ["no_collections", "prepare_moto"]


def prepare_moto(seed: int) -> None:
    """An empty moto with Q Business in it, whose identifiers follow from ``seed``."""
    from moto.core.base_backend import BackendDict
    from moto.core.model_instances import reset_model_data
    from moto.moto_api._internal import mock_random

    from vmqlib.simulator import aws_gaps
    from vmqlib.simulator.qbusiness import register

    _share_loader()
    _find_backends_quickly()
    _make_few_rsa_keys()
    register()
    aws_gaps.install()
    BackendDict.reset()
    reset_model_data()
    mock_random.seed(seed)


def _share_loader() -> None:
    """One loader of service models for all of moto.

    moto makes a new one for every model, and each lists botocore's 400 folders anew: a quarter of a second of a
    start. boto3's clients keep theirs, since they change what they load.
    """
    import moto.core.utils
    from moto.core.base_backend import AccountSpecificBackend
    from moto.core.loaders import create_loader

    made = moto.core.utils.__dict__
    if "_vmq_loader" not in made:
        loader = made["_vmq_loader"] = create_loader()
        made["create_loader"] = lambda: loader
        AccountSpecificBackend.get_session()._session.register_component("data_loader", loader)


def _find_backends_quickly() -> None:
    """An account's backend that is there is simply looked up.

    moto takes a lock and compares every known backend each time, which is most of what a metric or a log line costs.
    """
    from moto.core.base_backend import BackendDict

    original = BackendDict.__getitem__
    if original.__module__ == __name__:
        return

    def find(self: BackendDict[Any], account_id: str) -> Any:
        found = self.get(account_id)
        return original(self, account_id) if found is None else found

    BackendDict.__getitem__ = find  # type: ignore[method-assign]


def _make_few_rsa_keys() -> None:
    """A symmetric KMS key has no RSA key, and SNS signs with one for all subscriptions.

    moto makes one for each, which takes a tenth of a second or three: a tenth of what a scenario takes.
    """
    import moto.kms.models
    from moto.sns.models import Subscription

    kms = moto.kms.models.__dict__
    original = kms["generate_private_key"]
    if original.__module__ == __name__:
        return

    def generate_private_key(key_spec: str) -> Any:
        return _NoKeyPair() if key_spec == "SYMMETRIC_DEFAULT" else original(key_spec)

    @cache
    def signing_key() -> Any:
        from cryptography.hazmat.primitives.asymmetric import rsa

        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    kms["generate_private_key"] = generate_private_key
    Subscription.private_key = lambda _: signing_key()  # type: ignore[assignment,method-assign]


class _NoKeyPair:
    """What a symmetric key has in the place of a key pair."""

    def public_key(self) -> bytes:
        from moto.core.exceptions import JsonRESTError

        raise JsonRESTError("UnsupportedOperationException", "The key is symmetric: it has no public key.")


@contextmanager
def no_collections() -> Iterator[None]:
    """Within the block nothing is searched for garbage: a scenario makes many objects, and all of them stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
