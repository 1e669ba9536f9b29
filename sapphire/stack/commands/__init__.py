"""Commands: the verbs of a stack, from a command line to what the rooms do, and back to tables or JSON.

In:    words of a command line, and the run folder that they are about.
Out:   tables for people, or one JSON value with stable keys; the exit codes 0, 1 and 2.
Never: decides, trades, or knows more of a run than its folder, its bus and its parts tell.
"""
