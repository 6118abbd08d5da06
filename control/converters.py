"""URL converters."""

from werkzeug.routing import BaseConverter


class Everything(BaseConverter):
    """All that is left of the path, slashes at either end included: keys and tags hold any."""

    regex = ".+"
    part_isolating = False


class Id(BaseConverter):
    """An id as we make them: a word beside it in the path is another endpoint's."""

    regex = "[0-9a-f]{32}"
