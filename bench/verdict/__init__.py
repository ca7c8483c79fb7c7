"""From records to a verdict. Reads records only."""
