"""Street scenes with class masks in the layout of Cityscapes, real or drawn."""
