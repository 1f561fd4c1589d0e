"""From frames to high-resolution depth, without ROS: pairing, guidance, the pipeline, and the upsampler it runs.

Nothing is imported here: `process` has settings that count only before torch is imported.
"""
