// What is known of the programs scored so far, in an open-addressing table bounded in bytes.
//
// A table may hold fitted constants too: K numbers per slot, where K is the most that any program
// has had so far. Without any it takes no memory for them.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "machine/operators.hpp"

namespace dso::machine {

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
    explicit RewardCache(size_t max_bytes) : max_bytes_(max_bytes), slots_(kMinSlots) {}

    size_t size() const { return size_; }
    size_t n_bytes() const { return slots_.size() * slot_bytes(); }
    size_t n_constants() const { return n_constants_; }
    const std::vector<CacheEntry>& slots() const { return slots_; }

    // Rewards of earlier iterations are those of other data; their counters go on.
    void expire_before(uint32_t iteration) { first_valid_ = iteration; }
    bool is_valid(const CacheEntry& entry) const { return entry.iteration >= first_valid_; }

    // The entry of `key`, or null. It stays valid until the next insertion.
    CacheEntry* find(uint64_t key) {
        CacheEntry& slot = slots_[probe(slots_, key)];
        return slot.used ? &slot : nullptr;
    }

    // The constants (K,) of an entry that `find` gave or `slots` holds.
    const double* constants(const CacheEntry& entry) const {
        return constants_.data() + (&entry - slots_.data()) * n_constants_;
    }

    // Keep an entry with its `n` <= K constants.
    void insert(const CacheEntry& entry, const double* constants = nullptr, size_t n = 0) {
        size_t slot = probe(slots_, entry.key);
        if (!slots_[slot].used) {
            make_room();
            slot = probe(slots_, entry.key);
            ++size_;
        }
        slots_[slot] = entry;
        double* kept = constants_.data() + slot * n_constants_;
        std::fill(std::copy(constants, constants + n, kept), kept + n_constants_, kNoNumber);
    }

    // Hold at least `n` constants per slot.
    void widen(size_t n) {
        if (n <= n_constants_) return;
        std::vector<double> wider(slots_.size() * n, kNoNumber);
        for (size_t slot = 0; slot < slots_.size(); ++slot)
            std::copy_n(constants_.data() + slot * n_constants_, n_constants_,
                        wider.data() + slot * n);
        constants_.swap(wider);
        n_constants_ = n;
        while (slots_.size() > max_slots()) {
            if (4 * size_ > slots_.size()) evict();
            rebuild(slots_.size() / 2);
        }
    }

    void clear() {
        slots_.assign(kMinSlots, CacheEntry{});
        constants_.assign(kMinSlots * n_constants_, kNoNumber);
        size_ = 0;
    }

private:
    static constexpr size_t kMinSlots = 1024;
    static constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

    size_t slot_bytes() const { return sizeof(CacheEntry) + n_constants_ * sizeof(double); }
    size_t max_slots() const { return std::max(kMinSlots, floor_power(max_bytes_ / slot_bytes())); }

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

    void make_room() {
        if (2 * (size_ + 1) <= slots_.size()) return;
        if (slots_.size() >= max_slots()) evict();
        rebuild(2 * (size_ + 1) > slots_.size() / 2 ? std::min(max_slots(), 2 * slots_.size())
                                                    : slots_.size());
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
        std::vector<double> moved(n_slots * n_constants_, kNoNumber);
        for (const CacheEntry& slot : slots_) {
            if (!slot.used) continue;
            const size_t place = probe(grown, slot.key);
            grown[place] = slot;
            std::copy_n(constants(slot), n_constants_, moved.data() + place * n_constants_);
        }
        slots_.swap(grown);
        constants_.swap(moved);
    }

    size_t max_bytes_;
    std::vector<CacheEntry> slots_;
    std::vector<double> constants_;  // (slots, K)
    size_t n_constants_ = 0, size_ = 0;
    uint32_t first_valid_ = 0;
};

}  // namespace dso::machine
