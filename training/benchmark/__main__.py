from depth_sr_ros.process import prepare_process

prepare_process()  # before the import below, which imports torch

from .cli import main  # noqa: E402

raise SystemExit(main())
