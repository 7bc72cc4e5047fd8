"""How the store's files are laid out."""

from typing import Final

#: Pages of 8 KiB: fewer to log and copy than of 4. The cache is in KiB; there may be a connection to each day.
PRAGMAS: Final = ("page_size = 8192", "wal_autocheckpoint = 2000", "cache_size = -8192")
