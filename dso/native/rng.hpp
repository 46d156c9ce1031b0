// Philox4x32-10, a counter-based generator: the draw for (row, attempt, step) needs no state, so it
// depends on no other row, thread or batch split. Salmon et al., SC 2011.
#pragma once
#include <array>
#include <cstdint>

namespace dso {

inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, uint64_t key) {
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
        const uint64_t p0 = 0xD2511F53ull * counter[0], p1 = 0xCD9E8D57ull * counter[2];
        counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<uint32_t>(p1),
                   static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<uint32_t>(p0)};
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    return counter;
}

// Uniform numbers in (0, 1) for one row of one stream; four steps share a block.
class RowStream {
public:
    void start(uint64_t key, uint32_t row, uint32_t attempt) {
        key_ = key, row_ = row, attempt_ = attempt, block_ = UINT32_MAX;
    }
    double uniform(uint32_t step) {
        if (step / 4 != block_) {
            block_ = step / 4;
            bits_ = philox({row_, attempt_, block_, 0}, key_);
        }
        return (bits_[step % 4] + 0.5) * 0x1p-32;
    }

private:
    uint64_t key_ = 0;
    uint32_t row_ = 0, attempt_ = 0, block_ = UINT32_MAX;
    std::array<uint32_t, 4> bits_{};
};

}  // namespace dso
