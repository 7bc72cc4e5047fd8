"""How the bus' files are laid out."""

from typing import Final

#: Expired records give their pages back step by step; a checkpoint each 4,000 pages of 4 KiB.
PRAGMAS: Final = ("auto_vacuum = INCREMENTAL", "wal_autocheckpoint = 4000")
