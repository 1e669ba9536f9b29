"""Processes: the parts of a stack, started, asked whether they live and are ready, restarted, and ended.

In:    commands, settings and the signs of readiness of parts; the lock of a run folder.
Out:   processes that are up, and how each does; a hung one is killed and started again, with back-off.
Never: knows what a part does, outlives the process that holds the lock, ends a process that it did not start.
"""
