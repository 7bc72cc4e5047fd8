"""Commands that print the figures of docs/performance.md: `python -m benchmarks`, or one of them by its name."""
