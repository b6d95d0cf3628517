"""``python -m dotbias`` is ``dotbias``."""

from .cli import main

main()
