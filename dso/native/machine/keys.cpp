#include "machine/keys.hpp"

#include "machine/program.hpp"

namespace dso::machine {

void first_rows(const uint64_t* keys, size_t n, int32_t* first) {
    size_t n_slots = 16;
    while (n_slots < 2 * n) n_slots *= 2;
    std::vector<int32_t> seen(n_slots, -1);  // rows by open addressing
    for (size_t i = 0; i < n; ++i) {
        size_t slot = mix64(keys[i]) & (n_slots - 1);
        while (seen[slot] >= 0 && keys[seen[slot]] != keys[i]) slot = (slot + 1) & (n_slots - 1);
        if (seen[slot] < 0) seen[slot] = static_cast<int32_t>(i);
        first[i] = seen[slot];
    }
}

}  // namespace dso::machine
