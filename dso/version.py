"""The version of this package."""


def version_of_dso() -> str:
    """Return the version that is installed; "unknown" for a checkout that is not."""
    # Takes longer to import than all else of the package's own start.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("deep-symbolic-optimization")
    except PackageNotFoundError:
        return "unknown"
