from .folders import RunFolder as RunFolder
from .plan import ChosenRelease as ChosenRelease, Market as Market, Plan as Plan
from .releases import choose_release as choose_release, described as described
from .stack import Stack as Stack, run_bars as run_bars
