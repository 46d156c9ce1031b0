"""What a config may hold anywhere."""

from hypothesis import strategies as st

from dso.config.base import Section


def places(model: type[Section], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the path of every key."""
    found = []
    for name, field in model.model_fields.items():
        found.append((*path, name))
        if isinstance(field.default, Section):
            found += places(type(field.default), (*path, name))
    return found


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
