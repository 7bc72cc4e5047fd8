"""The SOC's pipeline: raw bytes of hosts and networks in, explained alerts out."""
