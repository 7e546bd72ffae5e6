"""Which classes a text mentions: keyword matching with a lexicon of terms."""
