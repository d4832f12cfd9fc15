"""``run.py plain|patched [GAP…]``"""

from __future__ import annotations

import sys

import cloudwatch_checks  # noqa: F401 - registers its checks
import harness
import s3_checks  # noqa: F401 - registers its checks

if __name__ == "__main__":
    harness.main(sys.argv[1])
