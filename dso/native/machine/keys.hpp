// Keys of programs: the set of all that were ever seen, and which of a batch come first.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace dso::machine {

// For each of n keys the first place where the same one stands.
void first_rows(const uint64_t* keys, size_t n, int32_t* first);

// Every key ever inserted, in 8 bytes of a table that is at most three quarters full.
class KeySet {
public:
    KeySet() : slots_(kMinSlots) {}

    size_t size() const { return size_ + has_zero_; }
    bool contains(uint64_t key) const {
        return key == 0 ? has_zero_ : slots_[probe(slots_, key)] == key;
    }

    // Whether the key was not there yet.
    bool insert(uint64_t key) {
        if (contains(key)) return false;
        if (key == 0) return has_zero_ = true;
        if (4 * (size_ + 1) > 3 * slots_.size()) grow();
        slots_[probe(slots_, key)] = key;
        ++size_;
        return true;
    }

    std::vector<uint64_t> sorted() const {
        std::vector<uint64_t> keys;
        keys.reserve(size());
        if (has_zero_) keys.push_back(0);
        for (uint64_t key : slots_)
            if (key != 0) keys.push_back(key);
        std::sort(keys.begin(), keys.end());
        return keys;
    }

private:
    static constexpr size_t kMinSlots = 1024;

    static size_t probe(const std::vector<uint64_t>& slots, uint64_t key) {
        size_t i = key & (slots.size() - 1);
        while (slots[i] != 0 && slots[i] != key) i = (i + 1) & (slots.size() - 1);
        return i;
    }

    void grow() {
        std::vector<uint64_t> grown(2 * slots_.size());
        for (uint64_t key : slots_)
            if (key != 0) grown[probe(grown, key)] = key;
        slots_.swap(grown);
    }

    std::vector<uint64_t> slots_;  // 0 is empty; whether the key 0 itself is in stands apart
    size_t size_ = 0;
    bool has_zero_ = false;
};

}  // namespace dso::machine
