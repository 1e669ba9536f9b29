"""Figures as still pictures: drawn from a plotly figure's own traces by matplotlib, without a browser or a script.

Plotly's figures need five megabytes of plotly in every page, and its own way to a picture downloads a browser. There is
one drawer, `draw`, of the kinds of traces that Sapphire's figures have; any other is refused. `still` makes of it what
a page holds itself.
"""

from sapphire.monitoring.telling.stills.drawing import Look, draw, undrawn
from sapphire.monitoring.telling.stills.page import still
from sapphire.monitoring.telling.stills.reading import Plotted

__all__ = ["Look", "Plotted", "draw", "still", "undrawn"]
