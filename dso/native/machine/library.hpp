// What tokens mean to the machine, and which programs it can run.
#pragma once
#include <cstdint>
#include <vector>

#include "machine/operators.hpp"
#include "machine/program.hpp"

namespace dso::machine {

// What one token computes of its arguments, in left-to-right postorder: an input is the argument
// that `operand` counts, all else as in a program.
struct Definition {
    struct Node {
        Op op;
        int32_t operand;
        double value;
    };
    std::vector<Node> nodes;
};

struct Library {
    std::vector<int32_t> arities;
    std::vector<Op> opcodes;
    std::vector<int32_t> operands;  // column of an input or a StateChecker, number of a definition
    std::vector<double> values;     // literal or threshold
    std::vector<Definition> definitions;
    int n_inputs() const;       // columns that the tokens refer to
    size_t most_steps() const;  // that a token takes
};

// Refuse programs that the machine cannot run, naming the first. Whoever knows what to put in the
// place of a polynomial lets it pass.
enum class Polynomials { refused, allowed };
void check_programs(const Library& library, const ProgramView& programs, size_t n_columns,
                    Polynomials polynomials = Polynomials::refused);

}  // namespace dso::machine
