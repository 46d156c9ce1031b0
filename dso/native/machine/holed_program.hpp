// Programs solved for what stands at one place: which values would make the whole give y?
#pragma once
#include "machine/batch.hpp"
#include "machine/vm.hpp"

namespace dso::machine {

// A program with a hole, that is one token with Op::poly:
//     prediction = program(values in the hole)        run
//     values in the hole = program^-1(y)              wanted
class HoledProgram {
public:
    HoledProgram(const Library& library, const Columns& data, bool is_protected)
        : data_(data), machine_(library, data, is_protected, Values::kept) {}

    void set(const int16_t* tokens, int32_t length, const double* constants, size_t n_constants);

    // Whether every operator above the hole has an inverse.
    bool is_invertible() const { return is_invertible_; }

    // From values y (N, padded) wanted of the program to values `out` wanted in the hole. NaN in
    // rows where there is none, or where a StateChecker takes the other branch.
    void wanted(const double* y, double* out);

    // As Machine::run, with values (N, padded) in the hole.
    template <class Use>
    Verdict run(const double* hole, Rest rest, Use use) {
        const auto fill = [&](size_t row, size_t n) {
            std::copy(hole + row, hole + row + n, machine_.register_at(hole_));
        };
        return machine_.run(machine_.code().steps, rest, fill, use);
    }

private:
    struct Step {
        Instruction instruction;
        int argument;  // which of its children is above the hole
    };

    const Columns& data_;
    Machine machine_;
    Steps others_;            // those that are not above the hole
    std::vector<Step> path_;  // from the hole up to the root
    int32_t hole_ = 0;        // its register
    bool is_invertible_ = false;
};

// What the node at each position (B,) ought to be for its program to give the target: values
// (B, N), NaN where nothing or anything does, and whether a program could be solved in all rows
// (B,). What stands there now plays no part.
void invert_programs(const Batch& batch, const int32_t* positions, double* wanted, bool* is_finite);

}  // namespace dso::machine
