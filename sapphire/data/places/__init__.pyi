from .chains import Batch as Batch, SharedChain as SharedChain
from .place import Head as Head, Place as Place
from .settings import PlaceSettings as PlaceSettings, shared_place as shared_place
