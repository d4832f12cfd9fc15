"""moto made ready: empty, seeded, its gaps closed, and quick to start."""

from __future__ import annotations

__all__ = ["prepare_moto"]


def prepare_moto(seed: int) -> None:
    """An empty moto with Q Business in it, whose identifiers follow from ``seed``."""
    from moto.core.base_backend import BackendDict
    from moto.core.model_instances import reset_model_data
    from moto.moto_api._internal import mock_random

    from vmqlib.simulator import aws_gaps
    from vmqlib.simulator.qbusiness import register

    _share_loader()
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
