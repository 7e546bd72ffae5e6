"""How well a segmentation model does on the images that a vision-language model is asked about."""
