"""``python -m shoploom`` is the command line."""

from shoploom.cli import main

main()
