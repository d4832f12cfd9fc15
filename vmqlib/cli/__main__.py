"""``python -m vmqlib.cli`` is ``vmq``."""

from vmqlib.cli.main import main

main()
