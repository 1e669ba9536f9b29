from .code import ReleaseCode as ReleaseCode
from .freezing import MAX_AGE as MAX_AGE, freeze as freeze
from .loading import LoadedRelease as LoadedRelease, load_release as load_release
from .reading import (
    PLAIN_BARS as PLAIN_BARS,
    ReadRelease as ReadRelease,
    read_release as read_release,
)
