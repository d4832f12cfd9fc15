"""moto made ready: empty, seeded, its gaps closed, and quick to start."""

from __future__ import annotations

__all__ = ["prepare_moto", "shared_loader"]


def prepare_moto(seed: int) -> None:
    """An empty moto with Q Business in it, whose identifiers follow from ``seed``."""
    from moto.core.base_backend import BackendDict
    from moto.core.model_instances import reset_model_data
    from moto.moto_api._internal import mock_random

    from vmqlib.simulator import aws_gaps
    from vmqlib.simulator.qbusiness import register

    shared_loader()
    register()
    aws_gaps.install()
    BackendDict.reset()
    reset_model_data()
    mock_random.seed(seed)


def shared_loader() -> object:
    """The one loader of service models for moto and for our own clients.

    moto makes a new one for every model, and each lists botocore's 400 folders and parses its files anew: half a
    second of a start.
    """
    import moto.core.utils
    from moto.core.base_backend import AccountSpecificBackend
    from moto.core.loaders import create_loader

    made = moto.core.utils.__dict__
    if "_vmq_loader" not in made:
        loader = create_loader()
        made["_vmq_loader"] = loader
        made["create_loader"] = lambda: loader
        AccountSpecificBackend.get_session()._session.register_component("data_loader", loader)
    shared: object = made["_vmq_loader"]
    return shared
