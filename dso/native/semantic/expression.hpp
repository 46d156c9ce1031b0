// Writes what a join has found as a program: a small tree of forms whose signs are settled first.
#pragma once
#include <cstdint>
#include <vector>

#include "semantic/backward.hpp"

namespace dso::semantic {

// Target of the context = first op (sign * second), or sign * first where `form` is kNoForm.
struct Join {
    static constexpr int kNoForm = -2;
    size_t context;
    int form;
    uint32_t first, second;
    int sign;
    bool negated;  // the whole
};

constexpr int16_t kHole = -3;

class ExpressionWriter {
public:
    explicit ExpressionWriter(const ValueLibrary& library) : library_(library) {}

    // Replaces `tokens` by the whole expression; false where a sign cannot be written.
    bool write(const BackwardSet& backward, const Join& join, std::vector<int16_t>& tokens);
    // What the join puts into the hole of its context, alone.
    bool write_join(const Join& join, std::vector<int16_t>& tokens);
    // The context alone, with kHole where the missing part belongs.
    bool write_context(const BackwardSet& backward, size_t context, std::vector<int16_t>& tokens);

private:
    struct Node {
        int form;  // -1: a library entry, or the hole
        uint32_t entry;
        int left, right;
        bool negate_left, negate_right;
    };
    int leaf(uint32_t entry);
    int start(const Join& join, bool& negative);
    int node(int form, int left, bool negate_left, int right = -1, bool negate_right = false);
    bool pull_sign(int& at);
    int climb(const BackwardSet& backward, size_t context, int at, bool& negative);
    bool emit(int at, bool negative, std::vector<int16_t>& tokens) const;

    const ValueLibrary& library_;
    std::vector<Node> nodes_;
};

}  // namespace dso::semantic
