from .generated import generated_news as generated_news
from .importing import DEFAULT_DELAY as DEFAULT_DELAY, import_documents as import_documents
from .results import Expired as Expired, ImportedDocuments as ImportedDocuments
from .retention import expire as expire
from .store import DocumentStore as DocumentStore
