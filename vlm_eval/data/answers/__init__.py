"""What makes two short answers the same: the normalisers that parsers and scorers share."""
