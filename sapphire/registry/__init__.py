"""Registry: what a release goes through between a study and an account: evidence, gates, signature, promotion.

In:    frozen releases (agents), what a submit measured (research), replayed paper days, the policies in mlflow/gates.
Out:   signed gate reports, registered versions and their aliases, folders with verified bytes.
Never: promotes without a signed report that permits it, keeps the key that judges a state folder inside of it,
       measures anything itself, runs code of a release, refers to another version's bytes, loses a record.

MLflow is imported only where it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
