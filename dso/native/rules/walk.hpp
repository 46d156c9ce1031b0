// Given programs on their way through the rules.
#pragma once
#include <cstdint>

#include "machine/program.hpp"
#include "rules/rule_set.hpp"

namespace dso::rules {

// Refuses programs with a token outside the library.
void check_tokens(const machine::ProgramView& programs, size_t n_tokens);

// Whether each token (L,) may come first.
void first_allowed(const RuleSet& rules, bool* allowed);

// How often each token (L,) was masked on the way through the programs.
void count_masked(const machine::ProgramView& programs, const RuleSet& rules, int64_t* counts);

// Position of each program's first token that the rules forbid, (B,), or -1; an incomplete program
// fails at its end.
void first_violations(const machine::ProgramView& programs, const RuleSet& rules, int32_t* first);

}  // namespace dso::rules
