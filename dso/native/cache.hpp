// What is known of every program scored so far: an open-addressing table bounded in bytes.
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

}  // namespace dso
