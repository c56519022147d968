/* Elementary functions as vector IR: emits exp, log, tanh, ... inline, without any call to libm.
 *
 * LLVM turns llvm.exp.v16f32 into sixteen calls of expf, so each function is built here from
 * adds, multiplies, integer operations and selects on whole vectors. The measured errors are in
 * docs/numerics-vmath.md; the coefficients come from codegen/vmath.sollya. */
#ifndef ATTNC_CODEGEN_VMATH_H
#define ATTNC_CODEGEN_VMATH_H

#include <stdbool.h>

#include <llvm-c/Core.h>

#include "ir/ir.h"

/* Where and how to emit. The builder stands at the end of a block without terminator; the
 * module has its triple set (it decides how min and max are written). */
struct vm {
    LLVMContextRef ctx;
    LLVMModuleRef mod;
    LLVMBuilderRef b;
    LLVMTypeRef ty;  /* float, double, or a fixed vector of them */
    bool fma;        /* the function's target features have FMA; else llvm.fma is never used */
    bool avx512;     /* ... have AVX-512 F and VL: exp scales with vscalef; may stay false */
};

/* True for the operations vm_emit knows: neg exp log sqrt abs tanh sigmoid relu elu gelu silu
 * softplus sin cos floor, and pow min max of two operands. */
bool vm_knows(enum ir_op op);

/* Emits op(x) or op(x, y) on values of type v->ty and returns the result, of the same type
 * (NULL if !vm_knows(op)). y is NULL for functions of one argument. NaN in gives NaN out, except
 * pow(x, 0) = pow(1, y) = 1; min and max propagate NaN.
 *
 * Only sin and cos create basic blocks (a branch to a slow path for |x| > 2^20, and on first
 * use an internal function attn_trig_large in the module); afterwards the builder stands at the
 * end of another block of the same function. */
LLVMValueRef vm_emit(struct vm *v, enum ir_op op, LLVMValueRef x, LLVMValueRef y);

/* sin or cos (op) of x, which has as many lanes as v->ty but of double: large angles keep the
 * digits that their rounding to float would take. The result, of type v->ty, is rounded once. */
LLVMValueRef vm_angle(struct vm *v, enum ir_op op, LLVMValueRef x);

#endif
