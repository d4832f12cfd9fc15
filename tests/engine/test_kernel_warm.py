"""What the kernel imports while AWS is asked is what the cells of a record would wait for otherwise."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

from vmqlib.record.kernel import WARM_MODULES
from vmqlib.record.notebook import notebook_json, template

_ASK = """
import importlib, json, sys
warm, cell = json.load(sys.stdin)
for name in warm:
    importlib.import_module(name)
before = set(sys.modules)
exec(cell)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_the_imports_of_the_template_find_everything_loaded() -> None:
    cells = notebook_json(template("incident"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    imports = [
        ast.unparse(statement)
        for source in code
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Import | ast.ImportFrom)
    ]
    assert len(imports) > 5

    asked = json.dumps([WARM_MODULES, "\n".join(imports)])
    done = subprocess.run(
        [sys.executable, "-c", _ASK], input=asked, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == []
