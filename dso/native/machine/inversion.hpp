// Programs solved for what stands at one place: which values would make the whole give y?
#pragma once
#include "machine/vm.hpp"

namespace dso::machine {

// Whether y = op(a, b) can be solved for its first (0) or second (1) argument.
bool has_inverse(Op op, int argument);

// out = the argument for which op gives y, `other` being the other one. Where an operator has more
// than one inverse it is the principal one, where it has none in the reals the result is NaN.
// The native half of `Operator.inverse` in dso/library/functions.py; a test compares them.
void invert(Op op, int argument, const double* y, const double* other, double* out, size_t n);

// A program with a hole, that is one token with Op::poly:
//     prediction = program(values in the hole)        run
//     values in the hole = program^-1(y)              wanted
class HoledProgram : private Machine {
public:
    HoledProgram(const Library& library, const Columns& data, bool is_protected)
        : Machine(library, data, is_protected, Values::kept) {}

    void set(const int16_t* tokens, int32_t length, const double* constants, size_t n_constants);

    // Whether every operator above the hole has an inverse.
    bool is_invertible() const { return is_invertible_; }

    // For one tile of rows: from values wanted of the program to values wanted in the hole. NaN in
    // rows where there is none, or where a StateChecker takes the other branch. `y` and `out` may
    // be the same.
    void wanted(size_t row, size_t n, const double* y, double* out);

    // As Machine::run, with values (N, padded) in the hole.
    template <class Use>
    Verdict run(const double* hole, bool all_rows, Use use) {
        code_ = whole_;
        first_failure_ = static_cast<int32_t>(code_.size());
        cause_ = Cause::valid;
        for (size_t row = 0; row < data_.n_padded(); row += kTile) {
            const size_t n = std::min(kTile, data_.n_padded() - row);
            fill_hole(hole, row, n);
            run_tile(row, n, all_rows);
            if (all_rows || cause_ == Cause::valid) use(row, source(result_, row), n);
        }
        if (cause_ == Cause::valid) return {};
        return {cause_, whole_[first_failure_].position};
    }

private:
    struct Step {
        Instruction instruction;
        int argument;  // which of its children is above the hole
    };

    void fill_hole(const double* hole, size_t row, size_t n);

    std::vector<Instruction> whole_, others_;  // all, and those that are not above the hole
    std::vector<Step> path_;                   // from the hole up to the root
    int32_t hole_ = 0;                         // its register
    size_t hole_index_ = 0;                    // its place in `whole_`
    bool is_invertible_ = false;
};

}  // namespace dso::machine
