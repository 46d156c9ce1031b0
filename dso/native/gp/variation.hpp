// Breeding: from ranked parents to offspring by crossover and mutation of their token sequences.
//
// Row i draws from (key, rows[i], attempt), so neither threads nor splits of a batch matter. An
// offspring that breaks a rule, or that is known already, is tried again from the choice of its
// parents on; a row that fails every time is a copy of its last parent.
#pragma once
#include <cstdint>
#include <vector>

#include "machine/keys.hpp"
#include "machine/program.hpp"
#include "rules/rule_set.hpp"

namespace dso::gp {

// What became of a row; a crossed offspring may be mutated too.
enum Operation : uint8_t {
    kCopied = 0,
    kCrossed = 1,
    kSubtree = 2,
    kReplaced = 4,
    kInserted = 8,
    kShrunk = 16,
    kPerturbed = 32,
    kSemantic = 64,
    kSolved = 128,  // beside kSemantic: the new subtree has the values that were wanted
};

struct BreedOptions {
    double p_crossover = 0.5, p_mutate = 0.5;
    double p_perturb = 0;  // share of mutations, where a program has constants
    double p_join = 0;     // that an inserted operator's other arguments come from a mate
    double p_archive = 0;  // that a parent comes from the last group rather than the row's own
    int tournament_size = 5, mutate_tree_max = 3, n_attempts = 8;
};

// Parents in groups, each best first: group g holds the rows [offsets[g], offsets[g + 1]).
struct Parents {
    machine::ProgramView programs;
    std::vector<int64_t> offsets;
    size_t n_groups() const { return offsets.size() - 1; }
};

struct Brood {
    int16_t* tokens;      // (n, T)
    int32_t* lengths;     // (n,)
    double* constants;    // (n, K); NaN where a number is to be fitted
    int32_t* parents;     // (n,), the parent that gave the root
    uint8_t* operations;  // (n,)
    int32_t* n_refused;   // (n,), tries that broke a rule or grew too long
    int32_t* n_known;     // (n,), tries whose tokens were known
    size_t n_positions, n_constants;
};

// Which offspring are asked for: row i draws from (key, rows[i], attempt), its parents are those of
// groups[i].
struct BreedJob {
    const rules::RuleSet& rules;
    const std::vector<uint8_t>& has_constant;  // (L,) whether a token carries a number
    const Parents& parents;
    const BreedOptions& options;
    const machine::KeySet* known;  // programs that are not bred; may be null
    uint64_t key;
    const uint32_t* rows;   // (n,)
    const int32_t* groups;  // (n,)
    size_t n_rows;
    uint32_t first_attempt;
    size_t n_threads;
};

// Rows that a thread breeds at a time.
constexpr size_t kRowsPerChunk = 64;

// Refuses parents that are no programs, and rows without parents.
void check(const BreedJob& job);

// Breeds every row of a brood by crossover and mutation.
void breed(const BreedJob& job, Brood& brood);

}  // namespace dso::gp
