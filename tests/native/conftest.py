"""Libraries over every token."""

import pytest

from dso.library import OPERATORS, Library, create_tokens

PLAIN = [name for name in OPERATORS if not name.startswith("protected_")]


@pytest.fixture(scope="session")
def every_token() -> Library:
    """All unprotected tokens, numbers, `const` and StateCheckers over three inputs."""
    return Library(create_tokens(3, [*PLAIN, 0.5, -2.0, "const"], False, [-0.5, 1.0]))


@pytest.fixture(scope="session")
def every_protected_token() -> Library:
    return Library(create_tokens(3, [*PLAIN, 0.5, -2.0, "const"], True, [-0.5, 1.0]))
