"""The animals' record and the water ledger."""
