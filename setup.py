"""Package depth_sr_ros, for colcon (ament_python) and for pip.

`training/` is installed beside it under the name it has in the checkout, so that every documented command and every
class path in a config works from both.
"""

from glob import glob

from setuptools import find_packages, setup

NAME = "depth_sr_ros"
TRAINING = "training"

setup(
    name=NAME,
    version="0.1.0",
    description="Depth super-resolution for depth cameras, live in ROS 2, with the training of its networks",
    author="depth_sr_ros maintainers",
    author_email="maintainers@depth-sr-ros.example",
    maintainer="depth_sr_ros maintainers",
    maintainer_email="maintainers@depth-sr-ros.example",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*", TRAINING, f"{TRAINING}.*"]),
    package_data={
        NAME: ["py.typed", "weights/*.safetensors", "weights/*.json"],
        TRAINING: ["py.typed", "configs/*.yaml", "benchmark/*.json", "benchmark/*.yaml"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", sorted(glob("launch/*.launch.py"))),
        (f"share/{NAME}/config", sorted(glob("config/*.*"))),
        (f"share/{NAME}/config/cameras", sorted(glob("config/cameras/*.yaml"))),
    ],
    entry_points={
        "console_scripts": [
            "sr_node = depth_sr_ros.ros.node:main",
            "depth-sr = depth_sr_ros.cli:main",
        ],
    },
    # What the node, the library and the replay import besides ROS; requirements.txt pins it for the checkout.
    install_requires=[
        "matplotlib",
        "mcap",
        "numpy",
        "opencv-contrib-python-headless",
        "Pillow",
        "pydantic>=2.6",
        "rich",
        "rosbags",
        "rosbags-image",
        "safetensors",
        "torch",
    ],
    extras_require={
        "training": [
            "h5py",
            "jsonargparse[signatures]",
            "lightning",
            "scipy",
            "tensorboard",
        ],
        "test": ["hypothesis", "pytest", "pytest-timeout", "scipy"],
    },
    zip_safe=False,
)
