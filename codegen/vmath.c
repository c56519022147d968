/* vm_emit: one row per operation, and the operations that are an instruction or two.
 *
 * Adding a function is adding a row here and a vm_<name> in one of the vmath_*.c files. */
#include "codegen/vmath.h"
#include "codegen/vmath_build.h"

static val
vm_neg(struct vm *v, val x, val y)
{
    (void)y;
    return vmb_neg(v, x);
}

static val
vm_sqrt(struct vm *v, val x, val y)
{
    (void)y;
    return vmb_sqrt(v, x);
}

static val
vm_abs(struct vm *v, val x, val y)
{
    (void)y;
    return vmb_abs(v, x);
}

static val
vm_floor(struct vm *v, val x, val y)
{
    (void)y;
    return vmb_floor(v, x);
}

static val
vm_relu(struct vm *v, val x, val y)
{
    (void)y;
    return vmb_clamp_lo(v, x, vmb_k(v, 0));
}

static val
vm_min(struct vm *v, val x, val y)
{
    return vmb_minmax(v, x, y, false);
}

static val
vm_max(struct vm *v, val x, val y)
{
    return vmb_minmax(v, x, y, true);
}

static val (*const emitters[IR_OP_COUNT])(struct vm *v, val x, val y) = {
    [IR_neg] = vm_neg,         [IR_exp] = vm_exp,           [IR_log] = vm_log,
    [IR_sqrt] = vm_sqrt,       [IR_abs] = vm_abs,           [IR_tanh] = vm_tanh,
    [IR_sigmoid] = vm_sigmoid, [IR_relu] = vm_relu,         [IR_elu] = vm_elu,
    [IR_gelu] = vm_gelu,       [IR_silu] = vm_silu,         [IR_softplus] = vm_softplus,
    [IR_sin] = vm_sin,         [IR_cos] = vm_cos,           [IR_floor] = vm_floor,
    [IR_pow] = vm_pow,         [IR_min] = vm_min,           [IR_max] = vm_max,
};

bool
vm_knows(enum ir_op op)
{
    return (unsigned)op < IR_OP_COUNT && emitters[op];
}

LLVMValueRef
vm_emit(struct vm *v, enum ir_op op, LLVMValueRef x, LLVMValueRef y)
{
    return vm_knows(op) ? emitters[op](v, x, y) : NULL;
}
