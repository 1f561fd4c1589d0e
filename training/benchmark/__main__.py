from depth_sr_ros.inference.process import keep_freed_memory, let_threads_sleep

let_threads_sleep()  # before the import below, which imports torch
keep_freed_memory()

from .cli import main  # noqa: E402

raise SystemExit(main())
