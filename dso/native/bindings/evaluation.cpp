// Execution, metrics and the reward cache as Python sees them.
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

#include "bindings/arrays.hpp"
#include "machine/cache.hpp"
#include "machine/metrics.hpp"
#include "machine/vector_math.hpp"
#include "machine/vm.hpp"
#include "threads.hpp"

namespace dso {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kProgramsPerChunk = 32;

static Library make_library(const Array<int32_t>& arities, const Array<int32_t>& opcodes,
                            const Array<int32_t>& operands, const Array<double>& values) {
    const py::ssize_t n_tokens = arities.size();
    if (opcodes.size() != n_tokens || operands.size() != n_tokens || values.size() != n_tokens)
        throw std::invalid_argument("Library: four arrays of length L");
    Library library;
    for (py::ssize_t i = 0; i < n_tokens; ++i) {
        const int32_t code = opcodes.data()[i];
        if (code < static_cast<int32_t>(Op::python) || code >= static_cast<int32_t>(Op::count))
            throw std::invalid_argument("Library: unknown opcode");
        if (code >= 0 && kArity[code] != arities.data()[i])
            throw std::invalid_argument("Library: arity and opcode disagree");
        const auto op = static_cast<Op>(code);
        if ((op == Op::input || op == Op::less) && operands.data()[i] < 0)
            throw std::invalid_argument("Library: negative column");
        library.arities.push_back(arities.data()[i]);
        library.opcodes.push_back(op);
        library.operands.push_back(operands.data()[i]);
        library.values.push_back(values.data()[i]);
    }
    return library;
}

// Everything a call works on, checked.
struct Job {
    Job(const Library& library, const Array<int16_t>& tokens, const Array<int32_t>& lengths,
        const Array<double>& constants, const Array<double>& X, bool is_protected, int n_threads)
        : library(library),
          programs(view_programs(tokens, lengths, constants)),
          data(require_matrix(X).data(), X.shape(0), X.shape(1)),
          is_protected(is_protected),
          n_threads(std::max(1, n_threads)) {
        check_programs(library, programs, data.n_columns());
    }

    // Calls body(machine, program) for every program, compiled; without the GIL.
    template <class Body>
    void for_each_program(Body body) const {
        const py::gil_scoped_release release;
        const auto chunk_of_programs = [&](size_t, size_t begin, size_t end) {
            Machine machine(library, data, is_protected);
            for (size_t p = begin; p < end; ++p) {
                machine.compile(programs.row(p), programs.lengths[p], programs.slots(p),
                                programs.n_constants);
                body(machine, p);
            }
        };
        parallel_for(programs.n_programs, n_threads, chunk_size(kProgramsPerChunk, data.n_rows()),
                     chunk_of_programs);
    }

    static const Array<double>& require_matrix(const Array<double>& X) {
        if (X.ndim() != 2) throw std::invalid_argument("X: (D, N)");
        return X;
    }

