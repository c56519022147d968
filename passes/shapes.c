/* shapes: sizes that the program fixes must fit together, whatever the tensors bring.
 *
 *     dim G = 3; dim H = 8;      error: H = 8 must be a multiple of G = 3 */
#include "passes/rewrite.h"

bool
pass_shapes(struct ir_func *f, struct pass_context *c)
{
    int64_t h = f->dims[DIM_H].size, g = f->dims[DIM_G].size;
    if (h > 0 && g > 0 && h % g) {
        diag_error(c->diag, (span_t){0, 0}, "H is %lld, must be a multiple of G = %lld",
                   (long long)h, (long long)g);
        return false;
    }
    for (uint8_t a = 0; a < f->naxes && a < IR_MAX_AXES; a++) {
        int64_t n = axis_fixed_size(f, a);
        if (f->axes[a].kind != AXK_BASE && n > PASS_MAX_FEATURES) {
            diag_error(c->diag, (span_t){0, 0}, "a vector has %lld entries (%s), the limit is %d",
                       (long long)n, axis_formula(f, a), PASS_MAX_FEATURES);
            return false;
        }
    }
    return true;
}
