"""The browser fixtures themselves: what leaves the machine is seen, what stays is not reported."""

from __future__ import annotations

DOT = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


def test_a_request_to_the_outside_is_seen(page, outside):
    page.set_content('<img src="https://cdn.vaultmesh.example/logo.png">')
    assert outside == ["https://cdn.vaultmesh.example/logo.png"]


def test_a_page_that_stays_here_is_not_reported(page, outside, tmp_path):
    path = tmp_path / "record.html"
    path.write_text(f'<!doctype html><title>Record</title><img src="{DOT}"><h1>INC-20261123-001</h1>')
    page.goto(path.as_uri())
    assert page.title() == "Record"
    assert outside == []