    const Library& library;
    const ProgramView programs;
    const Columns data;
    const bool is_protected;
    const size_t n_threads;
};

struct Verdicts {
    explicit Verdicts(size_t n) : cause(n), node(n) {}
    void set(size_t p, const Verdict& verdict) {
        cause.mutable_data()[p] = static_cast<uint8_t>(verdict.cause);
        node.mutable_data()[p] = verdict.node;
    }
    py::array_t<uint8_t> cause;
    py::array_t<int32_t> node;
};

// A row vector padded to whole lanes.
static Buffer pad(const Array<double>* values, double otherwise, double padding, size_t n_rows) {
    if (values && (values->ndim() != 1 || static_cast<size_t>(values->size()) != n_rows))
        throw std::invalid_argument("y and weights: (N,) like the rows of X");
    Buffer buffer(padded(n_rows));
    for (size_t i = 0; i < padded(n_rows); ++i)
        buffer.data()[i] = i >= n_rows ? padding : values ? values->data()[i] : otherwise;
    return buffer;
}

static py::tuple execute(const Library& library, const Array<int16_t>& tokens,
                         const Array<int32_t>& lengths, const Array<double>& constants,
                         const Array<double>& X, bool is_protected, int n_threads) {
    const Job job(library, tokens, lengths, constants, X, is_protected, n_threads);
    const size_t n_rows = job.data.n_rows();
    py::array_t<double> y({job.programs.n_programs, n_rows});
    Verdicts verdicts(job.programs.n_programs);
    double* out = y.mutable_data();
    job.for_each_program([&](Machine& machine, size_t p) {
        verdicts.set(p, machine.run(true, [&](size_t row, const double* prediction, size_t n) {
            std::copy(prediction, prediction + std::min(n, n_rows - row), out + p * n_rows + row);
        }));
    });
    return py::make_tuple(y, verdicts.cause, verdicts.node);
}

// The weighted mean over rows of what `tile_sum` adds up, per program; NaN for invalid ones.
template <class TileSum>
static py::tuple weighted_mean(const Job& job, Buffer& weights, TileSum tile_sum) {
    py::array_t<double> mean(job.programs.n_programs);
    Verdicts verdicts(job.programs.n_programs);
    double total_weight = 0;
    for (size_t i = 0; i < job.data.n_rows(); ++i) total_weight += weights.data()[i];
    double* out = mean.mutable_data();
    job.for_each_program([&](Machine& machine, size_t p) {
        double total = 0;
        const Verdict verdict =
            machine.run(false, [&](size_t row, const double* prediction, size_t n) {
                total += tile_sum(prediction, row, n);
            });
        verdicts.set(p, verdict);
        out[p] = verdict.cause == Cause::valid ? total / total_weight : kNaN;
    });
    return py::make_tuple(mean, verdicts.cause, verdicts.node);
}

using OptionalArray = std::optional<Array<double>>;

static const Array<double>* address(const OptionalArray& array) {
    return array ? &*array : nullptr;
}

static py::tuple mean_squared_error(const Library& library, const Array<int16_t>& tokens,
                                    const Array<int32_t>& lengths, const Array<double>& constants,
                                    const Array<double>& X, const Array<double>& y,
                                    const OptionalArray& weights, bool is_protected,
                                    int n_threads) {
    const Job job(library, tokens, lengths, constants, X, is_protected, n_threads);
    Buffer target = pad(&y, 0, 0, job.data.n_rows());
    Buffer weight = pad(address(weights), 1, 0, job.data.n_rows());
    return weighted_mean(job, weight, [&](const double* prediction, size_t row, size_t n) {
        return sum_squared_error(prediction, target.data() + row, weight.data() + row, n);
    });
}

static py::tuple fraction_within(const Library& library, const Array<int16_t>& tokens,
                                 const Array<int32_t>& lengths, const Array<double>& constants,
                                 const Array<double>& X, const Array<double>& y, double relative,
                                 double absolute, const OptionalArray& weights, bool is_protected,
                                 int n_threads) {
    const Job job(library, tokens, lengths, constants, X, is_protected, n_threads);
    Buffer target = pad(&y, 0, 0, job.data.n_rows());
    Buffer weight = pad(address(weights), 1, 0, job.data.n_rows());
    Buffer tolerance(job.data.n_padded());
    for (size_t i = 0; i < job.data.n_padded(); ++i)
        tolerance.data()[i] = relative * std::fabs(target.data()[i]) + absolute;
    return weighted_mean(job, weight, [&](const double* prediction, size_t row, size_t n) {
        return sum_within(prediction, target.data() + row, tolerance.data() + row,
                          weight.data() + row, n);
    });
}

// For each row the first row with the same key.
static py::array_t<int32_t> first_rows(const Array<uint64_t>& keys) {
    const auto n = static_cast<size_t>(keys.size());
    py::array_t<int32_t> first(keys.size());
    size_t n_slots = 16;
    while (n_slots < 2 * n) n_slots *= 2;
    std::vector<int32_t> seen(n_slots, -1);  // rows by open addressing
    for (size_t i = 0; i < n; ++i) {
        const uint64_t key = keys.data()[i];
        size_t slot = mix64(key) & (n_slots - 1);
        while (seen[slot] >= 0 && keys.data()[seen[slot]] != key) slot = (slot + 1) & (n_slots - 1);
        if (seen[slot] < 0) seen[slot] = static_cast<int32_t>(i);
        first.mutable_data()[i] = seen[slot];
    }
    return first;
}

static py::tuple cache_lookup(RewardCache& cache, const Array<uint64_t>& keys) {
    const py::ssize_t n = keys.size();
    py::array_t<bool> found(n);
    py::array_t<double> rewards(n);
    Verdicts verdicts(n);
    const size_t K = cache.n_constants();
    py::array_t<double> constants({static_cast<size_t>(n), K});
    std::fill(constants.mutable_data(), constants.mutable_data() + n * K, kNaN);
    for (py::ssize_t i = 0; i < n; ++i) {
        const CacheEntry* entry = cache.find(keys.data()[i]);
        if (entry && !cache.is_valid(*entry)) entry = nullptr;
        if (entry) std::copy_n(cache.constants(*entry), K, constants.mutable_data() + i * K);
        found.mutable_data()[i] = entry != nullptr;
        rewards.mutable_data()[i] = entry ? entry->reward : kNaN;
        verdicts.set(i, entry ? Verdict{static_cast<Cause>(entry->cause), entry->node} : Verdict{});
    }
    return py::make_tuple(found, rewards, verdicts.cause, verdicts.node, constants);
}

static void require_length(const char* name, py::ssize_t given, py::ssize_t expected) {
    if (given != expected)
        throw std::invalid_argument(std::string(name) + ": one value per key is needed");
}

// No program has more constants than positions.
static void require_constants(size_t K) {
    if (K > static_cast<size_t>(std::numeric_limits<int16_t>::max()))
        throw std::invalid_argument("constants: more per program than it has positions");
}

static void cache_insert(RewardCache& cache, const Array<uint64_t>& keys,
                         const Array<double>& rewards, const Array<uint8_t>& cause,
                         const Array<int32_t>& node, uint32_t iteration,
                         const std::optional<Array<double>>& constants) {
    require_length("rewards", rewards.size(), keys.size());
    require_length("cause", cause.size(), keys.size());
    require_length("node", node.size(), keys.size());
    if (constants && (constants->ndim() != 2 || constants->shape(0) != keys.size()))
        throw std::invalid_argument("constants: (B, K), one row per key");
    const size_t K = constants ? constants->shape(1) : 0;
    require_constants(K);
    cache.widen(K);
    for (py::ssize_t i = 0; i < keys.size(); ++i) {
        const CacheEntry* expired = cache.find(keys.data()[i]);
        cache.insert({keys.data()[i], rewards.data()[i], expired ? expired->on_policy : 0,
                      expired ? expired->off_policy : 0, iteration,
                      static_cast<int16_t>(node.data()[i]), cause.data()[i], true},
                     K ? constants->data() + i * K : nullptr, K);
    }
}

static py::array_t<bool> cache_contains(RewardCache& cache, const Array<uint64_t>& keys) {
    py::array_t<bool> found(keys.size());
    for (py::ssize_t i = 0; i < keys.size(); ++i)
        found.mutable_data()[i] = cache.find(keys.data()[i]) != nullptr;
    return found;
}

static void cache_count(RewardCache& cache, const Array<uint64_t>& keys,
                        const Array<bool>& on_policy) {
    require_length("on_policy", on_policy.size(), keys.size());
    for (py::ssize_t i = 0; i < keys.size(); ++i)
        if (CacheEntry* entry = cache.find(keys.data()[i]))
            ++(on_policy.data()[i] ? entry->on_policy : entry->off_policy);
}

static py::tuple cache_counts(RewardCache& cache, const Array<uint64_t>& keys) {
    py::array_t<int64_t> on(keys.size()), off(keys.size());
    for (py::ssize_t i = 0; i < keys.size(); ++i) {
        const CacheEntry* entry = cache.find(keys.data()[i]);
        on.mutable_data()[i] = entry ? entry->on_policy : 0;
        off.mutable_data()[i] = entry ? entry->off_policy : 0;
    }
    return py::make_tuple(on, off);
}

// All entries as arrays in the order of their keys, so that equal caches give equal arrays.
static py::dict cache_state(const RewardCache& cache) {
    std::vector<const CacheEntry*> entries;
    for (const CacheEntry& slot : cache.slots())
        if (slot.used) entries.push_back(&slot);
    std::sort(entries.begin(), entries.end(),
              [](const CacheEntry* a, const CacheEntry* b) { return a->key < b->key; });
    const size_t n = entries.size(), K = cache.n_constants();
    py::array_t<uint64_t> keys(n);
    py::array_t<double> rewards(n), constants({n, K});
    py::array_t<uint32_t> on_policy(n), off_policy(n), iterations(n);
    py::array_t<int16_t> nodes(n);
    py::array_t<uint8_t> causes(n);
    for (size_t i = 0; i < n; ++i) {
        const CacheEntry& entry = *entries[i];
        keys.mutable_data()[i] = entry.key;
        rewards.mutable_data()[i] = entry.reward;
        on_policy.mutable_data()[i] = entry.on_policy;
        off_policy.mutable_data()[i] = entry.off_policy;
        iterations.mutable_data()[i] = entry.iteration;
        nodes.mutable_data()[i] = entry.node;
        causes.mutable_data()[i] = entry.cause;
        std::copy_n(cache.constants(entry), K, constants.mutable_data() + i * K);
    }
    py::dict state;
    state["keys"] = keys;
    state["rewards"] = rewards;
    state["on_policy"] = on_policy;
    state["off_policy"] = off_policy;
    state["iterations"] = iterations;
    state["nodes"] = nodes;
    state["causes"] = causes;
    state["constants"] = constants;
    return state;
}

// One column of a cache's state: of exactly the type and length that `cache_state` gives it.
template <typename T>
static py::array_t<T> state_column(const py::dict& state, const char* name, py::ssize_t n) {
    if (!state.contains(name) || !py::isinstance<py::array_t<T>>(state[name]))
        throw std::invalid_argument(std::string("RewardCache: the state has no ") + name);
    auto column = py::array_t<T, py::array::c_style>::ensure(state[name]);
    if (column.ndim() != 1 || (n >= 0 && column.size() != n))
        throw std::invalid_argument(std::string("RewardCache: ") + name + ": one value per key");
    return column;
}

static void cache_load(RewardCache& cache, const py::dict& state) {
    const auto keys = state_column<uint64_t>(state, "keys", -1);
    const py::ssize_t n = keys.size();
    const auto rewards = state_column<double>(state, "rewards", n);
    const auto on_policy = state_column<uint32_t>(state, "on_policy", n);
    const auto off_policy = state_column<uint32_t>(state, "off_policy", n);
    const auto iterations = state_column<uint32_t>(state, "iterations", n);
    const auto nodes = state_column<int16_t>(state, "nodes", n);
    const auto causes = state_column<uint8_t>(state, "causes", n);
    if (!state.contains("constants") || !py::isinstance<py::array_t<double>>(state["constants"]))
        throw std::invalid_argument("RewardCache: the state has no constants");
    const auto constants = py::array_t<double, py::array::c_style>::ensure(state["constants"]);
    if (constants.ndim() != 2 || constants.shape(0) != n)
        throw std::invalid_argument("RewardCache: constants: (B, K), one row per key");
    const size_t K = constants.shape(1);
    require_constants(K);
    for (py::ssize_t i = 0; i < n; ++i)
        if (causes.data()[i] > static_cast<uint8_t>(Cause::invalid))
            throw std::invalid_argument("RewardCache: causes: a number that means nothing");
    cache.clear();
    cache.widen(K);
    for (py::ssize_t i = 0; i < n; ++i)
        cache.insert({keys.data()[i], rewards.data()[i], on_policy.data()[i], off_policy.data()[i],
                      iterations.data()[i], nodes.data()[i], causes.data()[i], true},
                     constants.data() + i * K, K);
}

static py::array_t<bool> keys_contained(const KeySet& set, const Array<uint64_t>& keys) {
    py::array_t<bool> found(keys.size());
    for (py::ssize_t i = 0; i < keys.size(); ++i)
        found.mutable_data()[i] = set.contains(keys.data()[i]);
    return found;
}

static void insert_keys(KeySet& set, const Array<uint64_t>& keys) {
    for (py::ssize_t i = 0; i < keys.size(); ++i) set.insert(keys.data()[i]);
}

static py::array_t<uint64_t> sorted_keys(const KeySet& set) {
    const std::vector<uint64_t> keys = set.sorted();
    return py::array_t<uint64_t>(keys.size(), keys.data());
}

// The columns of the operator table that Python can check its own against.
static py::list operator_table() {
    constexpr const char* names[] = {
#define ROW(name, ...) #name,
        DSO_OPERATORS(ROW, ROW)
#undef ROW
    };
    py::list rows;
    for (int opcode = 0; opcode < static_cast<int>(Op::less); ++opcode) {
        const Op op = static_cast<Op>(opcode);
        const Branches branches = branches_of(op, std::numeric_limits<double>::quiet_NaN());
        py::dict row;
        row["name"] = names[opcode];
        row["opcode"] = opcode;
        row["arity"] = kArity[opcode];
        row["period"] = branches.period;
        row["is_even"] = branches.mirror == 0;
        rows.append(row);
    }
    return rows;
}

static bool has_pole(int opcode, double a, double b) {
    return is_pole(static_cast<Op>(opcode), a, b);
}

static void bind_execution(py::module_& m) {
    py::class_<Library>(m, "Library", "What each token means to the virtual machine.")
        .def(py::init(&make_library), py::arg("arities"), py::arg("opcodes"), py::arg("operands"),
             py::arg("values"))
        .def_property_readonly("n_inputs", &Library::n_inputs)
        .def("__len__", [](const Library& library) { return library.arities.size(); });
    m.def("operator_table", &operator_table,
          "List of dicts: name, opcode, arity, period (0 for none), is_even.");
    m.def("is_pole", &has_pole, py::arg("opcode"), py::arg("a"), py::arg("b"),
          "Whether an infinite value at a, b is a division by zero.");
    m.attr("OP_PYTHON") = static_cast<int>(Op::python);
    m.attr("OP_LESS") = static_cast<int>(Op::less);
    m.attr("OP_INPUT") = static_cast<int>(Op::input);
    m.attr("OP_LITERAL") = static_cast<int>(Op::literal);
    m.attr("OP_CONSTANT") = static_cast<int>(Op::constant);
    m.attr("OP_POLY") = static_cast<int>(Op::poly);
    m.attr("VECTOR_MATH") = static_cast<bool>(DSO_VECTOR_MATH);
    m.def("execute", &execute, py::arg("library"), py::arg("tokens"), py::arg("lengths"),
          py::arg("constants"), py::arg("X"), py::arg("protected"), py::arg("n_threads") = 1,
          "(B, T), (B,), (B, K), (D, N) -> values (B, N), cause (B,), node (B,).");
    m.def(
        "mean_squared_error", &mean_squared_error, py::arg("library"), py::arg("tokens"),
        py::arg("lengths"), py::arg("constants"), py::arg("X"), py::arg("y"),
        py::arg("weights") = py::none(), py::arg("protected") = false, py::arg("n_threads") = 1,
        "Mean over rows of (prediction - y)^2 -> (B,), NaN where invalid; cause (B,), node (B,).");
    m.def("fraction_within", &fraction_within, py::arg("library"), py::arg("tokens"),
          py::arg("lengths"), py::arg("constants"), py::arg("X"), py::arg("y"), py::arg("relative"),
          py::arg("absolute"), py::arg("weights") = py::none(), py::arg("protected") = false,
          py::arg("n_threads") = 1,
          "Share of rows with |prediction - y| < relative |y| + absolute; cause (B,), node (B,).");
}

void bind_evaluation(py::module_& m) {
    bind_execution(m);
    m.def("first_rows", &first_rows, py::arg("keys"),
          "For each row the first row with the same key: (B,) uint64 -> (B,) int32.");
    py::class_<RewardCache>(m, "RewardCache", "Key -> reward, cause, node, counters; bounded.")
        .def(py::init<size_t>(), py::arg("max_bytes"))
        .def("lookup", &cache_lookup, py::arg("keys"),
             "-> found, rewards, cause, node, each (B,), constants (B, K).")
        .def("insert", &cache_insert, py::arg("keys"), py::arg("rewards"), py::arg("cause"),
             py::arg("node"), py::arg("iteration"), py::arg("constants") = py::none())
        .def("contains", &cache_contains, py::arg("keys"), "Expired ones too, (B,) bool.")
        .def("expire_before", &RewardCache::expire_before, py::arg("iteration"),
             "Forget the rewards of earlier iterations, but not the counters.")
        .def("count", &cache_count, py::arg("keys"), py::arg("on_policy"),
             "Count one more appearance of each key.")
        .def("counts", &cache_counts, py::arg("keys"), "-> on-policy and off-policy, each (B,).")
        .def("clear", &RewardCache::clear)
        .def("__len__", &RewardCache::size)
        .def_property_readonly("n_bytes", &RewardCache::n_bytes)
        .def("state", &cache_state, "All entries as a dict of arrays, ordered by key.")
        .def("load_state", &cache_load, py::arg("state"));
    py::class_<KeySet>(m, "KeySet", "Keys without end; nothing is forgotten.")
        .def(py::init<>())
        .def("contains", &keys_contained, py::arg("keys"), "(B,) uint64 -> (B,) bool.")
        .def("insert", &insert_keys, py::arg("keys"))
        .def("__len__", &KeySet::size)
        .def("sorted", &sorted_keys, "All keys, ascending.");
}

}  // namespace dso
