"""Every gap in moto that the simulator closes: there on plain moto, gone with the patches."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from vmqlib.simulator.aws_gaps import GAPS, Gap, install

Findings = Mapping[str, Mapping[str, str]]


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: gap.name)
def test_gap_is_there_in_moto_and_closed_by_its_patch(gap: Gap, findings: Findings) -> None:
    assert not findings["patched"][gap.name], f"{gap.what_aws_does}\n{findings['patched'][gap.name]}"
    assert findings["plain"][gap.name], f"moto mended {gap.name}: remove the patch"


def test_every_check_belongs_to_a_gap(findings: Findings) -> None:
    assert set(findings["plain"]) == {gap.name for gap in GAPS}
    assert len({gap.name for gap in GAPS}) == len(GAPS)


def test_install_can_be_repeated() -> None:
    install()
    from moto.s3.responses import S3Response

    before = S3Response.put_object
    install()
    assert S3Response.put_object is before


def test_install_refuses_another_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    import moto

    monkeypatch.setattr(moto, "__version__", "5.3.0")
    with pytest.raises(RuntimeError, match=r"5\.2\.5"):
        install()
