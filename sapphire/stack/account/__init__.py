"""Account: what a run's account holds, was worth and is allowed, and how that is shown.

In:    the service's answers, the journal of a run that ended, the coordinator's decisions.
Out:   positions, orders, fills, limits and decisions as values, tables and plain JSON.
Never: keeps books of its own: the service's and the journal's are the account's.
"""
