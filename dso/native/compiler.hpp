// What is asked of the compiler: functions in several versions, inlining, vector functions.
#pragma once
#include <cmath>

// Whether functions of the C library run in glibc's vector library; machine/vector_math.hpp.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    __GNUC__ >= 12 && !defined(DSO_NO_VECTOR_MATH)
#define DSO_VECTOR_MATH 1
#else
#define DSO_VECTOR_MATH 0
#endif

// One compiled version per instruction set, chosen when the library is loaded. Sanitizers run their
// own start-up code before a resolver may be called.
#if DSO_VECTOR_MATH && !defined(__SANITIZE_ADDRESS__)
#define DSO_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define DSO_CLONES
#endif

#define DSO_INLINE inline __attribute__((always_inline))
