"""Published visual question answering sets, read in their own schemas into one form."""
