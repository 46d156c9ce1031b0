// Semantic mutation: what a node of a program would have to be worth for the whole to be worth y,
// and an expression of the value library in its place that is.
#pragma once
#include <array>
#include <memory>
#include <vector>

#include "gp/breeding.hpp"
#include "machine/vm.hpp"
#include "semantic/join.hpp"

namespace dso::semantic {

// What all threads share.
struct SemanticTarget {
    SemanticTarget(std::shared_ptr<const ValueLibrary> values_, const machine::Library& library_,
                   std::shared_ptr<const machine::Data> data_, size_t n_partners_,
                   size_t n_nearest_);

    std::shared_ptr<const ValueLibrary> values;
    machine::Library library;
    std::shared_ptr<const machine::Data> data;  // on the key rows
    size_t n_partners;                          // cheapest entries that are joined with others
    size_t n_nearest;  // cheapest entries among which the nearest is sought
};

// Solves programs for one of their nodes, on the key rows. Of several solutions it takes the one
// that is nearest to what the node is worth now.
class NodeSolver {
public:
    explicit NodeSolver(const SemanticTarget& target) : target_(target) {}

    // False where the program has no finite values there, or no solution.
    bool solve(const gp::Sequence& program, size_t at);
    const KeyVector& wanted() const { return wanted_; }
    // |d program / d node| where it stands now; meaningless where it is not finite.
    const KeyVector& slopes() const { return slopes_; }

private:
    struct alignas(64) Values {
        std::array<double, machine::kLanes> lanes;
    };
    struct Node {
        std::array<size_t, 2> children;
        size_t end;
    };
    bool execute(const gp::Sequence& program);
    bool descend(const gp::Sequence& program, size_t node, int argument, Values& y, Values& slope);

    const SemanticTarget& target_;
    std::vector<Values> values_;  // by position
    std::vector<Node> nodes_;
    std::vector<size_t> stack_;
    KeyVector wanted_{}, slopes_{};
};

// As `gp::breed`, by semantic mutation alone. `n_lookups` (n,) counts what was asked of the
// library.
void breed_by_values(const SemanticTarget& target, const gp::BreedJob& job, gp::Brood& brood,
                     int64_t* n_lookups);

}  // namespace dso::semantic
