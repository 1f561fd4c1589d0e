"""Bags in, evaluation out: read a recording, play it through the node (or the upsampler), score and picture it."""
