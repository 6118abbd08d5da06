"""URL converters."""

from werkzeug.routing import BaseConverter


class Everything(BaseConverter):
    """All that is left of the path, slashes at either end included: keys and tags hold any."""

    regex = ".+"
    part_isolating = False
