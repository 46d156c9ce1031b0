// What is known of the programs scored so far: an open-addressing table bounded in bytes, and the
// set of all their keys, which is not.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "ops.hpp"

namespace dso {

struct CacheEntry {
    uint64_t key;
    double reward;
    uint32_t on_policy, off_policy;  // times seen from the policy itself, and from elsewhere
    uint32_t iteration;              // of insertion
    int16_t node;
    uint8_t cause;
    bool used;
};

class RewardCache {
   public:
    explicit RewardCache(size_t max_bytes)
        : max_slots_(std::max<size_t>(kMinSlots, floor_power(max_bytes / sizeof(CacheEntry)))),
          slots_(kMinSlots) {}

    size_t size() const { return size_; }
    size_t n_bytes() const { return slots_.size() * sizeof(CacheEntry); }
    const std::vector<CacheEntry>& slots() const { return slots_; }

    // The entry of `key`, or null. It stays valid until the next insertion.
    CacheEntry* find(uint64_t key) {
        CacheEntry& slot = slots_[probe(slots_, key)];
        return slot.used ? &slot : nullptr;
    }

    void insert(const CacheEntry& entry) {
        if (CacheEntry* known = find(entry.key)) {
            *known = entry;
            return;
        }
        if (2 * (size_ + 1) > slots_.size()) {
            if (slots_.size() >= max_slots_) evict();
            rebuild(2 * (size_ + 1) > slots_.size() / 2 ? std::min(max_slots_, 2 * slots_.size())
                                                        : slots_.size());
        }
        slots_[probe(slots_, entry.key)] = entry;
        ++size_;
    }

    void clear() {
        slots_.assign(kMinSlots, CacheEntry{});
        size_ = 0;
    }

   private:
    static constexpr size_t kMinSlots = 1024;

    static size_t floor_power(size_t n) {
        size_t power = 1;
        while (2 * power <= n) power *= 2;
        return power;
    }

    static size_t probe(const std::vector<CacheEntry>& slots, uint64_t key) {
        size_t i = key & (slots.size() - 1);
        while (slots[i].used && slots[i].key != key) i = (i + 1) & (slots.size() - 1);
        return i;
    }

    // Forget the oldest iterations until at most half of the entries are left.
    void evict() {
        std::vector<uint32_t> iterations;
        for (const CacheEntry& slot : slots_)
            if (slot.used) iterations.push_back(slot.iteration);
        const auto middle = iterations.begin() + static_cast<int64_t>(iterations.size() / 2);
        std::nth_element(iterations.begin(), middle, iterations.end());
        const uint32_t last_forgotten = *middle;
        for (CacheEntry& slot : slots_)
            if (slot.used && slot.iteration <= last_forgotten) {
                slot.used = false;
                --size_;
            }
    }

    void rebuild(size_t n_slots) {
        std::vector<CacheEntry> grown(n_slots);
        for (const CacheEntry& slot : slots_)
            if (slot.used) grown[probe(grown, slot.key)] = slot;
        slots_.swap(grown);
    }

    size_t max_slots_;
    std::vector<CacheEntry> slots_;
    size_t size_ = 0;
};

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

}  // namespace dso
