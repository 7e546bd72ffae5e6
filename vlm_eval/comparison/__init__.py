"""Two runs side by side: one question, two models, paired by sample and condition."""
