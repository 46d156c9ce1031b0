#include "semantic/expression.hpp"

namespace dso::semantic {

using namespace machine;

int ExpressionWriter::leaf(uint32_t entry) {
    nodes_.push_back({-1, entry, -1, -1, false, false});
    return static_cast<int>(nodes_.size()) - 1;
}

int ExpressionWriter::node(int form, int left, bool negate_left, int right, bool negate_right) {
    nodes_.push_back({form, 0, left, right, negate_left, negate_right});
    return static_cast<int>(nodes_.size()) - 1;
}

bool ExpressionWriter::write(const BackwardSet& backward, const Join& join,
                             std::vector<int16_t>& tokens) {
    nodes_.clear();
    tokens.clear();
    bool negative = false;
    int at = start(join, negative);
    at = climb(backward, join.context, at, negative);
    negative = negative != pull_sign(at);
    if (backward.sameness() == Sameness::scale) negative = false;  // the factor has the sign
    return emit(at, negative, tokens);
}

bool ExpressionWriter::write_join(const Join& join, std::vector<int16_t>& tokens) {
    nodes_.clear();
    tokens.clear();
    bool negative = false;
    int at = start(join, negative);
    negative = negative != pull_sign(at);
    return emit(at, negative, tokens);
}

// The entries that a join combines; `negative` is told whether their negative is meant.
int ExpressionWriter::start(const Join& join, bool& negative) {
    const int at = leaf(join.first);
    negative = join.negated;
    if (join.form == Join::kNoForm) {
        negative = negative != (join.sign < 0);
        return at;
    }
    return node(join.form, at, false, leaf(join.second), join.sign < 0);
}

bool ExpressionWriter::write_context(const BackwardSet& backward, size_t context,
                                     std::vector<int16_t>& tokens) {
    nodes_.clear();
    tokens.clear();
    bool negative = false;
    const int root = climb(backward, context, leaf(ValueLibrary::kNone), negative);
    return emit(root, negative, tokens);
}

// Puts what stands in the hole of a context into all that is around it.
int ExpressionWriter::climb(const BackwardSet& backward, size_t context, int at, bool& negative) {
    for (auto i = static_cast<int32_t>(context); backward.context(i).parent >= 0;
         i = backward.context(i).parent) {
        const Context& context = backward.context(i);
        negative = negative != pull_sign(at);
        if (library_.form(context.form).arity == 1)
            at = node(context.form, at, negative);
        else if (context.slot == 0)
            at = node(context.form, at, negative, leaf(context.other));
        else
            at = node(context.form, leaf(context.other), false, at, negative);
        negative = false;
    }
    return at;
}

// Rewrites a node so that as few arguments as can be are negated; whether its value changed sign.
bool ExpressionWriter::pull_sign(int& at) {
    Node& n = nodes_[at];
    if (n.form < 0 || !(n.negate_left || n.negate_right)) return false;
    const Arithmetic& arithmetic = library_.forms().arithmetic;
    const bool both = n.negate_left && n.negate_right;
    const bool only_left = n.negate_left && !n.negate_right;
    const Form& form = library_.form(n.form);
    const bool is_sum = n.form == arithmetic.add || form.op == Op::op_add;
    const bool is_difference = n.form == arithmetic.sub || form.op == Op::op_sub;
    if (is_sum || is_difference) {
        const int other = is_sum ? arithmetic.sub : arithmetic.add;
        if (!both && other < 0) return false;
        n.negate_left = n.negate_right = false;
        if (both) return true;  // -(a + b), -(a - b)
        n.form = other;
        if (is_difference) return only_left;        // a - -b = a + b, -a - b = -(a + b)
        if (only_left) std::swap(n.left, n.right);  // -a + b = b - a
        return false;
    }
    if (form.op == Op::op_mul || form.op == Op::op_div) {
        n.negate_left = n.negate_right = false;
        return !both;
    }
    if (form.arity == 1 && form.parity != Parity::none) {
        n.negate_left = false;
        return form.parity == Parity::odd;
    }
    return false;
}

bool ExpressionWriter::emit(int at, bool negative, std::vector<int16_t>& tokens) const {
    Node n = nodes_[at];
    if (n.form < 0 && n.entry == ValueLibrary::kNone) {
        tokens.push_back(kHole);
        return !negative;
    }
    if (n.form < 0) return library_.write(n.entry, negative, tokens);
    const Form* form = &library_.form(n.form);
    if (negative) {
        const Arithmetic& arithmetic = library_.forms().arithmetic;
        if (form->op == Op::op_sub) {
            std::swap(n.left, n.right);
            std::swap(n.negate_left, n.negate_right);
        } else if (form->op == Op::op_mul || form->op == Op::op_div) {
            // Where an argument is a difference, it takes the sign for nothing.
            const auto is_difference = [&](int i) {
                const Node& child = nodes_[i];
                if (child.form < 0 && child.entry == ValueLibrary::kNone) return false;
                const int f = child.form >= 0 ? child.form : library_.entry(child.entry).form;
                return library_.form(f).op == Op::op_sub;
            };
            if (!is_difference(n.left) && is_difference(n.right))
                n.negate_right = !n.negate_right;
            else
                n.negate_left = !n.negate_left;
        } else {
            if (arithmetic.negate < 0) return false;
            for (const int16_t item : library_.form(arithmetic.negate).pattern) {
                if (item >= 0)
                    tokens.push_back(item);
                else if (!emit(at, false, tokens))
                    return false;
            }
            return true;
        }
    }
    for (const int16_t item : form->pattern) {
        bool fine = true;
        if (item >= 0)
            tokens.push_back(item);
        else if (item == kLeft)
            fine = emit(n.left, n.negate_left, tokens);
        else
            fine = emit(n.right, n.negate_right, tokens);
        if (!fine) return false;
    }
    return true;
}

}  // namespace dso::semantic
