"""Telling: reports of a run for people.

In:    what was read and judged.
Out:   tables, figures and still pictures; notebooks that were run, as pages that need no network and run no script.
Never: measures anything itself, shows generated bars without saying so.
"""
