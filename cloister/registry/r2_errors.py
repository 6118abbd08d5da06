"""What R2 refuses, by the product's numbers and in its words."""

from cloister.errors import CloisterError


class R2Error(CloisterError):
    """R2 refuses. ``status`` is the HTTP status that goes with it."""

    def __init__(self, code: int, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def no_such_bucket() -> R2Error:
    """There is no bucket of that name, or it went meanwhile."""
    return R2Error(10006, 404, "The specified bucket does not exist.")


def no_such_key() -> R2Error:
    """There is no such object."""
    return R2Error(10007, 404, "The specified key does not exist.")


def too_small() -> R2Error:
    """A part that is not the last is too short."""
    return R2Error(
        10011, 400, "Your proposed upload is smaller than the minimum allowed object size."
    )


def metadata_too_large() -> R2Error:
    """What is said of the object is more than its bound."""
    return R2Error(10012, 400, "Your metadata headers exceed the maximum allowed metadata size.")


def invalid_name() -> R2Error:
    """The key cannot be one."""
    return R2Error(10020, 400, "The specified object name is not valid.")


def invalid_limit() -> R2Error:
    """A listing asks for too many, or for none."""
    return R2Error(10022, 400, "MaxKeys params must be positive integer <= 1000.")


def no_such_upload() -> R2Error:
    """The upload was never begun, or is finished or aborted."""
    return R2Error(10024, 400, "The specified multipart upload does not exist.")


def invalid_part() -> R2Error:
    """A part that was named to complete an upload is not there as it was named."""
    return R2Error(10025, 400, "One or more of the specified parts could not be found.")


def invalid_metadata() -> R2Error:
    """What is said of the object cannot be said in headers."""
    return R2Error(10029, 400, "Metadata missing or invalid")


def unmet() -> R2Error:
    """A condition does not hold."""
    return R2Error(10031, 412, "At least one of the pre-conditions you specified did not hold.")


def bad_digest(algorithm: str, said: str, found: str) -> R2Error:
    """The bytes that came have another checksum than was said."""
    return R2Error(
        10037,
        400,
        f"The {algorithm} checksum you specified did not match what we received.\n"
        f"You provided a {algorithm} checksum with value: {said}\nActual {algorithm} was: {found}",
    )


def invalid_range() -> R2Error:
    """The object has none of the bytes that were asked for."""
    return R2Error(10039, 416, "The requested range is not satisfiable")


def bad_upload() -> R2Error:
    """The parts cannot be put together."""
    return R2Error(10048, 400, "There was a problem with the multipart upload.")


def locked() -> R2Error:
    """A rule of the bucket keeps the object as it is."""
    return R2Error(10069, 403, "The object is locked by the bucket policy.")


def too_large() -> R2Error:
    """More bytes than one upload may have."""
    return R2Error(100100, 413, "Your proposed upload exceeds the maximum allowed object size.")


def full() -> R2Error:
    """The bucket may not hold so much."""
    return R2Error(
        100100, 413, "The bucket is full: this platform allows no more bytes in one bucket."
    )


def too_many_uploads() -> R2Error:
    """The bucket has as many unfinished uploads as it may."""
    return R2Error(10001, 429, "The bucket has too many unfinished multipart uploads.")
