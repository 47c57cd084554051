"""The version of the package: the metadata of wheels is read from here."""

__version__ = "0.1.0"
