"""What watches the pipeline: the ledger of every record."""
