"""What features are worth: data sets and pure scorers. Knows export's vocabulary, and no engine."""
