"""Entry point of `python -m batchfim`."""

from batchfim.cli import main

main()
