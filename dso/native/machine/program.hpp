// Program arrays as they cross from Python: prefix order, (B, T) int16 padded with -1.
#pragma once
#include <cstddef>
#include <cstdint>

namespace dso::machine {

constexpr int16_t kPad = -1;

// A batch of programs that somebody else owns.
struct ProgramView {
    const int16_t* tokens;    // (B, T)
    const int32_t* lengths;   // (B,)
    const double* constants;  // (B, K), may be null when K is 0
    size_t n_programs, n_positions, n_constants;

    const int16_t* row(size_t b) const { return tokens + b * n_positions; }
    const double* slots(size_t b) const { return constants + b * n_constants; }
};

inline uint64_t mix64(uint64_t x) {  // the finaliser of splitmix64
    x ^= x >> 30, x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27, x *= 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

// Identity of a token sequence; four tokens per round.
inline uint64_t hash_tokens(const int16_t* tokens, int32_t length) {
    uint64_t hash = 0x9e3779b97f4a7c15ull * (static_cast<uint64_t>(length) + 1);
    const auto token = [tokens](int32_t i) { return uint64_t{static_cast<uint16_t>(tokens[i])}; };
    const auto add = [&hash](uint64_t word) { hash = mix64(hash ^ word) + 0x9e3779b97f4a7c15ull; };
    int32_t i = 0;
    for (; i + 4 <= length; i += 4)
        add(token(i) << 48 | token(i + 1) << 32 | token(i + 2) << 16 | token(i + 3));
    if (i == length) return hash;
    uint64_t rest = 0;
    for (; i < length; ++i) rest = rest << 16 | token(i);
    add(rest);
    return hash;
}

}  // namespace dso::machine
