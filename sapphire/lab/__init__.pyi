from .cells import Captured as Captured, capture as capture, capture_agent as capture_agent
from .magics import register as register
