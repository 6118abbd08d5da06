"""Static assets of a version: which file answers a request, with which headers, and where it lies.

The control plane stores files, a manifest of them and a configuration as blobs, each named by its
digest; dispatchers and executors read them and answer. A path of a request is only ever looked up
in the manifest: none reaches a file system.
"""

from cloister.assets.config import Config, HeaderRule, Redirect
from cloister.assets.manifest import FILE_BYTES, MAX_FILES, File, Manifest, SiteRef, Stored

__all__ = [
    "FILE_BYTES",
    "MAX_FILES",
    "Config",
    "File",
    "HeaderRule",
    "Manifest",
    "Redirect",
    "SiteRef",
    "Stored",
]
