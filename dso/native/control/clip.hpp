// What is between two bounds: as numpy's clip, `high` where `low` is above it. std::clamp leaves
// that case undefined, and bounds come from environments and files.
#pragma once
#include <algorithm>

namespace dso::control {

template <class T>
T clip(T value, T low, T high) {
    return std::min(std::max(value, low), high);
}

}  // namespace dso::control
