// Everything one search by joins works on.
#pragma once
#include <memory>

#include "machine/data.hpp"
#include "semantic/join.hpp"

namespace dso::semantic {

struct Search {
    // `sample` are rows of `data`, which candidates must fit first.
    Search(std::shared_ptr<const ValueLibrary> values_, const machine::Library& library_,
           const rules::RuleSet& rules_, const KeyVector& target,
           std::shared_ptr<const machine::Data> sample_, std::shared_ptr<const machine::Data> data_,
           double tolerance, const BackwardLimits& limits, Sameness sameness,
           std::vector<int16_t> prefix)
        : values(std::move(values_)),
          library(library_),
          rules(rules_),
          sample(std::move(sample_)),
          data(std::move(data_)),
          backward(*values, target, limits, sameness, dimension_after(rules, prefix)),
          joins(*values, backward),
          verifier(library, rules, *sample, *data, tolerance, sameness, std::move(prefix)) {}

    // What is wanted of the part of a program that follows the prefix.
    static rules::Dimension dimension_after(const rules::RuleSet& rules,
                                            const std::vector<int16_t>& prefix) {
        if (!rules.units.on()) return rules::kAny;
        rules::TraversalState state(rules);
        for (const int16_t token : prefix)
            if (!state.finished()) state.push(token);
        return state.wanted_of_next();
    }

    const std::shared_ptr<const ValueLibrary> values;
    const machine::Library library;
    const rules::RuleSet rules;
    const std::shared_ptr<const machine::Data> sample, data;
    const BackwardSet backward;
    JoinSearch joins;
    Verifier verifier;
};

}  // namespace dso::semantic
