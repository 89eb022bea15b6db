"""Errors that are the user's to solve: they print as one line, without a traceback, and exit 2."""


class MMDoctorError(Exception):
    """Something the user can put right; the message says what and how.

    Anything else that escapes is a bug of mmdoctor and keeps its traceback.
    """


class UsageError(MMDoctorError):
    """The command line asks for something that does not exist or does not fit together."""


class ConfigurationError(MMDoctorError):
    """A configuration file of mmdoctor is broken; the message names file, line and the nearest valid key."""


class PluginError(MMDoctorError):
    """A plugin cannot be imported, or two of them own the same rule code."""


class NothingToCheckError(MMDoctorError):
    """The target is not something that mmdoctor can open: absent, empty, a device, a folder without a model."""
