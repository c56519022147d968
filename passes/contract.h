/* Inside schedule `contract`: what its parts share (schedule_contract.c, contract_order.c). */
#ifndef ATTNC_PASSES_CONTRACT_H
#define ATTNC_PASSES_CONTRACT_H

#include "passes/rewrite.h"
#include "passes/schedule.h"

/* One axis of a tile: entries [from, from + count) of it, at most max. */
struct span_of {
    uint8_t axis;
    tx_ref from, count, max;
};

struct contract {
    struct sched s;
    struct stmt_list *to;          /* where statements go */
    tx_ref index[IR_MAX_AXES];     /* of axes that are looped over one by one; 0: none */
    tx_ref tall;                   /* rows of a tile */
    bool whole;                    /* tiles have all columns: pairs or places along them matter */
    int depth_names;
    bool failed;
};

bool contract_varies(const struct contract *c, ir_ref n, uint8_t axis);
/* Reports, once, why there is no schedule. */
void contract_refuse(struct contract *c, ir_ref n, const char *what);
/* The span of no axis: one entry. */
struct span_of contract_one(struct contract *c);
/* A local tile of rows x cols entries. */
tile_view contract_scratch(struct contract *c, const char *what, const struct span_of *r,
                           const struct span_of *k);
/* A view of tensor param n whose rows run over r and columns over k, where the tensor has those
 * axes; its other indexes are those of the loops around. False if columns are not its last axis. */
bool contract_view(struct contract *c, ir_ref n, const struct span_of *r, const struct span_of *k,
                   tile_view *v);
/* A map-like statement of node n over r and k into v0; what it holds for that is forgotten. */
struct tile_stmt *contract_map(struct contract *c, enum tile_op op, tile_view v0, ir_ref n,
                               const struct span_of *r, const struct span_of *k);

/* ---- contract_order.c: each holds n, an operation of order, for a tile over r and k ---- */
typedef void contract_hold_fn(struct contract *c, ir_ref n, const struct span_of *r,
                              const struct span_of *k);
contract_hold_fn contract_best, contract_pick, contract_argsort;

#endif
