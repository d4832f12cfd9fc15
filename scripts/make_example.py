"""Makes the example record under ``notebooks/examples``: an incident on the local AWS, rendered from its evidence.

    .venv/bin/python scripts/make_example.py             the incident and its record, anew
    .venv/bin/python scripts/make_example.py --render    the record alone, again, from the evidence that is there

The record is executed by nbval in ``make test``. Cells whose output follows from the evidence alone are tagged
``nbval-check-output``; the others are only run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
FOLDER = TOP / "notebooks" / "examples"

VOLATILE = {"provenance"}
"""Cells whose output names versions of packages."""

MOST_BYTES = 600_000


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--render", action="store_true", help="only render again")
    if not options.parse_args().render:
        observe()
    folder = next(path.parent for path in sorted(FOLDER.glob("INC-*/incident.json")))
    render(folder)
    return 0


def observe() -> None:
    """An incident on the local AWS as far as its proof: opened, taken, rolled back, synced, and people told."""
    from vmqlib.simulator.process import served

    with tempfile.TemporaryDirectory() as scratch, served("sync-failed") as environment:
        environment |= {"VMQ_INCIDENTS": scratch, "LOGNAME": "on-call"}
        vmq(environment, "open", "--trigger", "sync-failed", "--approve", "rollback")
        made = next(Path(scratch).glob("INC-*"))
        vmq(environment, "ack", made.name)
        vmq(environment, "note", made.name, "Paged by #ops-escalations; users ask why answers are missing.")
        vmq(environment, "sync", "start", "--incident", made.name, "--yes")
        vmq(environment, "sync", "wait", "--incident", made.name)
        vmq(environment, "sync", "verify", "--incident", made.name)
        vmq(environment, "update", made.name, "--posted")
        for old in FOLDER.glob("INC-*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in ("incident.json", "journal.jsonl", "evidence", "rollback"):
            source, target = made / name, FOLDER / made.name / name
            target.parent.mkdir(exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)


def vmq(environment: dict[str, str], *words: str) -> None:
    subprocess.run([sys.executable, "-m", "vmqlib.cli", *words], env=environment, cwd=TOP, check=True)


def render(folder: Path) -> None:
    """Runs the template from the incident's evidence, and tags the cells that nbval compares."""
    from vmqlib.record import notebook

    os.chdir(FOLDER)
    output = Path(f"{folder.name}.ipynb")
    notebook.render(notebook.template("incident"), output, {"incident_id": folder.name, "incidents": "."})
    record = json.loads(output.read_text("utf-8"))
    for cell in record["cells"]:
        if cell["cell_type"] == "code" and cell.get("outputs") and cell["id"] not in VOLATILE:
            cell["metadata"]["tags"].append("nbval-check-output")
    text = json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    assert str(TOP) not in text, "the record names a folder of this machine"
    assert len(text.encode()) < MOST_BYTES, f"the record has {len(text.encode()):,} bytes"
    output.write_text(text, "utf-8")
    Path(".redaction-key").unlink(missing_ok=True)
    print(f"{FOLDER / output}: {len(text.encode()):,} bytes")


if __name__ == "__main__":
    sys.exit(main())
