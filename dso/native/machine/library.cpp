#include "machine/library.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace dso::machine {

int Library::n_inputs() const {
    int32_t last = -1;
    for (size_t i = 0; i < opcodes.size(); ++i)
        if (opcodes[i] == Op::input || opcodes[i] == Op::less) last = std::max(last, operands[i]);
    return last + 1;
}

size_t Library::most_steps() const {
    size_t most = 1;
    for (const Definition& definition : definitions) most = std::max(most, definition.nodes.size());
    return most;
}

void check_programs(const Library& library, const ProgramView& programs, size_t n_columns,
                    Polynomials polynomials) {
    if (static_cast<size_t>(library.n_inputs()) > n_columns)
        throw std::invalid_argument("the library reads " + std::to_string(library.n_inputs()) +
                                    " input columns, the data have " + std::to_string(n_columns));
    const auto n_tokens = static_cast<int32_t>(library.arities.size());
    for (size_t b = 0; b < programs.n_programs; ++b) {
        const auto refuse = [b](const char* why) {
            throw std::invalid_argument("program " + std::to_string(b) + " " + why);
        };
        int64_t missing = 1;
        for (int32_t t = 0; t < programs.lengths[b]; ++t) {
            const int16_t token = programs.row(b)[t];
            if (token < 0 || token >= n_tokens) refuse("has a token outside the library");
            if (library.opcodes[token] == Op::python)
                refuse("has a token that only Python can execute");
            if (library.opcodes[token] == Op::poly && polynomials == Polynomials::refused)
                refuse("has a polynomial that is not fitted");
            missing += library.arities[token] - 1;
            if (missing == 0 && t + 1 < programs.lengths[b]) refuse("goes on after its end");
        }
        if (missing != 0) refuse("is not complete");
    }
}

}  // namespace dso::machine
