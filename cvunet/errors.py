"""Errors of the library. Each message says what happened, to which file, and what to do."""


class CvunetError(Exception):
    """Base class of this library's errors."""


class ImageError(CvunetError):
    """The picture itself cannot be used: undecodable, too large, unsupported."""


class UnreadableKindError(ImageError):
    """No kind of picture that is read here, by its first bytes: more bytes cannot change that."""


class ClipDamagedError(ImageError):
    """A clip cannot be decoded further than here; the frames before this one are good."""

    def __init__(self, message: str, *, frames: int, seconds: float) -> None:
        """``frames``: how many came out before; ``seconds``: when the next one was due."""
        super().__init__(message)
        self.frames = frames
        self.seconds = seconds


class VideoMissing(CvunetError):
    """PyAV, the extra ``[video]``, is not installed or does not load."""


class EncoderMissing(CvunetError):
    """The installed PyAV has no encoder for the chosen format."""


class WeightsError(CvunetError):
    """The weights file is missing, altered or not of this network."""


class DeviceError(CvunetError):
    """The device is absent, or has died."""


class DeviceUnfit(DeviceError):
    """The installed runtime, or the driver, is none for this device: no restart changes that."""


class DeviceUnready(DeviceError):
    """The device is there and cannot be used now: that may pass, as at a machine's start."""


class FileError(CvunetError):
    """A file cannot be opened, read or written."""


class OptionError(CvunetError, ValueError):
    """An argument has a value that cannot be used."""


class DocumentError(CvunetError):
    """A YAML document has an unknown key, lacks one, or cannot be read."""


class TrainingError(CvunetError):
    """Training cannot go on: bad data, or a loss that is not a number."""


class EstimatorError(CvunetError):
    """The chosen estimator of foreground colours is not installed, or cannot run here."""


class RuntimeMissing(CvunetError):
    """The runtime that is asked for, or any at all, is not installed."""


class ExportError(CvunetError):
    """Our weights cannot be exported for onnxruntime here; torch can still run them."""


class DeviceMemoryError(CvunetError):
    """The device has too little memory for this batch; a smaller one may pass."""
