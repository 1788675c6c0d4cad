"""Steps of segmentation: methods, tiles, outlines, planes, flags."""
