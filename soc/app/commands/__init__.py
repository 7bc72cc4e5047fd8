"""The commands of `soc`, one file each, and what they share: options, output, progress."""
