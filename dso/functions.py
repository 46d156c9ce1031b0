"""The import path of the original for `create_tokens`."""

from dso.library import create_tokens

__all__ = ["create_tokens"]
